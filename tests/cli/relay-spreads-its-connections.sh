#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# With several threads each has its share of the connections, to one, whoever of them accepts: of a TCP port,
# where the kernel spreads by chance, of a UNIX socket, where it does not, and after some have ended. And
# there are never more of them than --max-connections says.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *

THREADS, EACH = 3, 8


def ask(client):
    """When it is answered, the connection is in its place."""
    client.sendall(b"?")
    equal(client.recv(1), b"?", "the answer")


def spread(relay):
    metrics = relay.metrics()
    return metrics["thread_connections_min"], metrics["thread_connections_max"]


def open_some(relay, count):
    clients = []
    for _ in range(count):
        clients.append(relay.client())
        ask(clients[-1])
    return clients


def scene(listen):
    relay = Relay("-t", str(THREADS), "--metrics", ":0", target=Echo().address, listen=listen)
    clients = open_some(relay, THREADS * EACH)
    equal(spread(relay), (EACH, EACH), "the least and the most of a thread")
    # Any may be the ones that end: the next ones fill up.
    for client in clients[:THREADS * EACH // 2]:
        client.close()
    wait_for(lambda: relay.metrics()["connections_active"] == THREADS * EACH // 2, "their end")
    more = open_some(relay, THREADS * EACH // 2)
    equal(spread(relay), (EACH, EACH), "the least and the most of a thread")
    for client in clients + more:
        client.close()
    wait_for(lambda: relay.metrics()["connections_active"] == 0, "the end of all")
    equal(spread(relay), (0, 0), "the least and the most of none")
    metrics = relay.metrics()
    equal(metrics["connections_accepted_total"], THREADS * EACH * 3 // 2, "accepted")
    equal(metrics['connections_ended_total{reason="ended"}'], THREADS * EACH * 3 // 2, "ended")
    relay.stop().expect(0)
    return metrics["connections_handed_over_total"]


def spread_evenly():
    handed = scene(":0") + scene(f"unix:{scratch()}/relay")
    check(handed > 0, "some were handed over")


class Counting(Echo):
    """A target that knows how many connections it had at once, at most."""

    def __init__(self):
        self.lock, self.now, self.most = threading.Lock(), 0, 0
        super().__init__()

    def _echo(self, peer, kept):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        data = peer.recv(1)
        with self.lock: # the relay is told of the end after this, and lets the next one in
            self.now -= 1
        with peer:
            peer.sendall(data)


def never_too_many():
    most, clients = 5, 200
    target = Counting()
    relay = Relay("-t", "4", "--max-connections", str(most), target=target.address)

    def one():
        with relay.client() as client:
            client.sendall(b"!")
            equal(read_to_end(client), b"!", "the answer")

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    equal(len(target.received), clients, "connections in all")
    check(target.most <= most, f"{target.most} connections at once, where {most} may be")
    relay.stop().expect(0)


each(lambda part: part(), [spread_evenly, never_too_many])
PY
