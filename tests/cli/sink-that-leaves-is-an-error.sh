#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A sink other than standard output that leaves: no death by SIGPIPE, but a message that names the
# sink, what failed and how much was delivered, and status 1.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(4 * MIB)
path = file_with(data)


def leaves_at_once(kind):
    if kind == "pipe":
        return os.pipe()
    return {"tcp": tcp_pair, "unix": unix_pair}[kind]()


for kind in ("pipe", "tcp", "unix"):
    for source in ("file", "pipe"):
        for method in ("auto", "splice", "sendfile", "mmap-write", "read-write"):
            if source == "pipe" and method in ("sendfile", "mmap-write"):
                continue
            if kind != "pipe" and method == "splice":
                continue  # on an inherited blocking socket the method may refuse
            extra = [] if method == "auto" else [f"--method={method}"]
            what = f"{source} -> {kind} that leaves, {method}"
            ours, theirs = leaves_at_once(kind)
            options = {}
            if source == "pipe":
                options["stdin"], write_end = os.pipe()
            name = f"fd:{fd_of(theirs)}"
            running = start("copy", "--json", *extra, "-" if source == "pipe" else path, name,
                            pass_fds=[fd_of(theirs)], **options)
            close(theirs)
            if source == "pipe":
                os.close(options["stdin"])
                feeder = Feeder(write_end, data)
            os.read(fd_of(ours), 10000)
            close(ours)
            result = running.finish(10)
            result.refused(1, r"broken pipe|reset by peer|reader has left", name, r"delivered")
            equal(result.killed_by, 0, f"signal, {what}")
            ledger = result.ledger()
            equal(ledger["error"]["side"], "sink", f"the side, {what}")
            check(ledger["error"]["errno"] in ("EPIPE", "ECONNRESET"), f"{what}: {ledger['error']}")
            if source == "file":
                equal(ledger["lost"], 0, f"lost from a file that can be read again, {what}")

# Also while nothing is to be sent yet, by the rate limit.
for kind in ("pipe", "tcp", "unix"):
    ours, theirs = leaves_at_once(kind)
    running = start("copy", "-L", "1", path, f"fd:{fd_of(theirs)}", pass_fds=[fd_of(theirs)])
    close(theirs)
    settle(running)
    if kind == "tcp":
        reset(ours)
    close(ours)
    running.finish(5).refused(1, r"broken pipe|reset by peer|reader has left", r"delivered")

# A FIFO by its name.
directory = scratch()
fifo = os.path.join(directory, "fifo")
os.mkfifo(fifo)
reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
running = start("copy", path, fifo)
settle(running)
os.close(reader)
running.finish(10).refused(1, r"broken pipe|reader has left", re.escape(fifo), r"delivered")
PY
