#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A target that refuses, that does not answer at all, or that dies: the client gets a clean close (or, in
# mid-stream, a reset), never a wait without end, and the log a line that says why. Other targets
# are tried; one that fails is set aside, and used again when it is back.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import contextlib, select, struct

T = scratch()

def listener(port=0):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", port))
    one.listen(50)
    one.settimeout(20)
    return one

@contextlib.contextmanager
def relay(*words):
    log = open(os.path.join(T, "log"), "w+b")
    process = subprocess.Popen([*SLUICE, "relay", *words], stderr=log)
    def text():
        with open(os.path.join(T, "log"), "rb") as file:
            return file.read().decode()
    until = time.monotonic() + 20
    while "listening on" not in text():
        assert time.monotonic() < until and process.poll() is None, text()
        time.sleep(0.02)
    port = int(re.search(r"listening on \S*:(\d+)", text()).group(1))
    def logged(pattern, seconds=10):
        until = time.monotonic() + seconds
        while not re.search(pattern, text()):
            assert time.monotonic() < until, f"no {pattern!r} in:\n{text()}"
            time.sleep(0.02)
    try:
        yield port, logged, process
    finally:
        process.terminate()
        assert process.wait(40) == 0, "status of the relay"
        log.close()

def client(port):
    one = socket.create_connection(("127.0.0.1", port), 20)
    one.settimeout(20)
    return one

def port_of(one):
    return one.getsockname()[1]

# Refused. The client, which has sent something, is told the end in good order.
gone = listener(); nobody = port_of(gone); gone.close()
with relay(":0", f":{nobody}") as (port, logged, _):
    one = client(port)
    one.sendall(b"x" * 100000)
    equal(one.recv(1), b"", "what comes from no target")
    one.close()
    logged(r"cannot connect.*ECONNREFUSED")
    logged(r"no target")
    for _ in range(4):
        equal(client(port).recv(1), b"", "what comes from no target")
    logged(r"set aside")
    back = listener(nobody)  # and it is back: tried again, since there is no other
    one = client(port)
    one.sendall(b"again")
    other = back.accept()[0]
    equal(other.recv(5), b"again", "through the target that is back")
    one.close(); other.close(); back.close()

# Several: the one that refuses costs nothing but a line.
alive = listener()
with relay("--balance", "round-robin", ":0", f":{nobody}", f":{port_of(alive)}") as (port, logged, _):
    for i in range(12):
        one = client(port)
        one.sendall(b"%2d" % i)
        other = alive.accept()[0]
        equal(other.recv(2), b"%2d" % i, "through the one that is alive")
        one.close(); other.close()
    logged(r"set aside")

# A UNIX target whose path does not exist, one with no listener.
with relay(":0", f"unix:{T}/none") as (port, logged, _):
    equal(client(port).recv(1), b"", "what comes from no target")
    logged(r"cannot connect.*ENOENT")

# Never answers: a queue that is full, for TCP (the SYN goes nowhere).
full = socket.socket(); full.bind(("127.0.0.1", 0)); full.listen(0)
fill = []
for _ in range(8):
    one = socket.socket(); one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        one.connect(("127.0.0.1", port_of(full)))
    fill.append(one)
time.sleep(0.3)
with relay("--connect-timeout", "0.5", ":0", f":{port_of(full)}") as (port, logged, _):
    begun = time.monotonic()
    equal(client(port).recv(1), b"", "what comes from a black hole")
    took = time.monotonic() - begun
    assert 0.4 < took < 5, f"{took} s for a connect timeout of half a second"
    logged(r"cannot connect.*ETIMEDOUT")

# The target dies in mid-stream: by a reset, which is passed on once what it sent has arrived.
with relay(":0", f":{port_of(alive)}") as (port, logged, _):
    one = client(port)
    one.sendall(b"hello")
    other = alive.accept()[0]
    equal(other.recv(5), b"hello", "what was sent")
    other.sendall(b"y" * 50000)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()
    got = b""
    try:
        while chunk := one.recv(65536):
            got += chunk
        end = "end"
    except ConnectionResetError:
        end = "reset"
    equal(end, "reset", "how a stream that was cut off ends")
    # ... and by an end, which is an end.
    one = client(port)
    other = alive.accept()[0]
    other.sendall(b"bye"); other.close()
    equal(one.recv(10), b"bye", "the last words")
    equal(one.recv(10), b"", "the end")
    one.close()

# Half-close: the client's end is passed on, and the answer comes after it.
with relay(":0", f":{port_of(alive)}") as (port, logged, _):
    one = client(port)
    one.sendall(b"question"); one.shutdown(socket.SHUT_WR)
    other = alive.accept()[0]
    equal(other.recv(100), b"question", "the question")
    equal(other.recv(100), b"", "its end")
    time.sleep(0.1)
    other.sendall(b"answer"); other.close()
    equal(one.recv(100), b"answer", "the answer after the end")
    equal(one.recv(100), b"", "its end")

# A small message is not held back, however it goes.
with relay(":0", f":{port_of(alive)}") as (port, logged, _):
    one = client(port)
    other = alive.accept()[0]
    for size in (1, 100, 20000, 40000, 200000, 1, 1):
        begun = time.monotonic()
        got = 0
        one.sendall(b"z" * size)
        while got < size:
            got += len(other.recv(1 << 20))
        took = time.monotonic() - begun
        assert took < 0.15, f"{size} bytes took {took:.3f} s"
    one.close(); other.close()

# Idle connections end, those that move do not.
with relay("--idle-timeout", "0.6", ":0", f":{port_of(alive)}") as (port, logged, _):
    idle, busy = client(port), client(port)
    ends = [alive.accept()[0], alive.accept()[0]]
    begun = time.monotonic()
    ended = False
    while time.monotonic() - begun < 1.5:
        busy.sendall(b".")
        ready = select.select([idle], [], [], 0.1)[0]
        if ready and not ended:
            equal(idle.recv(1), b"", "the idle one")
            ended = True
    assert ended, "the idle connection did not end"
    busy.sendall(b".")
    logged(r"idle")
    busy.close()
PY
