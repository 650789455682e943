#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An ordinary user whose pipes are used up gets private pipes of two slots, and may not enlarge
# them: the transfer goes on with what it got, and says so.
# serial: nobody's pipes are used up for a while
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario_as_nobody <<'PY'
soft = int(open("/proc/sys/fs/pipe-user-pages-soft").read())
if not soft or ROOT:
    skip("the kernel sets no budget here")
pipes = []


def spend():
    """Takes pipes until a new one is small, and says how small. (Another process of this user may
    give some back at any time.)"""
    try:
        for _ in range(4000):
            spare = os.pipe()
            if fcntl.fcntl(spare[0], F_GETPIPE_SZ) < 65536:
                small = fcntl.fcntl(spare[0], F_GETPIPE_SZ)
                for end in spare:
                    os.close(end)
                return small
            pipes.append(spare)
    except OSError as error:
        skip(f"cannot spend the budget: {error}")
    skip("the budget is larger than this test can spend")


def pipes_came_back():
    before = len(pipes)
    spend()
    return len(pipes) != before


small = spend()
data = random_bytes(3 * MIB)
path = file_with(data)
for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    spend()
    listener = tcp_listener()
    out = os.path.join(scratch(), "out")
    running = start("copy", "--json", *extra, tcp_address(listener), out)
    Feeder(listener.accept()[0], data, piece=100000)
    ledger = running.finish().expect(0).ledger()
    same_bytes(content(out), data, f"tcp -> file, {method}")
    if method == "splice" and not pipes_came_back():
        within(ledger["pipe"]["got"], 1, small, "what the private pipe got")
        check(ledger["pipe"]["asked"] > small, f"asked for {ledger['pipe']}")
    # One byte at a time: two slots are two bytes.
    listener, sink_listener = tcp_listener(), tcp_listener()
    running = start("copy", *extra, tcp_address(listener), tcp_address(sink_listener))
    peer = listener.accept()[0]
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    collector = Collector(sink_listener.accept()[0])
    Feeder(peer, data[:2000], piece=1)
    running.finish().expect(0)
    same_bytes(collector.result(), data[:2000], f"tcp -> tcp, one byte at a time, {method}")
    # The user's own tiny pipes on both sides.
    spend()
    read_end, write_end = os.pipe()
    inside, outside = os.pipe()
    if not pipes_came_back():
        equal(fcntl.fcntl(outside, F_GETPIPE_SZ), small, "the user's pipe")
    running = start("copy", *extra, "-", "-", stdin=read_end, stdout=outside)
    os.close(read_end)
    os.close(outside)
    Feeder(write_end, data, piece=50000)
    collector = Collector(inside, piece=3000)
    running.finish().expect(0)
    same_bytes(collector.result(), data, f"tiny pipe -> tiny pipe, {method}")
    # A file into a pipe of the user's.
    spend()
    inside, outside = os.pipe()
    running = start("copy", *extra, path, "-", stdout=outside)
    os.close(outside)
    collector = Collector(inside, piece=3000)
    running.finish().expect(0)
    same_bytes(collector.result(), data, f"file -> tiny pipe, {method}")
PY
