#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SIGTERM: no new connections, those that live finish, at most for the drain timeout. SIGHUP: new
# targets for new connections. A second signal ends it at once. Passed descriptors. Limits of rate and
# number.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import contextlib

T = scratch()

def listener():
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    one.listen(50)
    one.settimeout(20)
    return one

def port_of(one):
    return one.getsockname()[1]

class Relay:
    def __init__(self, *words, **more):
        self.log = os.path.join(T, f"log.{time.monotonic_ns()}")
        self.process = subprocess.Popen(
            [*SLUICE, "relay", *words], stderr=open(self.log, "wb"), **more)
        self.wait_for("listening on")
        self.port = int((re.search(r"listening on \S*:(\d+)", self.text()) or [0, 0])[1])
    def text(self):
        with open(self.log, "rb") as file:
            return file.read().decode()
    def wait_for(self, pattern, times=1):
        until = time.monotonic() + 20
        while len(re.findall(pattern, self.text())) < times:
            assert time.monotonic() < until, f"no {pattern!r} in:\n{self.text()}"
            time.sleep(0.01)
    def connect(self):
        one = socket.create_connection(("127.0.0.1", self.port), 20)
        one.settimeout(20)
        return one
    def pair(self, target, words=b"hello"):
        one = self.connect()
        one.sendall(words)
        other = target.accept()[0]
        other.settimeout(20)
        equal(other.recv(100), words, "the greeting")
        return one, other

def is_refused(relay):
    with contextlib.suppress(ConnectionRefusedError):
        relay.connect()
        return False
    return True

target, second = listener(), listener()

# Drain.
relay = Relay(":0", f":{port_of(target)}")
one, other = relay.pair(target)
relay.process.send_signal(signal.SIGTERM)
relay.wait_for("draining")
assert is_refused(relay), "it accepts while it drains"
other.sendall(b"still here"); equal(one.recv(100), b"still here", "while it drains")
assert relay.process.poll() is None
one.close(); other.close()
equal(relay.process.wait(20), 0, "status after a drain")

# Drain timeout: what is left is reset, and the status says so.
relay = Relay("--drain-timeout", "0.3", ":0", f":{port_of(target)}")
one, other = relay.pair(target)
relay.process.send_signal(signal.SIGTERM)
equal(relay.process.wait(20), 1, "status after a drain timeout")
try:
    equal(one.recv(1), b"?", "after a drain timeout")
except ConnectionResetError:
    pass

# A second signal.
relay = Relay(":0", f":{port_of(target)}")
one, other = relay.pair(target)
relay.process.send_signal(signal.SIGINT)
relay.wait_for("draining")
relay.process.send_signal(signal.SIGINT)
equal(relay.process.wait(20), 130, "status after two signals")

# Reload: a file of targets; living connections are left alone; a bad file changes nothing.
path = os.path.join(T, "targets")
def targets(text):
    with open(path, "w") as file:
        file.write(text)
targets(f"# the first\n127.0.0.1:{port_of(target)}\n")
relay = Relay("--targets", path, ":0")
one, other = relay.pair(target)
targets(f"127.0.0.1:{port_of(second)}\n")
relay.process.send_signal(signal.SIGHUP)
relay.wait_for("reloaded")
new, new_other = relay.pair(second)
other.sendall(b"old"); equal(one.recv(10), b"old", "a connection that lived through a reload")
targets("nonsense\n")
relay.process.send_signal(signal.SIGHUP)
relay.wait_for("not reloaded")
relay.pair(second)
os.unlink(path)
relay.process.send_signal(signal.SIGHUP)
relay.wait_for("not reloaded", 2)
relay.process.send_signal(signal.SIGUSR1)
relay.wait_for(r"\d connections now, 3 so far")
relay.process.kill(); relay.process.wait()

# Passed descriptors: as systemd does it.
passed = listener()
def pass_it():
    os.dup2(passed.fileno(), 3)
    os.environ["LISTEN_PID"] = str(os.getpid())
script = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" relay listen-fds "$1"'
kept = os.dup(passed.fileno())
log = os.path.join(T, "passed.log")
os.set_inheritable(passed.fileno(), True)
process = subprocess.Popen(
    ["bash", "-c", f"exec 3<&{passed.fileno()}; " + script, *SLUICE, f":{port_of(target)}"],
    pass_fds=[passed.fileno()], stderr=open(log, "wb"))
one = socket.create_connection(("127.0.0.1", port_of(passed)), 20)
one.sendall(b"passed")
equal(target.accept()[0].recv(10), b"passed", "through a passed socket")
process.terminate()
one.close()
process.wait(40)

# At most so many at once; the next waits until one has gone.
relay = Relay("--max-connections", "1", ":0", f":{port_of(target)}")
one, other = relay.pair(target)
waiting = relay.connect()
waiting.sendall(b"next")
target.settimeout(0.4)
try:
    target.accept()
    raise AssertionError("two connections where one is allowed")
except TimeoutError:
    pass
target.settimeout(20)
one.close(); other.close()
equal(target.accept()[0].recv(10), b"next", "the one that waited")
relay.process.kill(); relay.process.wait()

# A rate.
for option in ("--rate", "--rate-all"):
    relay = Relay(option, "1M", ":0", f":{port_of(target)}")
    one, other = relay.pair(target)
    begun, got = time.monotonic(), 0
    one.setblocking(False)
    data = b"r" * 100000
    sent = 0
    while got < 2 << 20:
        if sent < 2 << 20:
            with contextlib.suppress(BlockingIOError):
                sent += one.send(data[:min(len(data), (2 << 20) - sent)])
        other.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            got += len(other.recv(1 << 20))
    took = time.monotonic() - begun
    assert 1.3 < took < 8, f"{option}: 2 MiB at 1 MiB/s took {took:.2f} s"
    relay.process.kill(); relay.process.wait()
PY
