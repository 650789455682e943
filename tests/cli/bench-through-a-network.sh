#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two machines, `sluice bench --to` on one and `sluice bench --peer` on the other, with a veth pair between:
# everything with TCP is measured through it, and nothing else; the peer takes no harm from who speaks
# nonsense, and ends when it is told to.
# timeout: 180
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import signal
import socket
import time

PEER = [os.environ["SLUICE"], "bench", "--peer"]
directory = scratch()


def listening(process):
    line = process.stderr.readline().decode()
    matches(line, r"listening on .*:\d+", "the peer's first line")
    return int(line.strip().rsplit(":", 1)[1])


# ---- on one machine ----
peer = subprocess.Popen([*PEER, "127.0.0.1:0"], stderr=subprocess.PIPE)
port = listening(peer)


def talk(data, give_up=20):
    with socket.create_connection(("127.0.0.1", port), timeout=give_up) as connection:
        answer = b""
        try:  # who speaks nonsense is left at once
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                answer += more
        except OSError:
            pass
        return answer


equal(talk(b"sluice-bench 1 take\n" + b"x" * 100000), b"taken 100000\n", "what was taken")
equal(len(talk(b"sluice-bench 1 give 100001\n")), 100001, "what was given")
for nonsense in (b"", b"GET / HTTP/1.1\r\n\r\n", b"sluice-bench 2 take\n", b"sluice-bench 1 give -1\n",
                 b"sluice-bench 1 give 99999999999999999999\n", b"\0" * 300, b"x" * 70000):
    equal(talk(nonsense), b"", f"the answer to {nonsense[:30]}")
many = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
for connection in many:
    connection.close()
equal(talk(b"sluice-bench 1 take\nx"), b"taken 1\n", "after twenty who said nothing")

# Nobody there; words that are wrong.
sluice("bench", "--to=127.0.0.1:1", "--disk", directory).refused(1, "peer")
sluice("bench", "--to=", "--disk", directory).refused(2, "--to")
sluice("bench", "--peer=host:port:x").refused(2, "--peer")
done = sluice("bench", f"--peer=127.0.0.1:{port}")
done.refused(1, "cannot listen")

found = json.loads(sluice("bench", "--json", f"--to=127.0.0.1:{port}", "--disk", directory, "--size=4M",
                          "--rounds=1", "--only=tcp-tcp", "--only=file-tcp", "--only=tcp-file",
                          "--method=splice", "--method=sendfile", "--chunk=64K", "--time=30").expect(0).out)
equal({group["path"] for group in found["groups"]}, {"tcp-tcp", "file-tcp", "tcp-file"}, "paths")
equal(found["peer"], f"127.0.0.1:{port}", "the peer")
for group in found["groups"]:
    for cell in group["methods"]:
        check("error" not in cell or "cold" in group["cache"], cell)
        if "error" not in cell:
            equal(cell["network_bytes_derived"], 0, "DMA of a card, where there is none")
peer.send_signal(signal.SIGTERM)
equal(peer.wait(10), 128 + signal.SIGTERM, "status of the peer")

# ---- through a veth pair ----
if not ROOT:
    skip("a veth pair needs root")
far = subprocess.Popen(["unshare", "-n", "sleep", "100"])
near = subprocess.Popen(["unshare", "-n", "sleep", "100"])
try:
    for _ in range(100):
        if all(os.readlink(f"/proc/{one.pid}/ns/net") != os.readlink("/proc/self/ns/net") for one in (far, near)):
            break
        time.sleep(0.02)

    def inside(one, *command, **options):
        return subprocess.run(["nsenter", "-t", str(one.pid), "-n", *command], check=True, **options)

    inside(near, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(far.pid))
    for one, name, address in ((near, "near", "10.77.0.1/24"), (far, "far", "10.77.0.2/24")):
        inside(one, "ip", "address", "add", address, "dev", name)
        inside(one, "ip", "link", "set", name, "up")
    peer = subprocess.Popen(["nsenter", "-t", str(far.pid), "-n", *PEER, "10.77.0.2:0"],
                            stderr=subprocess.PIPE)
    port = listening(peer)
    done = inside(near, os.environ["SLUICE"], "bench", "--json", f"--to=10.77.0.2:{port}", "--disk", directory,
                  "--size=4M", "--rounds=5", "--only=file-tcp", "--method=read-write", "--method=splice",
                  "--chunk=64K", "--time=40", capture_output=True, timeout=90)
    found = json.loads(done.stdout)
    cells = {cell["method"]: cell for cell in found["groups"][0]["methods"]}
    equal(len(cells["splice"]["runs"]), 5, "runs through the veth pair")
    check(cells["splice"]["throughput"]["low"] > 0, cells["splice"])
    check(any("network card" in note for note in found["notes"]), found["notes"])
    counters = inside(near, "cat", "/proc/self/net/dev", capture_output=True).stdout.decode()
    sent = int(re.search(r"near:(.*)", counters).group(1).split()[8])
    moved = sum(cell["bytes"] * len(cell["runs"]) for cell in cells.values())
    check(sent > moved, f"{moved} bytes were measured, {sent} went through the pair")
    peer.send_signal(signal.SIGINT)
    equal(peer.wait(10), 128 + signal.SIGINT, "status of the peer")
finally:
    far.kill(), near.kill()
    far.wait(), near.wait()
no_leftovers(directory)
PY
