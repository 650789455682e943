#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A source that is truncated while it is read gives an error that names the file and the offset, by
# every method: not a hang, not SIGBUS, not zeros, not a success.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
SIZE, CUT, RATE = 8 * MIB, 3 * MIB + 777, "1M"
data = random_bytes(SIZE)
cases = []


def cut(*older):
    """Once they have begun, and long before they are there."""
    for running, _, _, path, _, _ in older:
        catches(running)
        time.sleep(max(0, running.began + 0.3 - time.monotonic()))
        os.truncate(path, CUT)


for name, place in file_systems().items():
    if name not in ("ext4", "tmpfs", "here") and not ALL:
        continue
    for method in ("auto", "copy-range", "sendfile", "splice", "mmap-write", "read-write"):
        extra = [] if method == "auto" else [f"--method={method}"]
        for before in ("absent", "longer"):
            directory = scratch(place)
            path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
            if before == "longer":
                file_with(b"\xa5" * (SIZE + 5), out)
            running = start("copy", "--json", "--rate", RATE, *extra, path, out)
            cases.append((running, f"{name}, {method}, sink {before}", directory, path, out,
                          before))
            cut(*cases[-4:-3])
cut(*cases[-3:])
for running, what, directory, path, out, before in cases:
    result = running.finish()
    result.refused(1, re.escape(path), r"\b%d\b" % CUT)
    equal(result.killed_by, 0, f"signal, {what}")
    ledger = result.ledger()
    equal(ledger["delivered"], CUT, f"delivered, {what}")
    equal(ledger["error"]["side"], "source", f"the side, {what}")
    equal(ledger["error"]["offset"], CUT, f"the offset, {what}")
    if before == "absent":
        no_leftovers(directory, "in")
    else:
        same_bytes(content(out), data[:CUT], f"what was delivered, {what}")

# Into a pipe and a socket: what the reader got before the error is right.
for kind in ("pipe", "tcp"):
    for method in ("auto", "sendfile", "splice", "mmap-write", "read-write"):
        extra = [] if method == "auto" else [f"--method={method}"]
        what = f"file -> {kind}, {method}"
        path = file_with(data)
        options = {}
        if kind == "pipe":
            ours, options["stdout"] = os.pipe()
            sink = "-"
        else:
            listener = tcp_listener(receive_buffer=8192)
            sink = tcp_address(listener)
        running = start("copy", "--json", *extra, path, sink, **options)
        if kind == "pipe":
            os.close(options["stdout"])
        else:
            ours = listener.accept()[0]
        settle(running)  # the sink is full, somewhere before the cut
        os.truncate(path, 6 * MIB + 777)
        got = Collector(ours).result()
        result = running.finish(20).refused(1, re.escape(path), r"\b%d\b" % (6 * MIB + 777))
        same_bytes(got, data[:6 * MIB + 777], what)
PY
