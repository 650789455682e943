#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Standard input and output named as fd:0, fd:1 or /dev/stdout, and one socket as both: the bytes
# are right, and the ledger does not get between them.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(200000)
path = file_with(data)
for name in ("-", "fd:1", "/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"):
    read_end, write_end = os.pipe()
    running = start("copy", "--json", path, name, stdout=write_end)
    os.close(write_end)
    collector = Collector(read_end)
    result = running.finish().expect(0)
    same_bytes(collector.result(), data, f"{name} as a sink")
    check(result.err.startswith("{"), f"{name}: the ledger is not on standard error: {result}")
    running = start("copy", "--checksum=sha256", path, name, stdout=(ends := os.pipe())[1])
    os.close(ends[1])
    collector = Collector(ends[0])
    result = running.finish().expect(0)
    same_bytes(collector.result(), data, f"{name} as a sink, with a checksum")
    matches(result.err, hashlib.sha256(data).hexdigest(), f"{name}: the checksum on standard error")
for name in ("-", "fd:0", "/dev/stdin", "/proc/self/fd/0"):
    out = os.path.join(scratch(), "out")
    copy(name, out, input=data).expect(0)
    same_bytes(content(out), data, f"{name} as a source")

# One socket as both ends, as a server gives it: an echo.
for pair in (tcp_pair, unix_pair):
    ours, theirs = pair()
    running = start("copy", "-", "-", stdin=theirs, stdout=theirs)
    theirs.close()
    ours.settimeout(5)
    for message in (b"ping", data[:50000]):
        ours.sendall(message)
        got = b""
        while len(got) < len(message):
            got += ours.recv(65536)
        check(got == message, "the echo differs")
    ours.shutdown(socket.SHUT_WR)
    equal(ours.recv(10), b"", "after the end")
    ours.close()
    running.finish(5).expect(0)
PY
