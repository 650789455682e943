#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A peer that sends one byte at a time: each takes a slot of the private pipe, and nothing may be
# lost, doubled or waited for in vain.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(3000)
for method in ("auto", "splice", "read-write"):
    for sink in ("file", "pipe", "socket"):
        listener = tcp_listener()
        extra = [] if method == "auto" else [f"--method={method}"]
        out = os.path.join(scratch(), "out")
        options, collector, target = {}, None, out
        if sink == "pipe":
            read_end, options["stdout"] = os.pipe()
            collector, target = Collector(read_end, piece=1), "-"
        elif sink == "socket":
            ours, theirs = unix_pair()
            options["pass_fds"] = [theirs.fileno()]
            collector, target = Collector(ours, piece=7), f"fd:{theirs.fileno()}"
        running = start("copy", "--json", *extra, tcp_address(listener), target, **options)
        if sink == "pipe":
            os.close(options["stdout"])
        elif sink == "socket":
            theirs.close()
        peer = listener.accept()[0]
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Feeder(peer, data, piece=1)
        result = running.finish().expect(0)
        same_bytes(collector.result() if collector else content(out), data,
                   f"one byte at a time into a {sink}, {method}")
        equal(result.ledger()["taken"], len(data), f"taken, {sink}, {method}")
PY
