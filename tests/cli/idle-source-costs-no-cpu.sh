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


def arrives(sink, reading, wanted, what):
    began = time.monotonic()
    if sink == "file":
        wait_for(lambda: os.fstat(reading).st_size >= len(wanted), f"the first bytes, {what}", 2)
        wanted_now = os.pread(reading, 100, 0)
    else:
        wanted_now = os.read(fd_of(reading), 100)
    equal(wanted_now, wanted, what)
    return time.monotonic() - began


for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    cases = []
    for source in ("pipe", "tcp", "unix", "terminal", "dgram"):
        for sink in ("pipe", "file", "tcp", "unix"):
            what = f"idle {source} -> {sink}, {method}"
            if method == "splice" and source == "dgram":
                continue
            feeding, taking = source_pair(source)
            reading, writing = sink_pair(sink)
            length = ["--length", "6"] if source in ("terminal", "dgram") else []
            running = start("copy", *extra, *length, f"fd:{fd_of(taking)}", f"fd:{fd_of(writing)}",
                            pass_fds=[fd_of(taking), fd_of(writing)])
            close(taking)
            close(writing)
            cases.append((running, what, sink, feeding, reading, length))
    commands = [(running, what) for running, what, *_ in cases]
    settle(*(running for running, _ in commands))
    idle_cost_nothing(commands)
    took = {}
    for running, what, sink, feeding, reading, length in cases:
        os.write(fd_of(feeding), b"abc")
        took[what] = arrives(sink, reading, b"abc", what)
    settle(*(running for running, _ in commands))
    idle_cost_nothing([(running, what + ", after a few bytes") for running, what in commands])
    for running, what, sink, feeding, reading, length in cases:
        os.write(fd_of(feeding), b"def")
        if not length:
            close(feeding)
        again = arrives(sink, reading, b"abcdef" if sink == "file" else b"def", what)
        check(min(took[what], again) < 0.15,  # once the machine may have been elsewhere
              f"{what}: the bytes took {took[what]:.2f} and {again:.2f} s")
        rest = Collector(reading) if sink != "file" else None  # sees the end, then ends its side
        running.finish(10).expect(0)
        if rest:
            equal(rest.result(), b"", f"after the last bytes, {what}")
        if length:
            close(feeding)
PY
