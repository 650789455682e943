# SPDX-License-Identifier: MIT
"""Ends for the command to talk to, awkward ones among them: slow, silent, or gone."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty

from verdicts import LIMIT, check

# Ended and removed when the scenario ends.
started = []
directories = []


def scratch(under=None):
    """A directory of the scenario's own, removed at the end."""
    path = tempfile.mkdtemp(prefix="scenario.", dir=under)
    directories.append(path)
    return path


def tcp_listener(receive_buffer=None):
    listener = socket.socket()
    if receive_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    listener.settimeout(LIMIT)
    return listener


def tcp_address(listener):
    return "tcp:127.0.0.1:%d" % listener.getsockname()[1]


def unix_listener():
    path = os.path.join(scratch(), "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    listener.settimeout(LIMIT)
    return listener, "unix:" + path


def tcp_pair(send_buffer=None, receive_buffer=None):
    """Two connected TCP sockets: (left, right). The buffers are those of both."""
    listener = tcp_listener(receive_buffer)
    left = socket.socket()
    for size, option in ((send_buffer, socket.SO_SNDBUF), (receive_buffer, socket.SO_RCVBUF)):
        if size:
            left.setsockopt(socket.SOL_SOCKET, option, size)
    left.connect(listener.getsockname())
    right = listener.accept()[0]
    if send_buffer:
        right.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    listener.close()
    return left, right


def unix_pair(kind=socket.SOCK_STREAM):
    return socket.socketpair(socket.AF_UNIX, kind)


def raw_terminal():
    """A pseudo-terminal that passes every byte unchanged: (master, slave)."""
    master, slave = os.openpty()
    tty.setraw(slave)
    return master, slave


def reset(peer):
    """Closes a TCP socket with a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def fd_of(end):
    return end if isinstance(end, int) else end.fileno()


def close(end):
    if isinstance(end, int):
        os.close(end)
    else:
        end.close()


def own(end):
    """A descriptor of one's own: a number that somebody else closes can be another file soon."""
    return os.dup(fd_of(end))


class Feeder:
    """Writes bytes into a descriptor or socket from a thread of its own. It is the feeder's from
    then on and ended with the last byte; with end_it=False it stays the caller's."""

    def __init__(self, end, data, piece=None, pause=0.0, end_it=True):
        self.data, self.sent, self.error = data, 0, None
        self._piece, self._pause, self._fd = piece or max(len(data), 1), pause, own(end)
        if end_it:
            close(end)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        view = memoryview(self.data)
        try:
            while self.sent < len(view):
                self.sent += os.write(self._fd, view[self.sent:self.sent + self._piece])
                if self._pause:
                    time.sleep(self._pause)
        except OSError as error:
            self.error = error
        os.close(self._fd)

    def join(self, seconds=LIMIT):
        self.thread.join(seconds)
        check(not self.thread.is_alive(), f"the source's writer is stuck after {self.sent} bytes")


class Collector:
    """Reads a descriptor or socket, which is the collector's from then on, to its end in a thread
    of its own, then closes it. Given a listener, it accepts one peer first."""

    def __init__(self, end, listener=False, piece=1 << 16, pause=0.0, hold=None):
        self.data, self.error, self.first_at = bytearray(), None, None
        self._listener, self._fd = (end, None) if listener else (None, own(end))
        if not listener:
            close(end)
        self._piece, self._pause = piece, pause
        self.go = hold or threading.Event()
        if hold is None:
            self.go.set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            if self._listener:
                self._fd = self._listener.accept()[0].detach()
                self._listener.close()
            self.go.wait()
            while True:
                piece = os.read(self._fd, self._piece)
                if not piece:
                    break
                self.first_at = self.first_at or time.monotonic()
                self.data += piece
                if self._pause:
                    time.sleep(self._pause)
        except OSError as error:
            self.error = error  # a terminal ends with EIO
        if self._fd is not None:
            os.close(self._fd)

    def result(self, seconds=LIMIT):
        self.thread.join(seconds)
        check(not self.thread.is_alive(), f"the sink's reader never saw the end "
              f"(after {len(self.data)} bytes)")
        return bytes(self.data)


class Drain:
    """Counts what arrives and throws it away, in a process of its own: quick, and little memory."""

    PROGRAM = ("import os,sys\nn=0\nwhile True:\n b=os.read(int(sys.argv[1]),1<<20)\n"
               " if not b: break\n n+=len(b)\nprint(n)")

    def __init__(self, end):
        fd = fd_of(end)
        self.process = subprocess.Popen([sys.executable, "-c", self.PROGRAM, str(fd)],
                                        pass_fds=[fd],
                                        stdout=subprocess.PIPE)
        started.append(self.process)
        close(end)

    def result(self, seconds=LIMIT):
        return int(self.process.communicate(timeout=seconds)[0])


def clean_up():
    """Ends what is still running; returns what cannot be ended."""
    stuck = []
    for process in started:
        if process.poll() is None:
            process.kill()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                stuck.append(process.pid)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)
    return stuck
