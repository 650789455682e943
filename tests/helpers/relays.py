# SPDX-License-Identifier: MIT
"""`sluice relay` and what stands around it: targets that record, clients, and what it tells of itself."""
import http.client
import re
import socket
import threading

from peers import tcp_listener
from scenario import Running, equal
from verdicts import LIMIT, check, fail, wait_for


class Echo:
    """A target: sends back what it is sent, and keeps what each connection sent."""

    def __init__(self, listener=None):
        self.listener = listener or tcp_listener()
        self.listener.listen(64)
        self.listener.settimeout(None)
        self.received = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            self.received.append(bytearray())
            threading.Thread(target=self._echo, args=(peer, self.received[-1]),
                             daemon=True).start()

    @staticmethod
    def _echo(peer, kept):
        with peer:
            try:
                while True:
                    piece = peer.recv(65536)
                    if not piece:
                        return
                    kept += piece
                    peer.sendall(piece)
            except OSError:
                return

    @property
    def address(self):
        name = self.listener.getsockname()
        return f"unix:{name}" if isinstance(name, str) else f"127.0.0.1:{name[1]}"


class Relay(Running):
    """The command `sluice relay`. Listens on any port of loopback, if nothing else is said."""

    def __init__(self, *arguments, target=(), listen=":0", **options):
        targets = [target] if isinstance(target, str) else list(target)
        super().__init__(["relay", *arguments, listen, *targets], **options)
        self.at = self.address()

    def port(self, of):
        """Of --metrics or --agent-check."""
        line = wait_for(lambda: re.search(rf"^{of} on \S+:(\d+)$", self.err(), re.M), f"'{of} on'")
        return int(line.group(1))

    def client(self, source=None):
        if "/" in self.at:
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(self.at.removeprefix("unix:"))
        else:
            host, port = self.at.rsplit(":", 1)
            peer = socket.create_connection((host.strip("[]"), int(port)),
                                            source_address=source and (source, 0))
        peer.settimeout(LIMIT)
        return peer

    def get(self, path, method="GET"):
        """(status, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port("metrics"), timeout=LIMIT)
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def metrics(self):
        status, text = self.get("/metrics")
        equal(status, 200, "the status of /metrics")
        return Metrics(text)

    def agent(self):
        with socket.create_connection(("127.0.0.1", self.port("agent-check"))) as peer:
            peer.settimeout(LIMIT)
            return read_to_end(peer).decode()

    def logged(self, pattern, seconds=10):
        """Waits for a line of the log."""
        return wait_for(lambda: re.search(pattern, self.err(), re.M),
                        f"/{pattern}/ in the log:\n{self.err()}", seconds)

    def stop(self):
        import signal
        self.signal(signal.SIGTERM)
        return self.finish()


def read_to_end(peer):
    """What comes until the end; a reset counts as one."""
    data = bytearray()
    try:
        while piece := peer.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    except TimeoutError:
        fail(f"neither bytes nor the end came, after {len(data)} bytes")
    return bytes(data)


def exchange(peer, data):
    """Sends it, and the end; returns what comes back until the end. Closes."""
    with peer:
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return read_to_end(peer)


class Metrics:
    """Prometheus' text format 0.0.4, read as strictly as promtool reads it."""

    NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
    LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
    SAMPLE = re.compile(rf"^({NAME})(\{{{LABEL}(?:,{LABEL})*\}})? (\S+)$")

    def __init__(self, text):
        self.values, self.types = {}, {}
        helped, family = set(), None
        check(text.endswith("\n"), "the last line of the metrics has an end")
        for line in text.splitlines():
            if match := re.match(rf"^# HELP ({self.NAME}) \S.*\.$", line):
                check(match.group(1) not in helped, f"HELP twice: {line}")
                helped.add(match.group(1))
            elif match := re.match(rf"^# TYPE ({self.NAME}) (counter|gauge|histogram)$", line):
                family = match.group(1)
                check(family in helped, f"TYPE without HELP: {line}")
                check(family not in self.types, f"TYPE twice: {line}")
                self.types[family] = match.group(2)
            elif match := self.SAMPLE.match(line):
                self._sample(family, line, *match.groups())
            else:
                fail(f"no line of metrics: {line!r}")
        for name, kind in self.types.items():
            check((kind == "counter") == name.endswith("_total"), f"the name of a {kind}: {name}")
            if kind == "histogram":
                self._check_histogram(name)

    def _sample(self, family, line, name, labels, value):
        base = name
        if self.types.get(family) == "histogram":
            base = re.sub(r"_(bucket|sum|count)$", "", name)
        check(base == family, f"a sample outside of its family {family}: {line}")
        key = name + (labels or "")
        check(key not in self.values, f"a sample twice: {line}")
        self.values[key] = float(value)

    def _check_histogram(self, name):
        buckets = [(float(re.search(r'le="([^"]+)"', key).group(1)), value)
                   for key, value in self.values.items() if key.startswith(name + "_bucket")]
        check(buckets == sorted(buckets), f"buckets in order: {buckets}")
        check(all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), f"cumulative: {buckets}")
        equal(buckets[-1], (float("inf"), self.values[name + "_count"]), "the last bucket")

    def __getitem__(self, key):
        """m["connections_active"], m['bytes_total{direction="to_target"}']"""
        return self.values["sluice_relay_" + key]

    def total(self, name):
        return sum(value for key, value in self.values.items()
                   if re.match(rf"sluice_relay_{name}(\{{|$)", key))
