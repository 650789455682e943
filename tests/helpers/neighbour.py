# SPDX-License-Identifier: MIT
"""A process that shares somebody's pipe: says what it is about to do, does it, and leaves.

    neighbour.py FD reader|writer

While another process waits inside splice(2) with the pipe locked, any of these steps hangs beyond
SIGKILL, the last one too: leaving closes the pipe. The last line printed is where it hangs.
"""
import fcntl
import os
import select
import sys
import termios

fd, role = int(sys.argv[1]), sys.argv[2]
MODE = {"reader": os.O_RDONLY, "writer": os.O_WRONLY}[role]


def say(step):
    os.write(1, (step + "\n").encode())


say("poll")
poll = select.poll()
poll.register(fd)
poll.poll(0)
say("ioctl(FIONREAD)")
fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0")
say("fcntl(F_GETPIPE_SZ)")
fcntl.fcntl(fd, 1032)
say("open")
# An open file of our own, since O_NONBLOCK would be everybody's.
own = os.open(f"/proc/self/fd/{fd}", MODE | os.O_NONBLOCK)
try:
    if role == "reader":
        say("read")
        say(f"  {len(os.read(own, 1))} byte")
    else:
        say("write")
        say(f"  {os.write(own, b'')} byte")
except BlockingIOError:
    say("  would block")
say("exit")
