#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Through a veth pair between two network namespaces, pages go by reference; with scatter-gather
# turned off the kernel copies them into one buffer first, and the verdicts say so.
# timeout: 60
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

# An ordinary user is root in a user namespace, which is enough for networks of one's own.
scenario_as_some_root() {
    keep_program
    if [ "$(id -u)" -eq 0 ]; then
        run_program
    else
        unshare --user --map-root-user true 2>/dev/null || skip "missing user namespaces"
        run_program unshare --user --map-root-user
    fi
}

scenario_as_some_root <<'PY'
import ctypes
import fcntl
import struct

skip_under_sanitizer("it times loads")
libc = ctypes.CDLL(None, use_errno=True)
NEWNET = 0x40000000


def net(call, *arguments):
    if call(*arguments) < 0:
        skip(f"missing network namespaces: {os.strerror(ctypes.get_errno())}")


def namespace():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def gather(on):
    """ETHTOOL_SSG on the sender's end."""
    value = ctypes.create_string_buffer(struct.pack("II", 0x19, on))
    request = struct.pack("16sP", b"near", ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8946, request)


net(libc.unshare, NEWNET)
far = namespace()
net(libc.unshare, NEWNET)
near = namespace()
ip("link", "add", "near", "type", "veth", "peer", "name", "far")
subprocess.run(["ip", "link", "set", "far", "netns", f"/proc/{os.getpid()}/fd/{far}"], check=True)
ip("address", "add", "10.99.0.1/24", "dev", "near")
ip("link", "set", "near", "up")
net(libc.setns, far, NEWNET)
ip("address", "add", "10.99.0.2/24", "dev", "far")
ip("link", "set", "far", "up")
listener = socket.create_server(("10.99.0.2", 0))
net(libc.setns, near, NEWNET)


def verdicts():
    """{leg: verdict}, on a connection of its own, which starts with the features there are."""
    sender = socket.create_connection(listener.getsockname(), timeout=10)
    receiver, _ = listener.accept()
    result = sluice("probe", "--json", "--no-cache", "--through",
                    f"veth={sender.fileno()},{receiver.fileno()}", scratch(),
                    pass_fds=[sender.fileno(), receiver.fileno()], seconds=50).expect(0)
    sender.close()
    receiver.close()
    found = json.loads(result.out)
    equal(found["controls"]["passed"], 3, f"controls: {found['legs'][:3]}")
    through = [leg for leg in found["legs"] if "veth" in leg["place"] and not leg["variant"]]
    return {f"{leg['from']} -> {leg['to']} {leg['call']}": leg["verdict"] for leg in through}


with_it = verdicts()
equal(with_it["pipe -> tcp splice"], "reference", f"with scatter-gather: {with_it}")
equal(with_it["memfd -> tcp sendfile"], "reference", f"with scatter-gather: {with_it}")
gather(0)
without = verdicts()
note(f"without scatter-gather: {without}")
for leg in ("pipe -> tcp splice", "memfd -> tcp sendfile"):
    check(without[leg] != "reference", f"without scatter-gather: {without}")
gather(1)
equal(verdicts()["pipe -> tcp splice"], "reference", "with scatter-gather again")
PY
