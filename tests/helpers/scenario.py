# SPDX-License-Identifier: MIT
"""Runs a scenario of the command: `scenario.py PROGRAM.py` executes the program with everything
below in scope (verdicts.py, peers.py and process.py too), then ends what it started, removes what
it made, and exits with 0, 1 (a check failed) or 77 (skipped).
"""
import ctypes
import json
import os
import random
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

# These are for the programs alone.
import fcntl  # noqa: F401
import hashlib  # noqa: F401
import stat  # noqa: F401
import threading  # noqa: F401

from peers import *
from process import *
from verdicts import *

HELPERS = os.path.dirname(os.path.abspath(__file__))
SLUICE = shlex.split(os.environ.get("SLUICE", "sluice"))
ROOT = os.geteuid() == 0
ALL = os.environ.get("TEST_ALL", "") not in ("", "0")
METHODS = ("copy-range", "sendfile", "splice", "mmap-write", "read-write")
METHODS_AND_DIRECT = METHODS + ("direct",)
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SCHEMES = ("file:", "fd:", "null:", "zero:", "tcp:", "tcp-listen:", "unix:", "unix-listen:")

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE = 1033, 2, 4, 8
SIOCOUTQ, FIONREAD = 0x5411, 0x541B


# ---- data and places -----------------------------------------------------------------------------

def random_bytes(size, seed=1):
    return random.Random(seed * 1000003 + size).randbytes(size)


def file_with(data, path=None):
    path = path or os.path.join(scratch(), "data")
    with open(path, "wb") as f:
        f.write(data)
    return path


def sparse_file(size, path=None):
    path = path or os.path.join(scratch(), "sparse")
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def content(path):
    with open(path, "rb") as f:
        return f.read()


def leftovers(directory, *expected):
    """Names in a directory that nobody expected: temporary files left behind."""
    return sorted(set(os.listdir(directory)) - set(expected))


def no_leftovers(directory, *expected):
    equal(leftovers(directory, *expected), [], f"names left behind in {directory}")


# ---- the command ---------------------------------------------------------------------------------

class Result:
    """How one run of the command ended."""

    def __init__(self, command, returncode, out, err, seconds):
        self.command, self.out, self.err, self.seconds = command, out, err, seconds
        self.killed_by = -returncode if returncode is not None and returncode < 0 else 0
        self.status = 128 + self.killed_by if self.killed_by else returncode

    def __str__(self):
        return f"{self.command}\n  status {self.status}, {self.seconds:.2f} s\n  " + \
            self.err[-1500:].strip().replace("\n", "\n  ")

    def expect(self, *statuses):
        """The exit status must be one of these (0 if none is given)."""
        statuses = statuses or (0,)
        check(self.status in statuses,
              f"status should be {' or '.join(map(str, statuses))}: {self}")
        return self

    def says(self, *patterns):
        for pattern in patterns:
            check(re.search(pattern, self.err, re.I | re.M), f"/{pattern}/ is not said by: {self}")
        return self

    def never_says(self, *patterns):
        for pattern in patterns:
            check(not re.search(pattern, self.err, re.I | re.M),
                  f"/{pattern}/ should not be said by: {self}")
        return self

    def refused(self, status, *patterns):
        """A clear refusal: the status, a message of the command's own, and nothing of a crash."""
        self.expect(status)
        check(re.search(r"^sluice:", self.err, re.M), f"no line begins with 'sluice:' in: {self}")
        return self.says(*patterns).never_says(r"Sanitizer|assert|core dumped")

    def ledger(self):
        """The last JSON object printed; its sums are checked."""
        found = None
        for text in (self.out.decode(errors="replace"), self.err):
            for start in re.finditer(r"^\{", text, re.M):
                try:
                    found = json.JSONDecoder().raw_decode(text[start.start():])[0]
                except ValueError as error:
                    fail(f"JSON does not parse ({error}): {self}\n{text}")
            if found is not None:
                check_ledger(found, self.command)
                self._says_error(found.get("error"))
                return found
        fail(f"no JSON was printed by: {self}")

    def _says_error(self, error):
        """The kernel's error, where there is one, is said in words to the user too."""
        made_up = ("ENODATA", "ECANCELED", "ETIMEDOUT", None)  # there the reason says it better
        if error and error["side"] != "setup" and error["errno"] not in made_up:
            self.says(re.escape(error["message"]))


LEDGER_KEYS = (
    "version", "source", "sink", "status", "bytes", "taken", "delivered", "parked", "lost",
    "salvaged", "seconds", "method", "copies_per_byte", "cpu", "calls", "polls", "switches",
    "eagain", "legs", "fallbacks")


def check_ledger(ledger, what):
    """The promises that hold for every ledger."""
    for key in LEDGER_KEYS:
        if not check(key in ledger, f"the ledger has no '{key}': {what}"):
            return
    taken, delivered, parked = ledger["taken"], ledger["delivered"], ledger["parked"]
    check(delivered + parked == taken,
          f"delivered {delivered} + parked {parked} is not taken {taken}: {what}")
    check(ledger["lost"] + ledger["salvaged"] == parked,
          f"lost {ledger['lost']} + salvaged {ledger['salvaged']} is not parked {parked}: {what}")
    equal(ledger["bytes"], delivered, f"'bytes' and 'delivered' of {what}")
    equal(ledger["version"], 1, f"the ledger's version: {what}")
    for leg in ledger["legs"]:
        for key in ("leg", "method", "call", "class", "known", "bytes", "calls", "eagain"):
            check(key in leg, f"a leg has no '{key}': {what}: {leg}")
    for fallback in ledger["fallbacks"]:
        for key in ("from", "to", "call", "error", "side", "at"):
            check(key in fallback, f"a fallback has no '{key}': {what}: {fallback}")
    # A private pipe and a pipe of the user's have one name: where the sink is a pipe, the rows
    # cannot be told apart.
    hops = [(leg["leg"].split(" -> ")[-1], leg["bytes"]) for leg in ledger["legs"]]
    sinks = {to for to, _ in hops} - {"user", "pipe"}
    if len(sinks) == 1:
        equal(sum(n for to, n in hops if to in sinks), delivered,
              f"bytes of the legs into the sink: {what}")


class Running:
    """The command while it runs. Its output goes to files, so that it never waits for us."""

    def __init__(self, arguments, prefix=(), stdin=subprocess.DEVNULL, stdout=None, stderr=None,
                 pass_fds=(), cwd=None, env=None, before=None, umask=-1):
        self.arguments = list(prefix) + SLUICE + [os.fsdecode(a) for a in arguments]
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        environment = dict(os.environ, **(env or {}))
        self.began = time.monotonic()
        self._result, self._listening = None, set()
        self.process = subprocess.Popen(
            self.arguments, stdin=stdin, stdout=self._out if stdout is None else stdout,
            stderr=self._err if stderr is None else stderr, pass_fds=pass_fds, cwd=cwd,
            env=environment, preexec_fn=before, umask=umask)
        self.pid = self.process.pid
        started.append(self.process)

    def __str__(self):
        return shlex.join(self.arguments)

    @staticmethod
    def _text(f):
        return os.pread(f.fileno(), 1 << 26, 0)

    def out(self):
        return self._text(self._out)

    def err(self):
        return self._text(self._err).decode(errors="replace")

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def _has_written(self, directory):
        try:
            for fd in os.listdir(f"/proc/{self.pid}/fd"):
                path = f"/proc/{self.pid}/fd/{fd}"
                if os.readlink(path).startswith(directory + "/") and os.lstat(path).st_mode & stat.S_IWUSR \
                        and os.stat(path).st_size > 0:
                    return True
        except OSError:  # it was closed meanwhile
            pass
        return False

    def until_moving(self, directory):
        """Waits until there are bytes in a file of the directory that it writes, also one without a name; or it has ended."""
        wait_for(lambda: self._has_written(directory) or not self.running(), f"bytes from {self}")

    def address(self, of=""):
        """Where it says that it listens: the first such line that was not yet used ("unix" or
        "tcp": of that kind)."""
        kind = {"unix": r"\S*/\S*", "tcp": r"[^\s/]+:\d+", "": r"\S+"}[of]

        def said():
            for match in re.finditer(rf"listening on ({kind})(?=\s)", self.err()):
                if match.start() not in self._listening:
                    self._listening.add(match.start())
                    return match.group(1)
            if not self.running():
                fail(f"it ended before it listened: {self.finish()}")
            return None
        try:
            return wait_for(said, f"'listening on' from {self}")
        except Fatal as reason:
            fail(f"{reason}; state {state_of(self.pid)}, in {proc(self.pid, 'wchan')}")

    def connect(self, of=""):
        """Connects a peer to the command's listener."""
        address = self.address(of)
        if "/" in address:
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(address)
            return peer
        host, port = address.rsplit(":", 1)
        return socket.create_connection((host.strip("[]"), int(port)))

    def finish(self, seconds=LIMIT):
        """Waits for its end; a command that does not end is a failed check, and is killed."""
        if self._result:
            return self._result
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            problem(f"hangs (state {state_of(self.pid)}, in {proc(self.pid, 'wchan')}; not ended "
                    f"after {seconds} s): {self}\n{self.err()}")
            self.process.kill()
            try:
                code = self.process.wait(5)
            except subprocess.TimeoutExpired:
                fail(f"survives SIGKILL: {self}")
        spent = time.monotonic() - self.began
        self._result = Result(str(self), code, self.out(), self.err(), spent)
        self._out.close()
        self._err.close()
        return self._result


def start(*arguments, **options):
    return Running(arguments, **options)


def sluice(*arguments, input=None, seconds=LIMIT, **options):
    """Runs the command to its end. `input` comes through a pipe on standard input."""
    feeder = None
    if input is not None:
        read_end, write_end = os.pipe()
        options["stdin"] = read_end
    running = Running(arguments, **options)
    if input is not None:
        os.close(read_end)
        feeder = Feeder(write_end, input)
    result = running.finish(seconds)
    if feeder:
        feeder.thread.join(5)
    return result


def copy(*arguments, **options):
    return sluice("copy", *arguments, **options)


def skip_under_sanitizer(why):
    """For limits of memory and time, which a sanitizer makes meaningless."""
    if os.environ.get("SLUICE_SANITIZER"):
        skip(f"under {os.environ['SLUICE_SANITIZER']}: {why}")


def file_systems():
    """A directory of the scenario's own on each file system that the tests were given, by name."""
    entries = [entry.split(":", 1) for entry in os.environ.get("SLUICE_FS", "").split()]
    found = {name: scratch(path) for name, path in entries}
    return found or {"here": scratch()}


def on(name):
    """A directory on that file system, or a skip."""
    for entry in os.environ.get("SLUICE_FS", "").split():
        if entry.startswith(name + ":"):
            return scratch(entry.split(":", 1)[1])
    skip(f"missing {name}: not set up here")


def helper(name):
    """A program of tests/helpers, as it was built."""
    path = os.path.join(os.environ.get("BUILD_ROOT", ""), "tests", name)
    if not os.path.exists(path):
        skip(f"missing {name}: the helper was not built")
    return path


# ---- system calls --------------------------------------------------------------------------------

MOVING_CALLS = ("read,readv,pread64,preadv,preadv2,write,writev,pwrite64,pwritev,pwritev2,recvfrom,"
                "recvmsg,sendto,sendmsg,splice,sendfile,copy_file_range,tee,vmsplice")


class Call:
    """One line of strace's."""

    LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\)\s+= (-?\d+|\?)(?: (E\w+))?.*$")

    def __init__(self, match, line):
        self.name, self.arguments = match.group(1), match.group(2)
        self.value = int(match.group(3)) if match.group(3) != "?" else 0
        self.error, self.injected = match.group(4), "(INJECTED)" in line

    def __repr__(self):
        return f"{self.name}({self.arguments[:120]}) = {self.value} {self.error or ''}".strip()


# A leak checker cannot work in a traced process.
TRACEABLE = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


class Traced(Running):
    """The command under strace; calls() gives what it did."""

    def __init__(self, arguments, trace=MOVING_CALLS, inject=(), **options):
        self.log = os.path.join(scratch(), "strace")
        prefix = ["strace", "-f", "-qq", "-yy", "-s", "0", "-o", self.log, "-e", f"trace={trace}"]
        for rule in inject:
            prefix += ["-e", f"inject={rule}"]
        environment = dict(options.pop("env", None) or {})
        environment["ASAN_OPTIONS"] = TRACEABLE["ASAN_OPTIONS"]
        super().__init__(arguments, prefix=prefix + list(options.pop("prefix", ())),
                         env=environment, **options)

    def calls(self):
        with open(self.log, errors="replace") as f:
            joined = list(_join_unfinished(f))
        return [Call(match, line) for line in joined
                for match in [Call.LINE.match(line)] if match]

    def until_returned(self, what):
        """Waits for the first call whose arguments name something to be over: strace has its line from its beginning."""
        wait_for(lambda: os.path.exists(self.log) and any(what in call.arguments for call in self.calls()),
                 f"a call that names {what}")


def _join_unfinished(lines):
    """Strace breaks a line in two when another thread comes between; puts them together."""
    pending = {}
    for line in lines:
        line = line.rstrip("\n")
        pid = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            pending[pid] = line[:-len("<unfinished ...>")].rstrip()
        elif "resumed>" in line:
            yield pending.pop(pid, pid) + line.split("resumed>", 1)[1]
        else:
            yield line


# What each method moves bytes with: the calls that take from the source, and those that give to
# the sink.
READING = {"read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg"}
WRITING = {"write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg"}
USED_BY = {"copy-range": {"copy_file_range"}, "sendfile": {"sendfile"}, "splice": {"splice"},
           "mmap-write": WRITING, "read-write": READING | WRITING}


def as_nobody():
    """What root's command does before it begins: copy(…, before=as_nobody)."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def traced(*arguments, trace=MOVING_CALLS, inject=(), input=None, seconds=LIMIT, **options):
    """Runs the command under strace to its end; the result has the calls too."""
    if input is not None:
        read_end, write_end = os.pipe()
        options["stdin"] = read_end
    running = Traced(arguments, trace=trace, inject=inject, **options)
    if input is not None:
        os.close(read_end)
        Feeder(write_end, input)
    result = running.finish(seconds)
    result.calls = running.calls()
    return result


# ---- checksums -----------------------------------------------------------------------------------

def xxh3(data):
    """XXH3 of 64 bits, as `xxhsum -H3` prints it; None without the library."""
    try:
        library = ctypes.CDLL("libxxhash.so.0")
    except OSError:
        return None
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
    return "%016x" % library.XXH3_64bits(bytes(data), len(data))


# ---- the end -------------------------------------------------------------------------------------

def run_program(path, arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with open(path) as f:
        code = compile(f.read(), path, "exec")
    scope = {name: value for name, value in globals().items() if not name.startswith("_")}
    scope["__name__"] = "scenario"
    sys.argv = [path] + arguments
    status = 0
    try:
        exec(code, scope)
    except Skipped as reason:
        note(f"SKIP: {reason}")
        status = 77
    except Fatal as reason:
        problem(str(reason))
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        problem("the scenario broke:\n" + traceback.format_exc())
    for pid in clean_up():
        problem(f"process {pid} survives SIGKILL")
    return 1 if problems else status


if __name__ == "__main__":
    # One copy of the module, whether imported or run.
    sys.path.insert(0, HELPERS)
    import scenario
    code = scenario.run_program(sys.argv[1], sys.argv[2:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread that is stuck in the kernel must not keep us
