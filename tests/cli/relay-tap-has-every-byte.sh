#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a tap has is what was relayed, byte for byte: files of a connection's own, one for all, FIFOs,
# UNIX and TCP sockets and passed descriptors, of either direction and both, through conversations of
# random sizes, pieces, pauses and half-closes; and the conversations do not notice.
# timeout: 300
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *

TALKS = 15 if os.environ.get("SLUICE_SANITIZER") else 60


class Talk:
    """A client and a target that each send so much, in pieces, and read until the end."""

    def __init__(self, number, relay, listener, marked=False):
        rng = random.Random(number)
        self.number = number

        def some():
            kind = rng.random()
            return rng.randbytes(rng.randrange(1, 200) if kind < 0.5 else
                                 rng.randrange(1, 50000) if kind < 0.8 else
                                 rng.randrange(1 << 20, 4 << 20))
        self.sent = {"client": some() if rng.random() < 0.9 else b"", "target": some()}
        if marked:  # each sender has a byte of its own
            for mark, side in enumerate(self.sent, 2 * number):
                self.sent[side] = bytes([mark]) * len(self.sent[side])
        self.got = {}
        client = relay.client()
        peer = listener.accept()[0]
        peer.settimeout(LIMIT)
        self.name = "%s:%d" % client.getsockname() if client.family == socket.AF_INET else None
        self.threads = []
        for side, end, other in (("client", client, "target"), ("target", peer, "client")):
            self.threads += [threading.Thread(target=self.send, args=(end, self.sent[side], number)),
                             threading.Thread(target=self.receive, args=(end, other))]
        self.ends = client, peer
        for thread in self.threads:
            thread.start()

    def send(self, end, data, seed):
        rng, at = random.Random(seed), 0
        while at < len(data):
            size = rng.choice((1, 100, 8000, 70000, 1 << 20))
            end.sendall(data[at:at + size])
            at += size
            if rng.random() < 0.1:
                time.sleep(rng.random() / 200)
        end.shutdown(socket.SHUT_WR)

    def receive(self, end, sender):
        self.got[sender] = read_to_end(end)

    def finish(self):
        for thread in self.threads:
            thread.join(LIMIT)
        for end in self.ends:
            end.close()
        for side in self.sent:
            same_bytes(self.got[side], self.sent[side], f"what the {side} sent")


def talk_through(*options, count=TALKS, listen=":0", unix_target=False, marked=False, **more):
    """Conversations, some at a time; returns them and the metrics. The relay has ended by then."""
    if unix_target:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(scratch(), "target"))
        target = f"unix:{listener.getsockname()}"
    else:
        listener = tcp_listener()
        target = f"127.0.0.1:{listener.getsockname()[1]}"
    listener.listen(64)
    listener.settimeout(LIMIT)
    relay = Relay("--metrics=:0", *options, target=target, listen=listen, **more)
    talks = []
    for begun in range(0, count, 10):
        batch = [Talk(n, relay, listener, marked) for n in range(begun, min(begun + 10, count))]
        for talk in batch:
            talk.finish()
        talks += batch
    wait_for(lambda: relay.metrics()["connections_active"] == 0 and relay.metrics()["taps"] == 0,
             "connections and taps to be over")
    metrics = relay.metrics()
    equal(metrics["pipes{state=\"used\"}"], 0, "pipes in use")
    for side, direction in (("client", "to_target"), ("target", "to_client")):
        equal(metrics[f'bytes_total{{direction="{direction}"}}'],
              sum(len(talk.sent[side]) for talk in talks), f"bytes {direction}")
        equal(metrics[f'tap_dropped_bytes_total{{direction="{direction}"}}'], 0, "dropped")
        equal(metrics[f'tap_lag_bytes{{direction="{direction}"}}'], 0, "lag")
    equal(metrics.total("tap_failures_total"), 0, "failures of taps")
    relay.stop().expect(0).never_says("tap")
    return talks, metrics


def tapped(metrics, direction):
    return metrics.total(rf'tap_bytes_total\{{direction="{direction}",class="[a-z-]*"\}}')


def files_of_their_own():
    for options in ((), ("-t", "2")):
        where = scratch()
        talks, metrics = talk_through(*options, "--tap", f"{where}/%n-%c-%d")
        names = {}
        for name in os.listdir(where):
            number, client, side = name.split("-")
            check((client, side) not in names, f"two files of {client}, {side}")
            names[client, side] = content(os.path.join(where, name))
            equal(os.stat(os.path.join(where, name)).st_mode & 0o777, 0o600, "permissions")
        equal(len(names), 2 * len(talks), "files")
        for talk in talks:
            for side in talk.sent:
                same_bytes(names[talk.name, side], talk.sent[side], f"the tap of the {side}")
        for side, direction in (("client", "to_target"), ("target", "to_client")):
            equal(tapped(metrics, direction), sum(len(t.sent[side]) for t in talks), "tapped")
        # A file that is nobody else's is spliced into.
        check(metrics['tap_bytes_total{direction="to_client",class="kernel-copy"}'] > 1 << 20,
              "bytes that were spliced into files")


def one_direction():
    where = scratch()
    talks, metrics = talk_through("--tap", f"{where}/%c,from=client", count=10)
    equal(sorted(os.listdir(where)), sorted(talk.name for talk in talks), "files")
    for talk in talks:
        same_bytes(content(os.path.join(where, talk.name)), talk.sent["client"], "the tap")
    equal(tapped(metrics, "to_client"), 0, "bytes of the other direction")


def one_file_for_all():
    """Both directions of all, in turns: each sender's bytes are there, in pieces, and no others."""
    where = os.path.join(scratch(), "all,of them")
    file_with(b"what was there already\n", where)
    talks, _ = talk_through("-t", "2", "--tap", f"file:{where},lag=32M", count=20,
                            marked=True)
    data = content(where)
    head = b"what was there already\n"
    check(data.startswith(head), "what was there already is kept")
    data = data[len(head):]
    equal(len(data), sum(len(d) for t in talks for d in t.sent.values()), "its size")
    for talk in talks:
        for side, sent in talk.sent.items():
            if sent:
                equal(data.count(sent[:1]), len(sent), f"bytes of the {side} of talk {talk.number}")


class Collector:
    """Reads each connection of a listener, or FIFO, to its end."""

    def __init__(self, listener):
        listener.listen(256)
        self.listener, self.streams, self.threads = listener, [], []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            peer.settimeout(LIMIT)
            self.threads.append(threading.Thread(target=lambda p=peer: self.streams.append(read_to_end(p))))
            self.threads[-1].start()

    def finish(self, count):
        wait_for(lambda: len(self.streams) == count, f"{count} streams; {len(self.streams)} so far")
        return self.streams


def sockets():
    """A connection of its own for each direction of each: a TCP collector, and two UNIX ones told apart."""
    tcp, where = Collector(tcp_listener()), scratch()
    unix = {}
    for side in ("client", "target"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(where, side))
        unix[side] = Collector(listener)
    talks, metrics = talk_through(
        "--tap", f"tcp:127.0.0.1:{tcp.listener.getsockname()[1]},slow=wait",
        "--tap", f"unix:{where}/%d,slow=wait",
        listen=f"unix:{scratch()}/relay", unix_target=True)
    wanted = sorted(sent for talk in talks for sent in talk.sent.values())
    equal(sorted(tcp.finish(2 * len(talks))) == wanted, True, "the streams of the TCP collector")
    for side in unix:
        equal(sorted(unix[side].finish(len(talks))) == sorted(t.sent[side] for t in talks), True,
              f"the streams of the UNIX collector, {side}")
    # What streams is shared, and not copied.
    check(metrics['tap_bytes_total{direction="to_client",class="reference"}'] > 1 << 20,
          "bytes by reference")


def fifos_and_descriptors():
    """A FIFO that is read, and a passed pipe: one for all, so here of one direction, one after another."""
    where = os.path.join(scratch(), "fifo")
    os.mkfifo(where)
    got = bytearray()
    fifo = os.open(where, os.O_RDONLY | os.O_NONBLOCK)
    keep = os.open(where, os.O_WRONLY)  # so that it does not end between two connections
    read_end, write_end = os.pipe()
    passed = bytearray()
    stop = threading.Event()

    def pump(fd, into):
        os.set_blocking(fd, False)
        while True:
            try:
                piece = os.read(fd, 1 << 20)
            except BlockingIOError:
                if stop.is_set():
                    return
                time.sleep(0.002)
                continue
            if not piece:
                return
            into += piece
    pumps = [threading.Thread(target=pump, args=pair) for pair in ((fifo, got), (read_end, passed))]
    for thread in pumps:
        thread.start()
    file = os.path.join(scratch(), "out")
    talks = []
    with open(file, "wb") as out:
        for count in range(3):
            talks += talk_through("--tap", f"{where},from=client,slow=wait", "--tap", "-,from=client",
                                  "--tap", f"fd:{write_end},from=client,slow=wait", count=1,
                                  pass_fds=(write_end,), stdout=out)[0]
    stop.set()
    for thread in pumps:
        thread.join(LIMIT)
    wanted = b"".join(talk.sent["client"] for talk in talks)
    same_bytes(bytes(got), wanted, "the FIFO")
    same_bytes(bytes(passed), wanted, "the passed pipe")
    same_bytes(content(file), wanted, "standard output, a file")
    for fd in (fifo, keep, read_end, write_end):
        os.close(fd)


def calls():
    """Small ones are received once and sent to each; what streams is shared by tee(2)."""
    listener, collector = tcp_listener(), Collector(tcp_listener())
    listener.listen(1)
    relay = Traced(["relay", "--sandbox=never", "--tap",
                    f"tcp:127.0.0.1:{collector.listener.getsockname()[1]},from=client,slow=wait", ":0",
                    f"127.0.0.1:{listener.getsockname()[1]}"], trace=MOVING_CALLS + ",pipe2")
    host, port = relay.address().rsplit(":", 1)
    client = socket.create_connection((host, int(port)))
    peer = listener.accept()[0]
    for _ in range(3):
        client.sendall(b"small")
        equal(peer.recv(10), b"small", "relayed")
        time.sleep(0.1)
    small = [call.name for call in relay.calls() if call.value > 0 and "write" not in call.name]
    data = random_bytes(8 << 20)
    threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR))).start()
    same_bytes(read_to_end(peer), data, "what streams")
    peer.close()
    same_bytes(collector.finish(1)[0], b"small" * 3 + data, "the tap")
    with open(f"/proc/{relay.pid}/task/{relay.pid}/children") as children:
        os.kill(int(children.read().split()[0]), signal.SIGTERM)
    relay.finish().expect(0)
    all_calls = relay.calls()
    equal([name for name in small if name in ("tee", "splice")], [], "calls for small ones")
    equal(small.count("recvfrom"), 3, "receives of small ones")
    equal(small.count("sendto"), 6, "sends of small ones")
    teed = sum(call.value for call in all_calls if call.name == "tee" and call.value > 0)
    check(teed > len(data) / 2, f"{teed} bytes were shared by tee")


import shutil
if not shutil.which("strace"):
    calls = lambda: None
each(lambda part: part(), [files_of_their_own, one_direction, one_file_for_all, sockets,
                           fifos_and_descriptors, calls])
PY
