#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --allow, --deny and --access, also when they change at SIGHUP, in the sandbox, without any connection
# noticing; what is malformed is named, and a list that does not parse changes nothing.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *

target = Echo()


def let_in(relay, source):
    data = random_bytes(1000)
    back = exchange(relay.client(source), data)
    check(back in (b"", data), "an answer is whole")
    return back == data


def expect_in(relay, what, **who):
    for source, wanted in who.items():
        source = source.replace("_", ".")[1:]
        equal(let_in(relay, source), wanted, f"{source}, {what}")


def words():
    relay = Relay("--deny=127.0.0.7", "--allow", "127.0.0.0/28", "--allow=127.9.0.0/16",
                  target=target.address)
    expect_in(relay, "by words", _127_0_0_1=True, _127_0_0_7=False, _127_0_0_15=True,
              _127_0_0_16=False, _127_9_8_7=True, _127_10_0_1=False)
    relay.stop().expect(0)


def replace(path, text):
    """As editors do: a new file takes the place of the old one."""
    file_with(text.encode(), path + ".new")
    os.rename(path + ".new", path)


def reloaded():
    directory = scratch()
    path, targets = os.path.join(directory, "access"), os.path.join(directory, "targets")
    replace(path, "# who\nallow 127.0.0.0/8 # all\n\ndeny\t127.0.0.2\n")
    replace(targets, target.address + "\n")
    relay = Relay("--access", path, "--targets", targets)
    relay.logged(r"sandbox is on part=landlock|sandbox is missing part=landlock")
    expect_in(relay, "at first", _127_0_0_1=True, _127_0_0_2=False)
    live = relay.client("127.0.0.1")
    live.sendall(b"before")
    equal(live.recv(10), b"before", "a connection that lives")

    other = Echo()
    replace(path, "deny 127.0.0.1\n")
    replace(targets, other.address + "\n")
    relay.signal(signal.SIGHUP)
    relay.logged(r"info reloaded targets=1")
    expect_in(relay, "reloaded", _127_0_0_1=False, _127_0_0_2=True)
    equal(len(other.received), 1, "connections at the new target")
    live.sendall(b"after")
    equal(live.recv(10), b"after", "the connection lives on, to the old target")

    for bad, why in (("allow 127.0.0.1/8\n", r"line 1: '127.0.0.1/8': .*127.0.0.0/8"),
                     ("deny 127.0.0.2\nallow\n", r"line 2: 'allow CIDR' or"),
                     ("\nallow 10.0.0.0/8 10.0.0.0/8\n", r"line 2: 'allow CIDR' or"),
                     ("permit 10.0.0.0/8\n", r"line 1: 'allow CIDR' or"),
                     (None, r"cannot read '[^']+': No such file")):
        if bad is None:
            os.unlink(path)
        else:
            replace(path, bad)
        relay.signal(signal.SIGHUP)
        relay.logged(rf"error not reloaded why=.*{why}")
        expect_in(relay, f"after {bad}", _127_0_0_1=False, _127_0_0_2=True)
    live.close()
    relay.stop().expect(0)
    replace(path, "allow 127.0.0.1/8\n")
    sluice("relay", "--access", path, ":0", target.address).refused(2, r"access', line 1: ")


def malformed():
    for option in ("allow", "deny"):
        for text, why in (("", "there is no address"), ("10.0.0.0/33", "0 to 32"),
                          ("10.1.2.3/8", "10.0.0.0/8 is the network"), ("::/129", "0 to 128"),
                          ("example.org", "no IPv4 or IPv6"), ("10.0.0.0/8,", "0 to 32")):
            sluice("relay", f"--{option}={text}", ":0", ":1").refused(
                2, rf"--{option}={re.escape(text)}: .*{why}")
    sluice("relay", "--access=/nowhere/at/all", ":0", ":1").refused(2, r"cannot read '/nowhere")


def many():
    """A long list costs nobody anything: it is searched, not walked."""
    path = os.path.join(scratch(), "access")
    with open(path, "w") as f:
        for i in range(50000):
            f.write(f"deny 10.{i >> 8 & 255}.{i & 255}.0/26\n")
        f.write("deny 127.0.0.5\n")
    relay = Relay("--access", path, target=target.address)
    expect_in(relay, "among many", _127_0_0_1=True, _127_0_0_5=False)
    relay.stop().expect(0)


each(lambda part: part(), [words, reloaded, malformed, many])
PY
