#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What sixty connections at work together needed, transfers and their buffers, goes back to the kernel
# when they are through; then the relay sleeps.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *

SANITIZED = os.environ.get("SLUICE_SANITIZER")
COUNT = 60
MOST = 16 * 2  # kept for good: so many of a kind, and there are small ones and such that splice


def send_what_fits(peer):
    sent = 0
    peer.setblocking(False)
    try:
        while True:
            sent += peer.send(bytes(65536))
    except BlockingIOError:
        return sent


def burst(relay, target):
    clients = [relay.client() for _ in range(COUNT)]
    peers = [target.accept()[0] for _ in range(COUNT)]
    sent = [0] * COUNT
    for peer in peers:
        peer.settimeout(LIMIT)

    def all_park():
        for i, client in enumerate(clients):
            sent[i] += send_what_fits(client)
        return relay.metrics()['pipes{state="used"}'] >= COUNT * 9 // 10
    wait_for(all_park, "the connections to park bytes")
    busy = anonymous_of(relay.pid)
    for client in clients:
        client.shutdown(socket.SHUT_WR)
    got = sorted(len(read_to_end(peer)) for peer in peers)
    equal(got, sorted(sent), "bytes of each connection")
    for peer in clients + peers:
        peer.close()
    return busy


def sleeps(relay):
    before = switches_of(relay.pid)
    time.sleep(2.5)
    return switches_of(relay.pid) == before


# Reads nothing until all have sent what fits.
target = tcp_listener(receive_buffer=4096)
target.listen(COUNT)
relay = Relay("--metrics=:0", target=f"127.0.0.1:{target.getsockname()[1]}")
first = None
for number in range(2):
    busy = burst(relay, target)
    kept = relay.metrics()["transfers_idle"]
    check(kept > MOST, f"for the next ones it keeps {kept} transfers at first")
    wait_for(lambda: relay.metrics()["transfers_idle"] <= MOST, "most transfers to be given back", 20)
    time.sleep(1.5)
    rest = anonymous_of(relay.pid)
    first = first or rest
    if not SANITIZED:
        check(rest < busy - 150 * KIB, f"at rest it has {rest} bytes, busy it had {busy}")
        check(rest <= first + 200 * KIB, f"after burst {number + 1} it has {rest} bytes, after the first {first}")
wait_for(lambda: sleeps(relay), "it to sleep on", 20)
relay.stop().expect(0)
PY
