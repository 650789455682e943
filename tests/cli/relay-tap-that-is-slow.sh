#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A tap that nobody reads, under each policy: the connection goes on as if it were not there, but with
# `wait`; what the tap has is what its policy promises, and what it misses is counted to the byte.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *

SIZE = (24 if os.environ.get("SLUICE_SANITIZER") else 64) << 20
DATA = random_bytes(SIZE)


class Slow:
    """A collector that accepts, and reads when it is told to."""

    def __init__(self):
        self.listener = tcp_listener()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.listener.listen(8)
        self.word = f"tcp:127.0.0.1:{self.listener.getsockname()[1]}"

    def read(self):
        peer = self.listener.accept()[0]
        peer.settimeout(LIMIT)
        return read_to_end(peer)


class Through:
    """One client that sends it all, through a relay with one tap, to a target that reads it all."""

    def __init__(self, tap, *options, data=DATA, beside=None):
        self.data = data
        self.target = beside.target if beside else tcp_listener()
        self.target.listen(4)
        self.relay = beside.relay if beside else Relay(
            "--metrics=:0", "--tap", tap, *options,
            target=f"127.0.0.1:{self.target.getsockname()[1]}")
        self.client = self.relay.client()
        self.peer = self.target.accept()[0]
        self.peer.settimeout(LIMIT)
        self.got = None
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]
        for thread in self.threads:
            thread.start()

    def send(self):
        self.client.sendall(self.data)
        self.client.shutdown(socket.SHUT_WR)

    def receive(self):
        self.got = read_to_end(self.peer)

    def is_through(self, seconds=LIMIT):
        for thread in self.threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self.threads)

    def finish(self):
        check(self.is_through(), "the connection comes to its end")
        same_bytes(self.got, self.data, "what was relayed")
        self.peer.close()
        equal(read_to_end(self.client), b"", "the end of the other direction")
        self.client.close()

    def counted(self, what):
        return self.relay.metrics()[f'tap_{what}{{direction="to_target"}}']

    def delivered(self):
        return self.relay.metrics().total(r'tap_bytes_total\{direction="to_target",.*')


def detach():
    """The default. What it has is an exact prefix."""
    for tail in ("", ",slow=detach,lag=1M"):
        slow = Slow()
        through = Through(f"{slow.word},from=client{tail}")
        through.finish()
        said = through.relay.logged(r"warning tap too slow id=0 from=client to=(\S+).* delivered=(\d+) lost=(\d+)")
        got = slow.read()
        same_bytes(got, DATA[:len(got)], "the prefix that it has")
        equal(len(got), int(said.group(2)), "its length, in the log")
        equal(through.delivered(), len(got), "its length, in the metrics")
        equal(through.counted("dropped_bytes_total"), int(said.group(3)), "what it missed")
        equal(through.relay.metrics()['tap_failures_total{reason="too slow"}'], 1, "failures")
        through.relay.stop().expect(0)


def drop():
    """It misses whole pieces, and goes on when it is read again."""
    slow = Slow()
    through = Through(f"{slow.word},from=client,slow=drop,lag=2M")
    check(through.is_through(), "the connection is not held up")
    got = []
    reader = threading.Thread(target=lambda: got.append(slow.read()))
    reader.start()
    through.finish()
    reader.join(LIMIT)
    wait_for(lambda: through.relay.metrics()["taps"] == 0, "the tap to end")
    missed = through.counted("dropped_bytes_total")
    check(missed > 0, "something was missed")
    equal(len(got[0]) + missed, SIZE, "what it got and what it missed")
    equal(through.delivered(), len(got[0]), "what it got, in the metrics")
    through.relay.logged(rf"warning tap incomplete id=0 from=client .*delivered={len(got[0])} lost={int(missed)}")
    # What there is comes in order, from the beginning on.
    same_bytes(got[0][:1 << 16], DATA[:1 << 16], "the first bytes")
    through.relay.stop().expect(0)


def wait():
    """The connection waits for it, and everything arrives."""
    slow = Slow()
    through = Through(f"{slow.word},from=client,slow=wait")
    check(not through.is_through(0.7), "the connection waits for its tap")
    before = cpu_of(through.relay.pid)
    time.sleep(0.5)
    check(cpu_of(through.relay.pid) - before < 0.2, "and nothing spins meanwhile")
    got = []
    reader = threading.Thread(target=lambda: got.append(slow.read()))
    reader.start()
    through.finish()
    reader.join(LIMIT)
    same_bytes(got[0], DATA, "the tap")
    equal(through.counted("dropped_bytes_total"), 0, "what it missed")
    through.relay.stop().expect(0).never_says("tap")


def spill():
    """The rest waits in a file without a name; nothing is lost, and nobody waits."""
    slow, where = Slow(), scratch()
    through = Through(f"{slow.word},from=client,slow=spill={where},lag=1M")
    through.finish()
    check(through.counted("lag_bytes") > SIZE / 2, "most of it waits")
    no_leftovers(where)
    got = slow.read()
    same_bytes(got, DATA, "the tap")
    wait_for(lambda: through.relay.metrics()["taps"] == 0, "the tap to end")
    equal(through.counted("dropped_bytes_total"), 0, "what it missed")
    no_leftovers(where)
    through.relay.stop().expect(0).never_says("tap")


def ends_in_good_order():
    """SIGTERM: what waits for taps is delivered first; a second one, or the timeout, cuts it off, and
    says what is lost."""
    slow, where = Slow(), scratch()
    through = Through(f"{slow.word},from=client,slow=spill={where},lag=1M")
    through.finish()
    through.relay.signal(signal.SIGTERM)
    through.relay.logged("info draining connections=0")
    time.sleep(0.2)
    check(through.relay.running(), "it waits for the tap")
    same_bytes(slow.read(), DATA, "the tap, while it drains")
    through.relay.finish().expect(0).never_says("tap")
    for second in (True, False):
        slow = Slow()
        through = Through(f"{slow.word},from=client,slow=wait,lag=32M,lag-pipes=200",
                          "--drain-timeout=0.5", data=DATA[:12 << 20])
        through.finish()
        through.relay.signal(signal.SIGTERM)
        if second:
            through.relay.logged("info draining")
            through.relay.signal(signal.SIGTERM)
        through.relay.finish().expect(143 if second else 0).says(
            r"warning tap incomplete id=0 .*delivered=\d+ lost=\d+$")
        got = slow.read()
        same_bytes(got, DATA[:len(got)], "the prefix that it has")


def is_cut_off_in_each_thread():
    """Taps that go on alone in several threads, when their time is up: all are told, and the relay ends."""
    slow = Slow()
    tap = f"{slow.word},from=client,slow=wait,lag=32M,lag-pipes=200"
    first = Through(tap, "-t", "2", "--drain-timeout=0.3", data=DATA[:8 << 20])
    second = Through(tap, data=DATA[:8 << 20], beside=first)
    first.finish()
    second.finish()
    first.relay.signal(signal.SIGTERM)
    result = first.relay.finish().expect(0)
    for number in (0, 1):
        result.says(rf"warning tap incomplete id={number} .*delivered=\d+ lost=\d+$")


def cpu_of(pid):
    fields = proc(pid, "stat").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


each(lambda part: part(), [detach, drop, wait, spill, ends_in_good_order, is_cut_off_in_each_thread])
PY
