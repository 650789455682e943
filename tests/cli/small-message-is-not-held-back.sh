#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A small message goes out at once: no stall of 200 ms because the kernel was told that more would
# come, neither when a length is known nor for the last piece.
# serial: time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
for method in ("auto", "splice", "read-write"):
    for source_kind in ("tcp", "pipe", "unix"):
        for length in ([], ["--length", "100000000"], ["--chunk", "64K"]):
            extra = [] if method == "auto" else [f"--method={method}"]
            what = f"{source_kind} -> tcp, {method} {' '.join(length)}"
            sink = tcp_listener()
            options = {}
            if source_kind == "pipe":
                options["stdin"], feeding = os.pipe()
                source = "-"
            elif source_kind == "tcp":
                listener = tcp_listener()
                source = tcp_address(listener)
            else:
                listener, source = unix_listener()
            running = start("copy", *extra, *length, source, tcp_address(sink), **options)
            if source_kind == "pipe":
                os.close(options["stdin"])
            else:
                feeding = listener.accept()[0]
            if source_kind == "tcp":
                feeding.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = sink.accept()[0]
            peer.settimeout(5)
            slowest = 0
            for size in (100, 1, 5000, 4096, 65537, 100, 131072, 1):
                message = random_bytes(size)
                began = time.monotonic()
                threading.Thread(target=os.write, args=(fd_of(feeding), message)).start()
                got = b""
                while len(got) < size:
                    got += peer.recv(1 << 20)
                slowest = max(slowest, time.monotonic() - began)
                equal(got == message, True, f"the message of {size} bytes, {what}")
            check(slowest < 0.15, f"{what}: a message took {slowest * 1000:.0f} ms")
            close(feeding)
            Collector(peer)
            running.finish(10).expect(1 if length[:1] == ["--length"] else 0)

# A file's last bytes, with the peer waiting for an answer before it closes.
path = file_with(random_bytes(65536 + 100))
for method in ("auto", "splice", "sendfile", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    left, right = tcp_pair()
    running = start("copy", *extra, path, f"fd:{right.fileno()}", pass_fds=[right.fileno()])
    left.settimeout(5)
    first, got = None, 0
    while got < 65636:
        got += len(left.recv(1 << 20))
        first = first or time.monotonic()
    check(time.monotonic() - first < 0.15,
          f"the last bytes of a file, {method}: {time.monotonic() - first:.2f} s after the first")
    left.close()
    right.close()
    running.finish(15)
PY
