#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A listener says where it listens, binds the loopback address unless told otherwise, takes one
# peer, stops listening, and leaves no path behind.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(100000)
directory = scratch()
out = f"{directory}/out"


def listening_addresses(pid):
    """Local addresses of the process's listening TCP sockets, as /proc/net has them."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            match = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            continue
        if match:
            inodes.add(match.group(1))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in proc("self", f"net/{table}").splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and fields[3] == "0A":
                found.add(fields[1].split(":")[0])
    return found


for address, bound, said in (("tcp-listen:0", "0100007F", r"127\.0\.0\.1:\d+"),
                             ("tcp-listen:127.0.0.1:0", "0100007F", r"127\.0\.0\.1:\d+"),
                             ("tcp-listen:0.0.0.0:0", "00000000", r"0\.0\.0\.0:\d+"),
                             ("tcp-listen:[::1]:0", "0" * 24 + "01000000", r"\[::1\]:\d+"),
                             ("tcp-listen:[::]:0", "0" * 32, r"\[::\]:\d+")):
    if "[" in address and not os.path.exists("/proc/net/if_inet6"):
        note("no IPv6 here")
        continue
    running = start("copy", address, out)
    text = running.address()
    check(re.fullmatch(said, text), f"{address} says it listens on {text}")
    equal(running.err(), f"listening on {text}\n" if running.err().startswith("listening") else
          f"sluice: listening on {text}\n", "the line")
    equal(listening_addresses(running.pid), {bound}, f"bound by {address}")
    port = int(text.rsplit(":", 1)[1])
    host = "::1" if "[" in address else "127.0.0.1"
    peer = socket.create_connection((host, port))
    wait_for(lambda: not listening_addresses(running.pid), f"{address} to stop listening")
    try:
        socket.create_connection((host, port), timeout=2).close()
        problem(f"{address}: a second peer was let in")
    except OSError:
        pass
    Feeder(peer, data)
    running.finish().expect(0)
    same_bytes(content(out), data, address)

# A port of one's choice, at once again after use.
chosen = tcp_listener()
port = chosen.getsockname()[1]
chosen.close()
for _ in range(2):
    running = start("copy", f"tcp-listen:{port}", out)
    equal(running.address(), f"127.0.0.1:{port}", "the port")
    Feeder(socket.create_connection(("127.0.0.1", port)), data)
    running.finish().expect(0)

# UNIX: the path is there while it listens, and gone when the peer has come.
path = f"{directory}/socket"
running = start("copy", f"unix-listen:{path}", out)
equal(running.address(), path, "the path")
check(stat.S_ISSOCK(os.stat(path).st_mode), "no socket at the path")
peer = socket.socket(socket.AF_UNIX)
peer.connect(path)
wait_for(lambda: not os.path.exists(path), "the path to be removed")
Feeder(peer, data)
running.finish().expect(0)
same_bytes(content(out), data, "unix-listen:")

# A comma and a backslash in the path.
odd = "unix-listen:" + f"{directory}/a\\,b\\\\c"
running = start("copy", odd, out)
wait_for(lambda: os.path.exists(f"{directory}/a,b\\c"), "a path with a comma and a backslash")
sender = start("copy", file_with(data), f"unix:{directory}/a\\,b\\\\c,connect-timeout=5")
running.finish().expect(0)
sender.finish().expect(0)
same_bytes(content(out), data, "a path with a comma and a backslash")

# With --quiet the line is still said, or nobody would know the port.
running = start("copy", "-q", "tcp-listen:0", out)
Feeder(running.connect(), data)
running.finish().expect(0)

# The other way round, with both ends ours, and IPv6 and host names.
for sink, source in (("tcp-listen:0", "tcp:{}"),
                     ("tcp-listen:localhost:0", "tcp:localhost:{port}")):
    running = start("copy", file_with(data), sink)
    text = running.address()
    copy(source.format(text, port=text.rsplit(":", 1)[1]), out).expect(0)
    running.finish().expect(0)
    same_bytes(content(out), data, f"{sink} as a sink")
PY
