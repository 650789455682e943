#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples/proxy.c: both directions at once, half-close, many connections, a peer that resets, a
# server that is not there; and it idles at no CPU.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_command python3

cat >"$T/test.py" <<'PY'
import hashlib, os, random, socket, struct, subprocess, sys, threading, time

program, directory = sys.argv[1:]

def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener

def start(target):
    log = os.path.join(directory, "log")
    proxy = subprocess.Popen([program, "0", f"127.0.0.1:{target}"], stderr=open(log, "w"))
    until = time.monotonic() + 20
    while "listening on" not in open(log).read():
        assert time.monotonic() < until and proxy.poll() is None, open(log).read()
        time.sleep(0.01)
    return proxy, int(open(log).read().split(":")[1].split()[0])

def digest_of(connection):
    digest = hashlib.sha256()
    while piece := connection.recv(1 << 16):
        digest.update(piece)
    return digest.hexdigest()

listener = listen()
proxy, port = start(listener.getsockname()[1])
failed = []

# The server sends its own bytes at once, and after the client's end the digest of what came.
def serve(connection, own):
    with connection:
        sender = threading.Thread(target=connection.sendall, args=(own,))
        sender.start()
        digest = digest_of(connection)
        sender.join()
        connection.sendall(digest.encode())

def one(number):
    chance = random.Random(number)
    mine, theirs = chance.randbytes(chance.randrange(2 << 20)), None
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(60)
        sender = threading.Thread(target=lambda: (client.sendall(mine),
                                                  client.shutdown(socket.SHUT_WR)))
        sender.start()
        came = bytearray()
        while piece := client.recv(1 << 16):
            came += piece
        sender.join()
    if bytes(came[-64:]).decode() != hashlib.sha256(mine).hexdigest():
        failed.append(f"{number}: what the server got")
    if hashlib.sha256(came[:-64]).hexdigest() not in sent:
        failed.append(f"{number}: what the client got")

sent = set()
def accept(count):
    for number in range(count):
        connection, _ = listener.accept()
        own = random.Random(-1 - number).randbytes(100000 + number * 1000)
        sent.add(hashlib.sha256(own).hexdigest())
        threading.Thread(target=serve, args=(connection, own)).start()

COUNT = 40
acceptor = threading.Thread(target=accept, args=(COUNT,))
acceptor.start()
clients = [threading.Thread(target=one, args=(n,)) for n in range(COUNT)]
for client in clients:
    client.start()
for client in clients:
    client.join(100)
assert not any(client.is_alive() for client in clients), "a connection hangs"
assert not failed, failed

# A client that resets is passed on, and does no harm.
client = socket.create_connection(("127.0.0.1", port))
client.sendall(b"x")
server, _ = listener.accept()
assert server.recv(10) == b"x"
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
server.settimeout(20)
try:
    assert server.recv(10) == b""
except ConnectionResetError:
    pass

# Everything is closed again, and with a connection open it idles at no CPU.
client = socket.create_connection(("127.0.0.1", port))
server, _ = listener.accept()
until = time.monotonic() + 20
while len(os.listdir(f"/proc/{proxy.pid}/fd")) > 3 + 2 + 2 + 16:
    assert time.monotonic() < until, os.listdir(f"/proc/{proxy.pid}/fd")
    time.sleep(0.01)
def ticks():
    return sum(map(int, open(f"/proc/{proxy.pid}/stat").read().split(")")[1].split()[11:13]))
before = ticks()
time.sleep(1)
assert ticks() - before <= 5, ticks() - before
proxy.kill()
proxy.wait()

# Nobody listens there.
listener.close()
gone = listen()
proxy, port = start(gone.getsockname()[1])
gone.close()
client = socket.create_connection(("127.0.0.1", port))
client.settimeout(20)
try:
    assert client.recv(1) == b""
except ConnectionResetError:
    pass
assert proxy.poll() is None
proxy.kill()
proxy.wait()
PY
python3 "$T/test.py" "$BUILD_ROOT/examples/example-proxy" "$T"

expect_status 2 "$BUILD_ROOT/examples/example-proxy" 1
expect_status 1 "$BUILD_ROOT/examples/example-proxy" 0 nonsense
