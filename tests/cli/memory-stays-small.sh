#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Memory does not grow with the size: in the middle of 10 GiB, private memory is below 8 MiB by
# every method.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
skip_under_sanitizer("a sanitizer has memory of its own")
path = sparse_file(10 * GIB, f"{scratch()}/sparse")


def pipes(pid):
    """The capacity of the pipes that only the command has."""
    seen, total = set(), 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        name = f"/proc/{pid}/fd/{fd}"
        try:
            link = os.readlink(name)
            if link.startswith("pipe:") and link not in seen:
                seen.add(link)
                copy_of = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
                total += fcntl.fcntl(copy_of, F_GETPIPE_SZ)
                os.close(copy_of)
        except OSError:
            continue
    return total


def worst(running, what):
    end, highest, progress = time.monotonic() + 0.5, 0, False
    while time.monotonic() < end and running.running():
        highest = max(highest, anonymous_of(running.pid))
        time.sleep(0.02)
    if check(running.running(), f"{what}: 10 GiB were over too soon to look: {running.err()}"):
        highest += pipes(running.pid)
        check(highest < 8 * MIB, f"{what}: {highest / MIB:.1f} MiB of memory and private pipes")
        check(highest > 0, f"{what}: nothing was seen")
    running.signal(signal.SIGTERM)
    running.finish().expect(143)


for method in ("auto", "sendfile", "splice", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    # The rate keeps a copy that only drops references from being over at once.
    worst(start("copy", "--rate", "2G", *extra, path, "null:"), f"file -> null, {method}")
    listener = tcp_listener()
    running = start("copy", *extra, path, tcp_address(listener))
    drain = Drain(listener.accept()[0])
    worst(running, f"file -> tcp, {method}")
out = os.path.join(scratch(next(iter(file_systems().values()))), "out")
for method in ("auto", "copy-range"):
    extra = [] if method == "auto" else [f"--method={method}"]
    source = sparse_file(10 * GIB, os.path.join(os.path.dirname(out), "in"))
    worst(start("copy", "--rate", "500M", "--sparse=never", *extra, source, out), f"file -> file, {method}")
left, right = unix_pair()
running = start("copy", "zero:", "-", stdout=left)
left.close()
drain = Drain(right)
worst(running, "zero -> unix")
PY
