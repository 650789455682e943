#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The sandbox and --user, as the kernel tells of the process; that a relay in them still connects by name
# and path, reloads, and cleans up; and what is said where a part of it is missing.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *

VERSION = sluice("--version").out.decode()
SECCOMP = "+seccomp" in VERSION
DENY = helper("seccomp-deny")
target = Echo()


def landlock_here():
    relay = Relay(target=target.address)
    line = relay.logged(r"sandbox is (on|missing) part=landlock(.*)$")
    relay.stop()
    return line.group(1) == "on"


LANDLOCK = landlock_here()


def on_by_default():
    relay = Relay("-t", "2", target=target.address)
    relay.logged("part=seccomp")
    same_bytes(exchange(relay.client(), b"x" * 100000), b"x" * 100000, "in the sandbox")
    for thread in os.listdir(f"/proc/{relay.pid}/task"):
        if "sluice" not in proc(relay.pid, f"task/{thread}/comm"):
            continue  # a sanitizer's
        equal(status_of(f"{relay.pid}/task/{thread}", "NoNewPrivs"), "1", f"thread {thread}")
        equal(status_of(f"{relay.pid}/task/{thread}", "Seccomp"), "2" if SECCOMP else "0",
              f"thread {thread}, seccomp")
    relay.stop().expect(0)
    relay = Relay("--sandbox=never", target=target.address)
    same_bytes(exchange(relay.client(), b"x"), b"x", "outside")
    equal(status_of(relay.pid, "NoNewPrivs"), "0", "NoNewPrivs with --sandbox=never")
    lacks(relay.err(), "sandbox", "its log")
    relay.stop().expect(0)


def names_and_paths():
    """A target by path, one by name that is looked up in the sandbox, and a path of its own."""
    directory = scratch()
    at = os.path.join(directory, "target")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(at)
    by_path = Echo(listener)
    targets = file_with(f"unix:{at}\n".encode(), os.path.join(directory, "targets"))
    own = os.path.join(directory, "relay")
    relay = Relay("--targets", targets, listen=f"unix:{own}")
    relay.logged("part=seccomp")
    same_bytes(exchange(relay.client(), b"path"), b"path", "by path")
    file_with(target.address.replace("127.0.0.1", "localhost").encode() + b"\n", targets)
    relay.signal(signal.SIGHUP)
    relay.logged("info reloaded targets=1")
    same_bytes(exchange(relay.client(), b"name"), b"name", "by name")
    equal(len(by_path.received), 1, "connections by path")
    relay.stop().expect(0)
    check(not os.path.exists(own), "its own path is removed in the end")


def another_user():
    if not ROOT:
        sluice("relay", "--user=root", ":0", ":1").refused(1, r"cannot become 'root': .*only root can")
        return
    relay = Relay("--user=nobody", "--metrics=:0", target=target.address)
    relay.logged("info became user=nobody")
    wait_for(lambda: "sandbox" in relay.err(), "the sandbox")
    nobody = re.search(r"^nobody:[^:]*:(\d+):(\d+)", content("/etc/passwd").decode(), re.M)
    found = proc(relay.pid, "status")
    for key, number in (("Uid", nobody.group(1)), ("Gid", nobody.group(2))):
        matches(found, rf"^{key}:(\s+{number}){{4}}$", "who it is")
    matches(found, rf"^Groups:\s*{nobody.group(2)}\s*$", "its groups")
    for key in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        matches(found, rf"^{key}:\s+0+$", "its capabilities")
    same_bytes(exchange(relay.client(), b"x" * 300000), b"x" * 300000, "as nobody")
    equal(relay.get("/healthz")[0], 200, "health as nobody")
    relay.stop().expect(0)
    relay = Relay("--user=12345:23456", target=target.address)
    relay.logged("info became user=12345:23456")
    equal(status_of(relay.pid, "Uid"), "12345", "a number as user")
    relay.stop().expect(0)


def wrong_users():
    for user, why in (("no-such-user", "no such user or group"), (":x", "USER or USER:GROUP"),
                      ("root:", "USER or USER:GROUP"), ("", "USER or USER:GROUP")):
        sluice("relay", f"--user={user}", ":0", ":1").refused(2, rf"--user={user}: .*{why}")
    sluice("relay", "--sandbox=yes", ":0", ":1").refused(2, r"--sandbox=yes: auto, always or never")


def missing():
    """A kernel without Landlock, as a container's filter makes it seem."""
    if not LANDLOCK:
        return
    without = [DENY, "landlock_create_ruleset", "--"]
    sluice("relay", "--sandbox=always", ":0", ":1", prefix=without).refused(
        3, r"part of it is missing here", r"error sandbox is missing part=landlock .*not in this kernel")
    relay = Relay(target=target.address, prefix=without)
    relay.logged(r'warning sandbox is missing part=landlock why="not in this kernel"')
    same_bytes(exchange(relay.client(), b"x"), b"x", "without Landlock")
    relay.stop().expect(0)
    if SECCOMP:
        relay = Relay("--sandbox=always", target=target.address)
        relay.logged("sandbox is on part=seccomp")
        relay.stop().expect(0)


each(lambda part: part(), [on_by_default, names_and_paths, another_user, wrong_users, missing])
PY
