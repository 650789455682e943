#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SIGUSR1 prints one line of progress on standard error, each time, and disturbs nothing, also
# while the command waits for its peer.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(2 * MIB)
path, out = file_with(data), os.path.join(scratch(), "out")
for method in ("auto", "copy-range", "sendfile", "splice", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    running = start("copy", "--rate", "3M", *extra, path, out)
    catches(running)
    for count in range(1, 4):
        running.signal(signal.SIGUSR1)
        wait_for(lambda: len(running.err().splitlines()) == count,
                 f"line {count} of {running}, which "
                 f"says {running.err()!r}")
        time.sleep(0.05)
    result = running.finish().expect(0)
    equal(len(result.err.splitlines()), 3, f"lines after three signals, {method}: {result.err!r}")
    for line in result.err.splitlines():
        check(re.search(r"\d", line), f"no figure in {line!r}")
    same_bytes(content(out), data, method)

# Waiting for a peer, for a byte, for room.
running = start("copy", "tcp-listen:0", "null:")
address = running.address()
running.signal(signal.SIGUSR1)
time.sleep(0.1)
check(running.running(), f"SIGUSR1 ended a listener: {running.err()}")
peer = socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])))
peer.sendall(b"x" * 1234)
time.sleep(0.1)
before = len(running.err().splitlines())
running.signal(signal.SIGUSR1)
wait_for(lambda: len(running.err().splitlines()) == before + 1, f"a line: {running.err()!r}")
matches(running.err().splitlines()[-1], r"1[,.]?2", "the line while it waits for a byte")
peer.close()
running.finish().expect(0)

read_end, write_end = os.pipe()
running = start("copy", "zero:", "-", stdout=write_end)
settle(running)
running.signal(signal.SIGUSR1)
wait_for(lambda: len(running.err().splitlines()) == 1, f"a line: {running.err()!r}")
running.signal(signal.SIGTERM)
running.finish().expect(143)
PY
