#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A peer that resets the connection, as source or as sink: an error that names it, with what was
# delivered; not a success with half the bytes.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(2 * MIB)
path = file_with(data)
for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    for into in ("file", "pipe", "tcp"):
        what = f"tcp that resets -> {into}, {method}"
        listener = tcp_listener()
        out = os.path.join(scratch(), "out")
        options, collector, target = {}, None, out
        if into == "pipe":
            read_end, write_end = os.pipe()
            target, options["pass_fds"] = f"fd:{write_end}", [write_end]
            collector = Collector(read_end)
        elif into == "tcp":
            sink_listener = tcp_listener()
            target, collector = tcp_address(sink_listener), Collector(sink_listener, True)
        running = start("copy", "--json", *extra, tcp_address(listener), target, **options)
        if into == "pipe":
            os.close(write_end)
        peer = listener.accept()[0]
        peer.sendall(data[:50000])
        settle(running)
        reset(peer)
        result = running.finish(10).refused(1, r"reset", r"127\.0\.0\.1", r"delivered")
        ledger = result.ledger()
        equal((ledger["error"]["side"], ledger["error"]["errno"]), ("source", "ECONNRESET"), what)
        equal(ledger["delivered"], 50000, f"delivered, {what}")
        same_bytes(collector.result() if collector else content(out), data[:50000], what)

for method in ("auto", "sendfile", "splice", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    listener = tcp_listener(receive_buffer=8192)
    running = start("copy", "--json", *extra, path, tcp_address(listener))
    peer = listener.accept()[0]
    peer.recv(1000)
    settle(running)
    reset(peer)
    result = running.finish(10).refused(1, r"reset|broken pipe", r"127\.0\.0\.1", r"delivered")
    equal(result.ledger()["error"]["side"], "sink", f"the side, sink that resets, {method}")

# All was handed to the kernel, but the peer resets before it took it: known from what it
# acknowledged.
listener = tcp_listener(receive_buffer=4096)
small = file_with(data[:200000])
running = start("copy", "--json", small, tcp_address(listener))
peer = listener.accept()[0]
time.sleep(0.2)
reset(peer)
running.finish(10).refused(1)
PY
