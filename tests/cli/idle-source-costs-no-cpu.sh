#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A source that has nothing to say: the command sleeps, whatever the kinds, and hears the first
# byte and the end at once.
# serial: CPU time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
def source_pair(kind):
    if kind == "pipe":
        read_end, write_end = os.pipe()
        return write_end, read_end
    if kind == "terminal":
        return raw_terminal()
    return {"tcp": tcp_pair, "unix": unix_pair,
            "dgram": lambda: unix_pair(socket.SOCK_DGRAM)}[kind]()


def sink_pair(kind):
    if kind == "pipe":
        return os.pipe()
    if kind == "file":
        path = os.path.join(scratch(), "out")
        write_end = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        return os.open(path, os.O_RDONLY), write_end
    return {"tcp": tcp_pair, "unix": unix_pair}[kind]()


for source in ("pipe", "tcp", "unix", "terminal", "dgram"):
    for sink in ("pipe", "file", "tcp", "unix"):
        what = f"idle {source} -> {sink}"
        feeding, taking = source_pair(source)
        reading, writing = sink_pair(sink)
        length = ["--length", "6"] if source in ("terminal", "dgram") else []
        running = start("copy", *length, f"fd:{fd_of(taking)}", f"fd:{fd_of(writing)}",
                        pass_fds=[fd_of(taking), fd_of(writing)])
        close(taking)
        close(writing)
        settle(running)
        idle_costs_nothing(running, what, 0.3)
        os.write(fd_of(feeding), b"abc")
        if sink != "file":
            began = time.monotonic()
            equal(os.read(fd_of(reading), 10), b"abc", what)
            check(time.monotonic() - began < 0.15, f"{what}: the first bytes took "
                  f"{time.monotonic() - began:.2f} s")
        settle(running)
        idle_costs_nothing(running, what + " after a few bytes", 0.3)
        os.write(fd_of(feeding), b"def")
        if not length:
            close(feeding)
        if sink != "file":
            collector = Collector(reading)
        running.finish(10).expect(0)
        if sink == "file":
            equal(os.read(reading, 10), b"abcdef", what)
        else:
            equal(collector.result(), b"def", what)
PY
