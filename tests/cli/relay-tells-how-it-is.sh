#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# /metrics is well-formed and true, /healthz and the agent-check say when the relay leaves, and no client of
# those ports, however slow, large or impolite, keeps the next one or a connection waiting.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *


def true_counters():
    target = Echo()
    nobody = tcp_listener()
    refused = f"127.0.0.1:{nobody.getsockname()[1]}"
    nobody.close()
    relay = Relay("--metrics=:0", "--deny=127.0.0.9", target=[refused, target.address])
    sizes = [0, 1, 5000, 300000]
    for size in sizes:
        same_bytes(exchange(relay.client(), data := random_bytes(size)), data, f"{size} bytes")
    equal(exchange(relay.client("127.0.0.9"), b"x"), b"", "the denied")
    live = relay.client()
    live.sendall(b"ping")
    live.recv(10)
    wait_for(lambda: relay.metrics()['connections_ended_total{reason="ended"}'] == len(sizes),
             "all to have ended")
    m = relay.metrics()
    equal(m["connections_accepted_total"], len(sizes) + 2, "accepted")
    equal(m["connections_active"], 1, "active")
    equal(m['connections_ended_total{reason="denied"}'], 1, "denied")
    equal(m.total("connections_ended_total"), len(sizes) + 1, "ended")
    for direction in ("to_target", "to_client"):
        equal(m[f'bytes_total{{direction="{direction}"}}'], sum(sizes) + 4, f"bytes {direction}")
        equal(m[f'parked_bytes{{direction="{direction}"}}'], 0, f"parked {direction}")
        within(m.total(f'leg_bytes_total{{direction="{direction}",class="[a-z-]*"}}'.replace("{", r"\{")
                       .replace("}", r"\}")), sum(sizes) + 4, 2 * (sum(sizes) + 4), "bytes of legs")
    equal(m["connect_seconds_count"], len(sizes) + 1, "connects")
    equal(m['target_connects_total{target="%s",place="1"}' % target.address], len(sizes) + 1,
          "connects of the good target")
    check(m['target_connect_failures_total{target="%s",place="0"}' % refused] > 0,
          "failed connects of the bad target")
    equal(m['target_connections{target="%s",place="1"}' % target.address], 1, "connections there")
    live.close()
    relay.stop().expect(0)


def pages():
    relay = Relay("--metrics=:0", target=":1")
    equal(relay.get("/healthz"), (200, "ok\n"), "health")
    equal(relay.get("/healthz?verbose")[0], 200, "health with a query")
    equal(relay.get("/healthz", "HEAD"), (200, ""), "HEAD")
    for path, method, status in (("/nothing", "GET", 404), ("/metrics/", "GET", 404),
                                 ("/metrics", "POST", 405), ("/metrics", "DELETE", 405)):
        equal(relay.get(path, method)[0], status, f"{method} {path}")
    port = relay.port("metrics")

    def raw(data):
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.settimeout(LIMIT)
            try:
                peer.sendall(data)
            except OSError:
                pass
            return read_to_end(peer)

    for data, wanted in ((b"\x16\x03\x01\2\0", b"HTTP/1.1 400 "), (b"GET / HTTP/2.0\r\n", b"HTTP/1.1 505 "),
                         (b"GET / HTTP/1.1\r\nX: " + b"y" * 20000, b"HTTP/1.1 431 "),
                         (b"GET /" + b"y" * 200000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 431 "),
                         (b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 413 "),
                         (b"GET / HTTP/1.1\n\n", b"HTTP/1.1 400 ")):
        answer = raw(data)
        check(answer.startswith(wanted), f"{data[:40]!r}: {answer[:60]!r}")
    # Of several requests at once the first is answered, whole, and the connection ends.
    answer = raw(b"GET /metrics HTTP/1.1\r\n\r\n" * 200)
    equal(answer.count(b"HTTP/1.1 200 "), 1, "answers to 200 requests")
    head, body = answer.split(b"\r\n\r\n", 1)
    equal(int(re.search(rb"Content-Length: (\d+)", head).group(1)), len(body), "the answer is whole")
    relay.stop().expect(0)


def hogs():
    """Hundreds who say nothing, half a request, or do not read: the next is answered at once."""
    target = Echo()
    relay = Relay("--metrics=:0", "--agent-check=:0", target=target.address)
    ports = [relay.port("metrics")] * 3 + [relay.port("agent-check")]
    hogs = []
    for i in range(300):
        hog = socket.create_connection(("127.0.0.1", ports[i % 4]))
        if i % 2:
            hog.sendall(b"GET /metrics HTTP/1.1\r\n")
        hogs.append(hog)
    began = time.monotonic()
    equal(relay.get("/healthz")[0], 200, "health among hogs")
    matches(relay.agent(), r"^ready 100%\n$", "the agent-check among hogs")
    same_bytes(exchange(relay.client(), b"hello"), b"hello", "a connection among hogs")
    within(time.monotonic() - began, 0, 3, "seconds among hogs")
    check(len(os.listdir(f"/proc/{relay.pid}/fd")) < 150, "descriptors of the relay are few")
    # Those who were not sent away to make room are told that their time is up.
    begun = hogs[297]  # half a request
    begun.settimeout(LIMIT)
    answer = read_to_end(begun)
    check(answer.startswith(b"HTTP/1.1 408 "), f"late: {answer[:50]}")
    within(time.monotonic() - began, 3, 15, "seconds until the last hog is let go")
    wait_for(lambda: len(os.listdir(f"/proc/{relay.pid}/fd")) < 40, "all hogs to be let go", 15)
    for hog in hogs:
        hog.close()
    relay.stop().expect(0)


def leaving():
    """SIGTERM: it says so, accepts for the delay, then refuses; what lives goes on to its end."""
    target = Echo()
    relay = Relay("--metrics=:0", "--agent-check=:0", "--drain-delay=3", target=target.address)
    equal(relay.agent(), "ready 100%\n", "the agent-check at first")
    live = relay.client()
    live.sendall(b"a")
    equal(live.recv(1), b"a", "before")
    relay.signal(signal.SIGTERM)
    wait_for(lambda: relay.agent() == "drain\n", "the agent-check to say so")
    equal(relay.get("/healthz"), (503, "draining\n"), "health while it leaves")
    same_bytes(exchange(relay.client(), b"late"), b"late", "a connection during the delay")

    def is_refused():
        try:
            relay.client().close()
            return False
        except ConnectionRefusedError:
            return True
    wait_for(is_refused, "new connections to be refused")
    equal(relay.agent(), "drain\n", "the agent-check while it drains")
    equal(relay.metrics()["draining"], 1, "draining, in the metrics")
    live.sendall(b"b")
    equal(live.recv(1), b"b", "what lives goes on")
    check(relay.running(), "it waits for what lives")
    live.close()
    relay.finish().expect(0)
    # A second signal does not wait for the delay.
    relay = Relay("--drain-delay=60", target=target.address)
    relay.signal(signal.SIGTERM)
    relay.logged("info leaving milliseconds=60000")
    relay.signal(signal.SIGTERM)
    relay.finish(5).expect(143)


each(lambda part: part(), [true_counters, pages, hogs, leaving])

for option in ("metrics", "agent-check"):
    taken = tcp_listener()
    port = taken.getsockname()[1]
    sluice("relay", f"--{option}=127.0.0.1:{port}", ":0", ":1").refused(
        1, rf"cannot listen on '127.0.0.1:{port}' \(--{option}\): Address already in use")
    sluice("relay", f"--{option}=unix:/x", ":0", ":1").refused(2, rf"--{option}=unix:/x: HOST:PORT")
    sluice("relay", f"--{option}=:99999", ":0", ":1").refused(2, rf"--{option}=:99999: ")
PY
