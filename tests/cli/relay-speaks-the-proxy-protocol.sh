#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# PROXY headers: the target gets the one that it should, the bytes behind a header are not touched, and
# what is no header, or comes from somebody who is not trusted, or too late, ends at the door.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import struct
from relays import *

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source, destination, family=0x11, command=0x21, extensions=b""):
    if family == 0x11:
        block = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    elif family == 0x21:
        block = b"".join(socket.inet_pton(socket.AF_INET6, each[0]) for each in (source, destination))
    else:
        block = b""
    if block:
        block += struct.pack(">HH", source[1], destination[1])
    block += extensions
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(block)) + block


A, B = ("192.0.2.7", 51514), ("198.51.100.9", 443)
A6, B6 = ("2001:db8::7", 1), ("2001:db8::9", 65535)
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.9 51514 443\r\n"
V1_6 = b"PROXY TCP6 2001:db8::7 2001:db8::9 1 65535\r\n"
LOCAL = SIGNATURE + b"\x20\0\0\0"
PAYLOAD = random_bytes(300 * KIB, 1)


def arrived(target, count):
    wait_for(lambda: len(target.received) >= count, f"connection {count} at the target")
    return target.received[count - 1]


def pass_through(target, relay, header, wanted, piecewise):
    """The header, then bytes: what the target gets begins with `wanted`."""
    count = len(target.received) + 1
    peer = relay.client()
    if piecewise:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(header)):
            peer.sendall(header[i:i + 1])
            time.sleep(0.0005)
        header = b""
    back = exchange(peer, header + PAYLOAD)
    same_bytes(bytes(arrived(target, count)), wanted + PAYLOAD, f"at the target, {wanted}")
    same_bytes(back, wanted + PAYLOAD, "what came back")


headers = [
    (V1, V1, v2(A, B)),
    (V1_6, V1_6, v2(A6, B6, 0x21)),
    (v2(A, B), V1, v2(A, B)),
    (v2(A6, B6, 0x21, extensions=b"\xe0\0\3abc" + b"\4\1\0" + bytes(256)), V1_6, v2(A6, B6, 0x21)),
    (LOCAL, b"PROXY UNKNOWN\r\n", LOCAL),
]


def translate(version):
    target = Echo()
    relay = Relay("--accept-proxy", f"--send-proxy={version}", target=target.address)
    for given, as_v1, as_v2 in headers:
        for piecewise in (False, True):
            pass_through(target, relay, given, as_v1 if version == "v1" else as_v2, piecewise)
    relay.stop().expect(0)


def from_sockets(version):
    """No header comes in: the client's own address goes out."""
    target = Echo()
    relay = Relay(f"--send-proxy={version}", target=target.address)
    peer = relay.client("127.0.0.9")
    own, there = peer.getsockname(), peer.getpeername()
    wanted = v2(own, there) if version == "v2" else \
        f"PROXY TCP4 {own[0]} {there[0]} {own[1]} {there[1]}\r\n".encode()
    same_bytes(exchange(peer, b"hello"), wanted + b"hello", f"own address, {version}")
    relay.stop().expect(0)


def unknown_means_the_socket(_):
    """UNKNOWN names nobody: the socket's own address is passed on."""
    target = Echo()
    relay = Relay("--accept-proxy", "--send-proxy=v2", target=target.address)
    peer = relay.client()
    wanted = v2(peer.getsockname(), peer.getpeername())
    same_bytes(exchange(peer, b"PROXY UNKNOWN\r\nhello"), wanted + b"hello", "after UNKNOWN")
    relay.stop().expect(0)


def refuse(_):
    target = Echo()
    relay = Relay("--accept-proxy", "--metrics=:0", target=target.address)
    bad = [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0", V1.replace(b"TCP4", b"TCP5"),
           V1.replace(b"443", b"65536"), V1.replace(b"\r", b""), b"PROXY " + b"x" * 200,
           LOCAL.replace(b"\x20", b"\x30"), v2(A, B)[:14] + b"\xff\xff",
           v2(A, B, extensions=b"\3\0\4\1\2\3\4"), v2(A, B, extensions=b"\1\0\9")]
    for header in bad:
        began = time.monotonic()
        equal(exchange(relay.client(), header + PAYLOAD), b"", f"after {header[:40]}")
        within(time.monotonic() - began, 0, 4, f"seconds until {header[:40]} was refused")
    cut = relay.client()
    cut.sendall(V1[:20])
    cut.close()
    equal(len(target.received), 0, "connections that came to the target")
    wait_for(lambda: relay.metrics()['connections_ended_total{reason="bad header"}'] ==
             len(bad) + 1, "all refused ones in the metrics", 15)
    relay.stop().expect(0)


def late(_):
    """Whoever keeps the door open without a header is shown out."""
    target = Echo()
    relay = Relay("--accept-proxy", target=target.address)
    silent, slow = relay.client(), relay.client()
    slow.sendall(V1[:10])
    began = time.monotonic()
    equal(read_to_end(silent), b"", "to the silent")
    equal(read_to_end(slow), b"", "to the slow")
    within(time.monotonic() - began, 2, 15, "seconds until the silent were shown out")
    equal(len(target.received), 0, "connections that came to the target")
    relay.stop().expect(0)


def trust(_):
    """Headers of others than the trusted are not even read; the lists judge the client it names."""
    target = Echo()
    relay = Relay("--accept-proxy", "--trust=127.0.0.2", "--allow=192.0.2.0/24",
                  "--deny=192.0.2.66", "--send-proxy=v1", target=target.address)
    same_bytes(exchange(relay.client("127.0.0.2"), V1 + b"x"), V1 + b"x", "trusted")
    equal(exchange(relay.client("127.0.0.3"), V1 + b"x"), b"", "not trusted")
    equal(exchange(relay.client("127.0.0.2"), V1.replace(b"2.7", b"2.66") + b"x"), b"", "denied")
    equal(exchange(relay.client("127.0.0.2"), V1.replace(b"192.0", b"192.1") + b"x"), b"",
          "not allowed")
    same_bytes(exchange(relay.client("127.0.0.2"), LOCAL + b"x"), b"PROXY UNKNOWN\r\nx",
               "a health check of the trusted")
    relay.stop().expect(0)
    # Where all are trusted, a header that names nobody opens no door.
    relay = Relay("--accept-proxy", "--allow=192.0.2.0/24", target=target.address)
    equal(exchange(relay.client(), LOCAL + b"x"), b"", "LOCAL from an address not allowed")
    equal(exchange(relay.client(), b"PROXY UNKNOWN\r\nx"), b"", "UNKNOWN from one not allowed")
    same_bytes(exchange(relay.client(), V1 + b"x"), b"x", "an allowed client")
    relay.stop().expect(0)


each(lambda part: part[0](part[1]),
     [(translate, "v1"), (translate, "v2"), (from_sockets, "v1"), (from_sockets, "v2"),
      (unknown_means_the_socket, 0), (refuse, 0), (late, 0), (trust, 0)])

sluice("relay", "--trust=127.0.0.1", ":0", ":1").refused(2, r"--accept-proxy")
sluice("relay", "--send-proxy=v3", ":0", ":1").refused(2, r"--send-proxy=v3: v1 or v2")
PY
