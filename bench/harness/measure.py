# SPDX-License-Identifier: MIT
"""One run of one mover: sets up both ends, starts it, and takes its time and its CPU."""

import fcntl
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from . import scratch as files
from .movers import Ends
from .paths import GIB
from .quiet import wait_until_quiet

TIME_LIMIT = 300


class RunFailed(Exception):
    """The mover, or who sends to it or receives from it, did not do its part."""


@dataclass(frozen=True)
class Run:
    """Wall time from the mover's start until the last byte was received; CPU of the mover alone."""

    bytes: int
    wall: float
    user: float
    system: float
    voluntary_switches: int
    involuntary_switches: int
    quiet: bool  # nobody else was running when it began

    @property
    def throughput(self):
        """GiB/s"""
        return self.bytes / GIB / self.wall

    @property
    def cpu(self):
        """CPU seconds per GiB"""
        return (self.user + self.system) * GIB / self.bytes

    def as_json(self):
        return {
            key: round(value, 6) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Setting:
    """What holds for all runs of a measurement."""

    scratch: files.Scratch
    tools: str  # the directory of feed and drain
    feed: str = "write:131072"
    drain: str = "read:131072"


class _Party:
    """A helper process that sends or receives. It is killed if it is still there at the end."""

    def __init__(self, arguments, **descriptors):
        self.process = subprocess.Popen(arguments, text=True, **descriptors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def wait(self):
        try:
            if self.process.wait(timeout=TIME_LIMIT) != 0:
                raise RunFailed(f"{self.process.args[0]} failed")
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{self.process.args[0]} hangs") from None


class _Feed(_Party):
    def __init__(self, setting, size, where, pipe_end):
        super().__init__(
            (os.path.join(setting.tools, "feed"), str(size), setting.feed, where),
            stdin=subprocess.PIPE,
            stdout=pipe_end,
        )

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()


class _Drain(_Party):
    def __init__(self, setting, where, pipe_end):
        super().__init__(
            (os.path.join(setting.tools, "drain"), setting.drain, where),
            stdin=pipe_end,
            stdout=subprocess.PIPE,
        )
        words = self.process.stdout.readline().split()
        if len(words) != 2:
            raise RunFailed("drain did not start")
        self.port = int(words[1])

    def received(self):
        self.wait()
        return int(self.process.stdout.read())


class _Descriptors:
    """Descriptors that are ours to close, each at most once."""

    def __init__(self):
        self._open = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in tuple(self._open):
            self.close(fd)

    def keep(self, fd):
        self._open.add(fd)
        return fd

    def open(self, path, flags):
        return self.keep(os.open(path, flags, 0o600))

    def pipe(self, size):
        read_end, write_end = (self.keep(fd) for fd in os.pipe())
        if fcntl.fcntl(write_end, fcntl.F_GETPIPE_SZ) != size:
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, size)
        return read_end, write_end

    def close(self, fd):
        if fd in self._open:
            self._open.remove(fd)
            os.close(fd)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(pid):
    """The process's status and resource use; killed when it takes too long, or we are to leave."""
    too_late = threading.Timer(TIME_LIMIT, os.kill, (pid, signal.SIGKILL))
    too_late.start()
    try:
        _, status, usage = os.wait4(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.wait4(pid, 0)
        raise
    finally:
        too_late.cancel()
    return status, usage


def _spawn(command, stdin, stdout, errors):
    actions = [(os.POSIX_SPAWN_DUP2, errors, 2)]
    for fd, number, flags in ((stdin, 0, os.O_RDONLY), (stdout, 1, os.O_WRONLY)):
        if fd is None:
            actions.append((os.POSIX_SPAWN_OPEN, number, "/dev/null", flags, 0))
        else:
            actions.append((os.POSIX_SPAWN_DUP2, fd, number))
    return os.posix_spawn(command.arguments[0], command.arguments, os.environ, file_actions=actions)


class _Stage:
    """Both ends of a run, made ready, and who stands behind them."""

    def __init__(self, setting, path, size, stack):
        self.path, self.size = path, size
        self._setting, self._stack = setting, stack
        self.descriptors = stack.enter_context(_Descriptors())
        self.stdin = self.stdout = self.feed = self.drain = None
        self._known = {}
        self._prepare_source()
        self._prepare_sink()
        self.ends = Ends(path.source, path.sink, **self._known)

    def _prepare_source(self):
        path = self.path
        if path.source_is_file:
            self._known["source_file"] = self._setting.scratch.source(path.source, self.size)
            return
        where, pipe_end = "-", None
        if path.source == "tcp":
            port = self._known["listen_port"] = _free_port()
            where = f"tcp:127.0.0.1:{port}"
        else:
            self.stdin, pipe_end = self.descriptors.pipe(path.pipe_size)
        self.feed = self._stack.enter_context(
            _Feed(self._setting, self.size, where, pipe_end)
        )
        if pipe_end is not None:
            self.descriptors.close(pipe_end)

    def _prepare_sink(self):
        path = self.path
        if path.sink_is_file:
            self._known["sink_file"] = self._setting.scratch.new_sink(path.sink)
            return
        if path.sink == "null":
            self.stdout = self.descriptors.open("/dev/null", os.O_WRONLY)
            return
        where, pipe_end = "-", subprocess.DEVNULL
        if path.sink == "pipe":
            pipe_end, self.stdout = self.descriptors.pipe(path.pipe_size)
        elif path.sink == "tcp":
            where = "tcp-listen:"
        else:
            socket_path = self._setting.scratch.name("tmpfs", "socket")
            files.remove(socket_path)
            self._known["connect_path"] = socket_path
            where = f"unix-listen:{socket_path}"
        self.drain = self._stack.enter_context(_Drain(self._setting, where, pipe_end))
        if path.sink == "pipe":
            self.descriptors.close(pipe_end)
        elif path.sink == "tcp":
            self._known["connect_port"] = self.drain.port

    def standard_descriptors(self, command):
        """What the command is given as standard input and output."""
        stdin, stdout = self.stdin, self.stdout
        if command.stdin and stdin is None:
            stdin = self.descriptors.open(self.ends.source_file, os.O_RDONLY)
        if command.stdout and stdout is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            stdout = self.descriptors.open(self.ends.sink_file, flags)
        return stdin if command.stdin else None, stdout if command.stdout else None

    def delivered(self):
        """Waits until the last byte was received, and says how many came."""
        if self.drain:
            return self.drain.received()
        if self.path.sink_is_file:
            return os.stat(self.ends.sink_file).st_size
        return self.size


def run_once(setting, path, how, size=None):
    """Runs `how` (see movers) once over the path."""
    size = path.size if size is None else size
    with ExitStack() as stack:
        stage = _Stage(setting, path, size, stack)
        command = how(stage.ends)
        stdin, stdout = stage.standard_descriptors(command)
        errors = stage.descriptors.keep(os.memfd_create("errors"))
        quiet = wait_until_quiet()
        if path.sink_is_file:
            files.warm_free_memory(size)
        started = time.monotonic()
        if stage.feed:
            stage.feed.go()
        pid = _spawn(command, stdin, stdout, errors)
        for fd in (stage.stdin, stage.stdout, stdin, stdout):
            stage.descriptors.close(fd)
        status, usage = _wait_for(pid)
        if status != 0:
            raise RunFailed(_what_it_said(status, errors))
        delivered = stage.delivered()
        ended = time.monotonic()
        if delivered != size:
            raise RunFailed(f"{delivered} of {size} bytes were delivered")
        return Run(size, ended - started, usage.ru_utime, usage.ru_stime, usage.ru_nvcsw,
                   usage.ru_nivcsw, quiet)


def _what_it_said(status, errors):
    os.lseek(errors, 0, os.SEEK_SET)
    said = os.read(errors, 4096).decode(errors="replace").strip().splitlines()
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}: {said[-1] if said else 'without a word'}"


def check_sink(setting, path, size=None):
    """After a run into a file: holds it the source's very bytes?"""
    if not path.sink_is_file:
        return
    sink = setting.scratch.name(path.sink, "sink")
    if path.source_is_file:
        source = setting.scratch.source(path.source, path.size if size is None else size)
        right = files.same_bytes(source, sink)
    else:
        right = files.holds_only(sink, b"a")
    if not right:
        raise RunFailed("the sink differs from the source")
