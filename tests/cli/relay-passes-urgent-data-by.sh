#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A read falls short before TCP's urgent data, and no edge tells of what follows it: that arrives all the
# same, in a small exchange and in a stream, either way, tapped or not. (The urgent byte itself is out of band,
# and not relayed.)
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *


class Pair:
    """The two ends of one connection through a relay."""

    def __init__(self, *options):
        self.listener = tcp_listener()
        self.listener.listen(1)
        self.relay = Relay(*options, target=f"127.0.0.1:{self.listener.getsockname()[1]}")
        self.client = self.relay.client()
        self.client.sendall(b"hello")
        self.target = self.listener.accept()[0]
        self.target.settimeout(LIMIT)
        equal(self.target.recv(10), b"hello", "the greeting")

    def finish(self):
        self.client.close()
        self.target.close()
        self.relay.stop().expect(0)


def receive(peer, size):
    data = b""
    while len(data) < size:
        piece = peer.recv(size - len(data))
        check(piece, "no end comes before everything has")
        data += piece
    return data


def passes(pair, sender, receiver, before, after, what):
    """While the relay stands still, everything comes before it reads the first byte."""
    pair.relay.signal(signal.SIGSTOP)
    wait_for(lambda: re.search(r"^State:\tT", proc(pair.relay.pid, "status"), re.M), "it to stop")
    sender.sendall(before)
    sender.send(b"!", socket.MSG_OOB)
    sender.sendall(after)
    pair.relay.signal(signal.SIGCONT)
    try:
        same_bytes(receive(receiver, len(before + after)), before + after, what)
    except TimeoutError:
        fail(f"{what}: it does not arrive")


def each_way(*options):
    pair = Pair(*options)
    for sender, receiver, name in ((pair.client, pair.target, "to the target"),
                                   (pair.target, pair.client, "to the client")):
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for size in (3, 40000):
            passes(pair, sender, receiver, random_bytes(size), b"after", f"{size} bytes {name}")
        sender.sendall(b"more")
        equal(receive(receiver, 4), b"more", f"what is sent later {name}")
    pair.finish()


each(lambda options: each_way(*options), [(), ("--tap", "null:")])
PY
