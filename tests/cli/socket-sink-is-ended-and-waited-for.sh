#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A socket sink is ended with shutdown once nothing is parked, and the peer's end is waited for, no
# longer than --linger says; what it had not acknowledged by then is an error.
# serial: time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(300000)
path = file_with(data)

# The peer answers after the end: the answer must not turn into a reset of what it had not read.
for method in ("auto", "sendfile", "splice", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    listener = tcp_listener()
    running = start("copy", *extra, path, tcp_address(listener))
    peer = listener.accept()[0]
    peer.sendall(b"unwanted greeting")
    time.sleep(0.1)
    got = bytearray()
    while piece := peer.recv(65536):
        got += piece
    same_bytes(bytes(got), data, f"before the end, {method}")
    check(running.running(), f"it did not wait for the peer's end, {method}")
    peer.sendall(b"thanks")
    peer.close()
    began = time.monotonic()
    running.finish(5).expect(0)
    check(time.monotonic() - began < 0.5,
          f"it saw the peer's end after {time.monotonic() - began:.2f} s")

# A peer that took all and never ends its side: waited for, and no error.
listener = tcp_listener()
running = start("copy", "--linger", "0.4", path, tcp_address(listener))
peer = listener.accept()[0]
got = bytearray()
began = time.monotonic()
while piece := peer.recv(65536):
    got += piece
running.finish(5).expect(0)
within(time.monotonic() - began, 0.2, 6, "seconds that it lingered")

# A peer that never reads: the bytes it did not acknowledge are an error.
listener = tcp_listener(receive_buffer=4096)
running = start("copy", "--linger", "0.4", file_with(data[:150000]), tcp_address(listener))
peer = listener.accept()[0]
running.finish(5).refused(1, r"acknowledg", r"127\.0\.0\.1")

# --linger=0 does not wait.
listener = tcp_listener()
running = start("copy", "--linger=0", file_with(b"abc"), tcp_address(listener))
peer = listener.accept()[0]
began = time.monotonic()
running.finish(5)
check(time.monotonic() - began < 0.5, "--linger=0 waited")

# A signal ends the wait.
listener = tcp_listener()
running = start("copy", path, tcp_address(listener))
peer = listener.accept()[0]
while peer.recv(65536):
    pass
running.signal(signal.SIGTERM)
result = running.finish(3)
check(result.status in (0, 143), f"SIGTERM while it lingers: {result}")

# The tail: many small pieces, the end right behind the last one.
for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    for _ in range(20):
        source, sink = tcp_listener(), tcp_listener(receive_buffer=4096)
        running = start("copy", *extra, tcp_address(source), tcp_address(sink))
        feeder = Feeder(source.accept()[0], data[:40001], piece=3000)
        collector = Collector(sink, True, piece=1000)
        running.finish().expect(0)
        same_bytes(collector.result(), data[:40001], f"the tail, {method}")
PY
