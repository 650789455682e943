#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A trickle reaches every sink at once, a byte at a time; nothing to do costs no CPU; and with -p a tee without
# readers ends though no input comes.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
def begin(*words, **options):
    read_end, write_end = os.pipe()
    out_end, out = os.pipe()
    fds, ends = [], {}
    for name, (ours, theirs) in {"pipe": os.pipe(), "unix": unix_pair(), "tcp": tcp_pair(),
                                 "terminal": raw_terminal()}.items():
        ends[name], fds = ours, fds + [theirs]
    path = os.path.join(scratch(), "file")
    running = start("tee", *words, path, *(f"fd:{fd_of(fd)}" for fd in fds), stdin=read_end, stdout=out,
                    pass_fds=[fd_of(fd) for fd in fds], **options)
    for end in (read_end, out, *fds):
        close(end)
    ends["standard output"] = out_end
    return running, write_end, ends, path


def next_of(end):
    import select
    ready, _, _ = select.select([end], [], [], 10)
    check(ready, "nothing arrived in 10 s")
    return os.read(fd_of(end), 100) if ready else b""


running, source, ends, path = begin()
settle(running)
worst = 0.0
for i in range(50):
    byte = bytes([65 + i % 26])
    began = time.monotonic()
    os.write(source, byte)
    for name, end in ends.items():
        equal(next_of(end), byte, f"byte {i} at {name}")
    worst = max(worst, time.monotonic() - began)
    wait_for(lambda: os.path.getsize(path) == i + 1, f"byte {i} in the file")
note(f"the slowest byte reached all in {worst * 1000:.1f} ms")
check(worst < 2, f"a byte took {worst:.2f} s")
idle_costs_nothing(running, "no input")
os.close(source)
running.finish().expect(0)

# The same after a bulk, when rounds go through pipes.
running, source, ends, path = begin()
drains = [Collector(end, hold=None) for end in ends.values()]
os.set_blocking(source, True)
bulk = random_bytes(4 * MIB)
at = 0
while at < len(bulk):
    at += os.write(source, bulk[at:at + 65536])
wait_for(lambda: os.path.getsize(path) == len(bulk), "the bulk in the file")
settle(running)
for i in range(20):
    os.write(source, b"x")
    wait_for(lambda: os.path.getsize(path) == len(bulk) + i + 1, f"byte {i} after the bulk", 5)
idle_costs_nothing(running, "no input, after a bulk")
os.close(source)
running.finish().expect(0)
for drain in drains:
    same_bytes(drain.result(), bulk + 20 * b"x", "a bulk and a trickle")

# No reader is left, and no input comes.
for word, status in (("-p", 0), ("--output-error=exit-nopipe", 0)):
    read_end, source = os.pipe()
    out_end, out = os.pipe()
    pipe_end, pipe = os.pipe()
    running = start("tee", word, f"fd:{pipe}", stdin=read_end, stdout=out, pass_fds=[pipe])
    for fd in (read_end, out, pipe):
        os.close(fd)
    os.write(source, b"begun")
    equal(os.read(out_end, 100), b"begun", "the first bytes")
    settle(running)
    os.close(out_end)
    settle(running)
    check(running.running(), f"{word}: it ended with a reader left")
    os.close(pipe_end)
    running.finish(10).expect(status)
    os.close(source)
PY
