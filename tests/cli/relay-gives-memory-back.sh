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


class Patient:
    """A target that reads nothing until it is told to, and then everything."""

    def __init__(self):
        self.listener = tcp_listener()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.listen(COUNT)
        self.listener.settimeout(LIMIT)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self):
        peer = self.listener.accept()[0]
        peer.settimeout(LIMIT)
        return peer


def memory(relay):
    return int(status_of(relay.pid, "RssAnon"))


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
    peers = [target.accept() for _ in range(COUNT)]
    sent = [0] * COUNT

    def all_park():
        for i, client in enumerate(clients):
            sent[i] += send_what_fits(client)
        return relay.metrics()['pipes{state="used"}'] >= COUNT * 9 // 10
    wait_for(all_park, "the connections to park bytes")
    busy = memory(relay)
    for client in clients:
        client.shutdown(socket.SHUT_WR)
    got = sorted(len(read_to_end(peer)) for peer in peers)
    equal(got, sorted(sent), "bytes of each connection")
    for peer in clients + peers:
        peer.close()
    return busy


def sleeps(relay):
    before = status_of(relay.pid, "voluntary_ctxt_switches")
    time.sleep(2.5)
    return status_of(relay.pid, "voluntary_ctxt_switches") == before


target = Patient()
relay = Relay("--metrics=:0", target=target.address)
first = None
for number in range(2):
    busy = burst(relay, target)
    kept = relay.metrics()["transfers_idle"]
    check(kept > MOST, f"for the next ones it keeps {kept} transfers at first")
    wait_for(lambda: relay.metrics()["transfers_idle"] <= MOST, "most transfers to be given back", 20)
    time.sleep(1.5)
    rest = memory(relay)
    first = first or rest
    if not SANITIZED:
        check(rest < busy - 150, f"at rest it has {rest} KiB, busy it had {busy}")
        check(rest <= first + 200, f"after burst {number + 1} it has {rest} KiB, after the first {first}")
wait_for(lambda: sleeps(relay), "it to sleep on", 20)
relay.stop().expect(0)
PY
