#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What cannot be driven without waiting (a blocking socket that was inherited, a terminal that cannot be opened
# again, a file system that hangs) does not hold up the others; and who feeds us is not held up by it.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(24 * MIB)


def beside(name, word, fds, ends, release=None):
    """The others must get everything though this one is stuck, and its bytes are dropped at its bound."""
    path = f"{scratch()}/whole"
    result = None
    read_end, write_end = os.pipe()
    out_end, out = os.pipe()
    running = start("tee", "--json", "--linger=0.2", path, f"{word},slow=drop,lag=1M", stdin=read_end,
                    stdout=out, pass_fds=fds)
    for fd in (read_end, out):
        os.close(fd)
    collector, feeder = Collector(out_end), Feeder(write_end, data)
    same_bytes(collector.result(20), data, f"{name}: standard output")
    same_bytes(content(path), data, f"{name}: the file")
    result = running.finish(20).expect(0)
    line = [line for line in result.err.splitlines() if line.startswith("{")][-1]
    sink = json.loads(line)["sinks"][2]
    check(sink["state"] in ("detached", "done"), f"{name}: its state is {sink['state']}")
    check(sink["dropped"] > 0, f"{name}: nothing was dropped")
    if release:
        release()
    for end in ends:
        close(end)
    return sink


for name, pair in (("tcp with small buffers", lambda: tcp_pair(send_buffer=16384, receive_buffer=16384)),
                   ("unix", unix_pair), ("terminal", raw_terminal)):
    ours, theirs = pair()
    sink = beside(name, f"fd:{fd_of(theirs)}", [fd_of(theirs)], [ours, theirs])
    if name != "terminal": # opened again, it does not wait
        check(sink["isolated"], f"{name}: it has no thread of its own")
    check(True, name)

# The master's side of a pseudo-terminal cannot be opened again.
ours, theirs = raw_terminal()
sink = beside("terminal, its master", f"fd:{fd_of(ours)}", [fd_of(ours)], [ours, theirs])
check(sink["isolated"], "terminal, its master: it has no thread of its own")

# A stuck sink with a thread, wait: the tee waits; a signal ends it at once; and whoever writes to our input, or
# asks it for anything, is not stuck with it.
ours, theirs = tcp_pair(send_buffer=16384, receive_buffer=16384)
read_end, write_end = os.pipe()
running = start("tee", f"fd:{fd_of(theirs)}", stdin=read_end, stdout=subprocess.DEVNULL,
                pass_fds=[fd_of(theirs)])
os.set_blocking(write_end, False)
at = 0
deadline = time.monotonic() + 3
while time.monotonic() < deadline:
    try:
        at += os.write(write_end, data[at:at + 65536])
    except BlockingIOError:
        time.sleep(0.05)
began = time.monotonic()
held = bytearray(4)
fcntl.ioctl(read_end, FIONREAD, held)
fcntl.fcntl(write_end, F_GETPIPE_SZ)
check(time.monotonic() - began < 1, "the input's pipe was held")
idle_costs_nothing(running, "a stuck socket")
began = time.monotonic()
running.signal(signal.SIGTERM)
running.finish(5).expect(143)
check(time.monotonic() - began < 2, "it took long to stop")
for end in (read_end, write_end, ours, theirs):
    close(end)
PY
