#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each line of --log-format=json is an object, whatever comes in; and a log that nobody reads stops no
# connection.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *
from schemas import faults

target = Echo()
LEVELS = ("error", "warning", "info", "debug")


def objects():
    relay = Relay("-v", "--log-format=json", "--accept-proxy", "--deny=192.0.2.66",
                  target=[target.address, 'unix:/nowhere/"\\\x1b[2J\n'])
    for _ in range(4):
        exchange(relay.client(), b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello")
    exchange(relay.client(), b"PROXY TCP4 192.0.2.66 192.0.2.2 1 2\r\nhello")
    exchange(relay.client(), b'{"forged": 1}\n' * 3)
    unix = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8" + b'/a"b\n{}\xff\x1b'.ljust(108, b"\0") * 2
    exchange(relay.client(), unix + b"hello")
    relay.signal(signal.SIGHUP)
    relay.logged('"event":"not reloaded"|"event":"reloaded"')
    lines = relay.stop().expect(0).err.splitlines()
    found = [json.loads(line) for line in lines if not line.startswith("listening on ")]
    check(len(found) >= 8, f"lines: {lines}")
    for line in found:
        matches(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", "the time")
        check(line["level"] in LEVELS, f"the level of {line}")
        check(line["event"], f"the event of {line}")
        check("forged" not in line, f"forged: {line}")
        equal(faults("relay", line), [], f"by its schema, {line}")
    closed = [line for line in found if line["event"] == "closed"]
    check(any("192.0.2.1" in str(line.get("client")) for line in closed), f"the client: {closed}")


def nobody_reads():
    """Standard error is a full pipe, whose reader sleeps: lines are lost, connections are not."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, F_SETPIPE_SZ, 4096)
    flags = fcntl.fcntl(write_end, fcntl.F_GETFL)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    running = start("relay", "-v", "--metrics", "127.0.0.1:0", f"fd:{listener.fileno()}",
                    target.address, pass_fds=[listener.fileno()], stderr=write_end)
    metrics = None
    text = b""
    while metrics is None:
        text += os.read(read_end, 4096)
        metrics = re.search(rb"^metrics on \S+:(\d+)$", text, re.M)
    began = time.monotonic()
    for _ in range(300):
        peer = socket.create_connection(listener.getsockname())
        peer.settimeout(LIMIT)
        same_bytes(exchange(peer, b"hello"), b"hello", "with a log that nobody reads")
    within(time.monotonic() - began, 0, 20, "seconds for 300 connections")
    with socket.create_connection(("127.0.0.1", int(metrics.group(1)))) as peer:
        peer.settimeout(LIMIT)
        peer.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        body = read_to_end(peer).split(b"\r\n\r\n", 1)[1].decode()
    lost = Metrics(body)["log_lines_lost_total"]
    check(lost > 0, "lines that were lost are counted")
    equal(fcntl.fcntl(write_end, fcntl.F_GETFL), flags, "the flags of standard error")
    # When somebody reads again, how many are missing is the first thing told.
    os.set_blocking(read_end, False)
    while True:
        try:
            text += os.read(read_end, 65536)
        except BlockingIOError:
            break
    peer = socket.create_connection(listener.getsockname())
    peer.settimeout(LIMIT)
    exchange(peer, b"hello")

    def told():
        try:
            later.extend(os.read(read_end, 65536))
        except BlockingIOError:
            pass
        return re.search(rb"warning log lines lost lines=\d+\n\S+ debug ", later)
    later = bytearray()
    wait_for(told, "the number of lost lines")
    equal(sum(map(int, re.findall(rb"log lines lost lines=(\d+)\n", text + later))), int(lost),
          "lines lost")
    running.signal(signal.SIGTERM)
    running.finish().expect(0)


each(lambda part: part(), [objects, nobody_reads])
sluice("relay", "--log-format=xml", ":0", ":1").refused(2, r"--log-format=xml: text or json")
PY
