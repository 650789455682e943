#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples/broadcast.c: every reader gets every byte from when it came, one that stands still is
# disconnected and holds up nobody, one that leaves is no trouble.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_command python3

cat >"$T/test.py" <<'PY'
import hashlib, os, socket, subprocess, sys, threading, time

program, directory = sys.argv[1:]
log = open(os.path.join(directory, "log"), "w+")
server = subprocess.Popen([program, "0"], stdin=subprocess.PIPE, stderr=log, bufsize=0)

def wait_for(condition, what):
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until or server.poll() not in (None, 0):
            sys.exit(f"FAIL: {what}: {open(log.name).read()}")
        time.sleep(0.01)

def said(words):
    return words in open(log.name).read()

wait_for(lambda: said("listening on"), "it does not listen")
port = int(open(log.name).read().split(":")[1].split()[0])

def connect(receive=None):
    reader = socket.socket()
    if receive:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    reader.connect(("127.0.0.1", port))
    # It is one of the readers once it gets something.
    reader.settimeout(60)
    while True:
        server.stdin.write(b"\0")
        reader.settimeout(0.05)
        try:
            assert reader.recv(1) == b"\0"
            break
        except socket.timeout:
            pass
    reader.settimeout(60)
    return reader

got, progress = {}, [0, 0, 0]
def read(name, reader):
    digest, length = hashlib.sha256(), 0
    while piece := reader.recv(1 << 16):
        piece = piece.lstrip(b"\0") if length == 0 else piece
        digest.update(piece)
        length += len(piece)
        progress[name] = length
    got[name] = (length, digest.hexdigest())

stalled = connect(4096)
leaving = connect()
readers = [connect() for _ in range(3)]
leaving.close()
threads = [threading.Thread(target=read, args=(n, r)) for n, r in enumerate(readers)]
for thread in threads:
    thread.start()

digest, length = hashlib.sha256(), 0
sizes = [1, 100, 4095, 4096, 5000, 65536, 300000]
for number in range(400):
    piece = bytes([number % 255 + 1]) * sizes[number % len(sizes)]
    digest.update(piece)
    length += len(piece)
    server.stdin.write(piece)
    # None of these three may fall so far behind that it is disconnected, on any machine.
    wait_for(lambda: length - min(progress) < 1 << 19, "a reader gets nothing")
server.stdin.close()
for thread in threads:
    thread.join(60)
assert server.wait(60) == 0, server.returncode
for name in range(3):
    assert got.get(name) == (length, digest.hexdigest()), (name, got.get(name), length)
assert said("too slow"), open(log.name).read()
PY
python3 "$T/test.py" "$BUILD_ROOT/examples/example-broadcast" "$T"

expect_status 2 "$BUILD_ROOT/examples/example-broadcast"
