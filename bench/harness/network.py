# SPDX-License-Identifier: MIT
"""A loopback of our own, where nobody else's traffic and nobody's settings matter.

The congestion control of the machine is what TCP measures otherwise: bbr paces by timers even over
loopback, which costs a sender of page references six times the CPU. So the measurements run in a
network namespace with cubic, Linux's default, or with reno where cubic is not allowed; over
loopback, where nothing is lost, the two are alike."""

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
SETTING = "/proc/sys/net/ipv4/tcp_congestion_control"


def enter():
    """Moves this process and its children into the namespace. Without the privilege it stays where
    it is. Returns a description of what TCP is measured on."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = libc.unshare(CLONE_NEWNET) == 0
    if own:
        _loopback_up()
        _set_congestion_control("cubic") or _set_congestion_control("reno")
    return {"own_namespace": own, "congestion_control": _congestion_control()}


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def _set_congestion_control(name):
    try:
        with open(SETTING, "w", encoding="ascii") as setting:
            setting.write(name)
    except OSError:
        return False
    return True


def _congestion_control():
    with open(SETTING, encoding="ascii") as setting:
        return setting.read().strip()
