# SPDX-License-Identifier: MIT
"""Every kind of source into every kind of sink, by every method, with every size and offset.

Knows how to make each kind of end, what each method can serve (from what the kernel allows,
                                                                not from
what the command says), how to choose cases that cover every pair of values, and how to run one case.
"""
import itertools
import os
import random
import re
import socket
import subprocess
import tempfile
import threading
import time
import traceback

import scenario as s

SIZES = (0, 1, 511, 4095, 4096, 4097, 65535, 65536, 65537, s.MIB - 1, s.MIB, s.MIB + 1)
SOURCE_OFFSETS = (0, 1, 4095, 4096, 65537)
SINK_OFFSETS = (None, 0, 1, 4096, 65537)
BEFORE = ("absent", "shorter", "longer")  # the sink's file before the transfer
UDP_MOST = 65536  # more at once, and loopback may drop what the receiver had no room for
DATAGRAM = 32000


def junk(size):
    return b"\xa5" * size


# ---- sources: start() gives the address and options, and what to do once the command runs
# ---------

class Source:
    """A kind of source. `traits` is what the kernel lets one do with it."""

    def __init__(self, name, traits=(), start=None):
        self.name, self.traits, self.start = name, frozenset(traits), start

    def has(self, trait):
        return trait in self.traits


def _file_source(directory):
    def start(case):
        path = tempfile.mktemp(dir=directory, prefix="source.")
        s.file_with(junk(case.source_offset) + case.data, path)
        case.remove.append(path)
        return path
    return start


def _inherited_file_source(directory):
    """Standard input stands at the offset: no option says so."""
    def start(case):
        path = _file_source(directory)(case)
        fd = os.open(path, os.O_RDONLY)
        os.lseek(fd, case.source_offset, os.SEEK_SET)
        case.no_source_option = True
        case.stdin = fd
        case.close_when_started.append(fd)
        return "-"
    return start


def _memfd_source(case):
    fd = os.memfd_create("source")
    os.write(fd, junk(case.source_offset))
    if case.data:
        os.write(fd, case.data)
    os.lseek(fd, 0, os.SEEK_SET)
    return case.inherit(fd)


def _pipe_source(case):
    read_end, write_end = os.pipe()
    case.stdin = read_end
    case.close_when_started.append(read_end)
    case.when_started.append(lambda _: s.Feeder(write_end, case.data))
    return "-"


def _fifo_source(case):
    path = os.path.join(case.directory, "fifo")
    os.mkfifo(path)
    case.remove.append(path)
    hold = os.open(path, os.O_RDWR)  # so that opening to write does not wait for the command
    write_end = os.open(path, os.O_WRONLY)

    def run(running):
        # The command must have it open before the last of ours closes.
        s.wait_for(lambda: not running.running() or _holds(running.pid, path), "the FIFO's reader")
        os.close(hold)
        s.Feeder(write_end, case.data)
    case.when_started.append(run)
    return path


def _holds(pid, path):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == path
                   for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def _tcp_source(case):
    listener = s.tcp_listener()
    case.in_thread.append(lambda: s.Feeder(_accept(listener), case.data))
    return s.tcp_address(listener)


def _unix_source(case):
    listener, address = s.unix_listener()
    case.in_thread.append(lambda: s.Feeder(_accept(listener), case.data))
    return address


def _accept(listener):
    peer = listener.accept()[0]
    listener.close()
    return peer


def _tcp_listening_source(case):
    case.when_started.append(lambda running: s.Feeder(running.connect("tcp"), case.data))
    return "tcp-listen:0"


def _unix_listening_source(case):
    case.when_started.append(lambda running: s.Feeder(running.connect("unix"), case.data))
    return "unix-listen:" + os.path.join(case.directory, "listen.%d" % next(_number))


def _socket_source(pair):
    """A blocking socket that the command inherits."""
    def start(case):
        ours, theirs = pair()
        case.when_started.append(lambda _: s.Feeder(ours, case.data))
        return case.inherit(theirs.detach())
    return start


def _message_source(pair):
    """Messages; the length says where they end."""
    def start(case):
        ours, theirs = pair()
        case.need_length = True

        def send():
            for at in range(0, len(case.data), DATAGRAM):
                ours.send(case.data[at:at + DATAGRAM])
            case.keep.append(ours)
        case.in_thread.append(send)
        return case.inherit(theirs.detach())
    return start


def _udp_pair():
    left, right = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
    for end in (left, right):
        end.bind(("127.0.0.1", 0))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, s.MIB)
    left.connect(right.getsockname())
    right.connect(left.getsockname())
    return left, right


def _zero_source(case):
    case.data = bytes(len(case.data))
    case.need_length = True
    return "zero:"


def _terminal_source(case):
    master, slave = s.raw_terminal()
    case.need_length = True
    case.in_thread.append(lambda: s.Feeder(master, case.data, end_it=False))
    case.close_at_end.append(master)
    return case.inherit(slave)


def _block_source(device):
    def start(case):
        case.need_length = True
        with open(device, "r+b", buffering=0) as f:
            f.write(junk(case.source_offset) + case.data)
        return device
    return start


# ---- sinks: start() gives the address; collect() what arrived
# --------------------------------------

class Sink:
    def __init__(self, name, traits=(), start=None):
        self.name, self.traits, self.start = name, frozenset(traits), start

    def has(self, trait):
        return trait in self.traits


def _overlay(before, offset, data):
    """What a file holds after `data` was written at `offset` and nothing was shortened."""
    before = before or b""
    if not data:
        return before
    return before[:offset].ljust(offset, b"\0") + data + before[offset + len(data):]


def _before(case):
    size = len(case.data)
    return {"absent": None, "shorter": junk(size // 2), "longer": junk(size + 70001)}[case.before]


def _file_sink(directory):
    def start(case):
        path = tempfile.mktemp(dir=directory, prefix="sink.")
        before = _before(case)
        if before is not None:
            s.file_with(before, path)
        case.remove.append(path)
        case.sink_path = path
        if case.sink_offset is None:
            case.wanted = lambda: case.data
        else:
            case.wanted = lambda: _overlay(before, case.sink_offset, case.data)
        case.collect = lambda: s.content(path)
        return path
    return start


def _inherited_file_sink(directory, flags=0):
    """Standard output, standing at the offset; never shortened."""
    def start(case):
        path = tempfile.mktemp(dir=directory, prefix="sink.")
        before = _before(case) or b""
        s.file_with(before, path)
        case.remove.append(path)
        at = case.sink_offset or 0
        fd = os.open(path, os.O_WRONLY | flags)
        os.lseek(fd, at, os.SEEK_SET)
        case.no_sink_option = True
        case.stdout = fd
        case.close_when_started.append(fd)
        case.wanted = lambda: before + case.data if flags & os.O_APPEND else \
            _overlay(before, at, case.data)
        case.collect = lambda: s.content(path)
        return "-"
    return start


def _direct_sink(directory):
    """O_DIRECT, as dd's oflag=direct: the tail is unaligned."""
    def start(case):
        path = tempfile.mktemp(dir=directory, prefix="sink.")
        before = _before(case) or b""
        s.file_with(before, path)
        case.remove.append(path)
        fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        case.no_sink_option = True
        case.wanted = lambda: _overlay(before, 0, case.data)
        case.collect = lambda: s.content(path)
        return case.inherit(fd)
    return start


def _memfd_sink(case):
    fd = os.memfd_create("sink")
    before = _before(case) or b""
    os.write(fd, before)
    os.lseek(fd, 0, os.SEEK_SET)
    copy = os.dup(fd)
    case.close_at_end.append(copy)
    case.wanted = lambda: _overlay(before, case.sink_offset or 0, case.data)
    case.collect = lambda: os.pread(copy, 1 << 26, 0)
    return case.inherit(fd)


def _stream_sink(case, end, listener=False):
    collector = s.Collector(end, listener)
    case.collect = collector.result


def _pipe_sink(case):
    read_end, write_end = os.pipe()
    case.stdout = write_end
    case.close_when_started.append(write_end)
    _stream_sink(case, read_end)
    return "-"


def _fifo_sink(case):
    path = os.path.join(case.directory, "fifo.%d" % next(_number))
    os.mkfifo(path)
    case.remove.append(path)
    read_end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(read_end, True)
    # Nothing may be read before a writer has come, or the end would be seen too soon.
    case.when_started.append(lambda running: (
        s.wait_for(lambda: not running.running() or _holds(running.pid, path), "the FIFO's writer"),
        _stream_sink(case, read_end)))
    return path


def _tcp_sink(case):
    listener = s.tcp_listener()
    _stream_sink(case, listener, listener=True)
    return s.tcp_address(listener)


def _unix_sink(case):
    listener, address = s.unix_listener()
    _stream_sink(case, listener, listener=True)
    return address


def _tcp_listening_sink(case):
    case.when_started.append(lambda running: _stream_sink(case, running.connect("tcp")))
    return "tcp-listen:0"


def _unix_listening_sink(case):
    case.when_started.append(lambda running: _stream_sink(case, running.connect("unix")))
    return "unix-listen:" + os.path.join(case.directory, "listen.%d" % next(_number))


def _socket_sink(pair):
    def start(case):
        ours, theirs = pair()
        _stream_sink(case, ours)
        return case.inherit(theirs.detach())
    return start


def _message_sink(pair):
    def start(case):
        ours, theirs = pair()
        ours.settimeout(s.LIMIT)
        arrived = bytearray()

        def receive():
            while len(arrived) < len(case.data):
                try:
                    message = ours.recv(1 << 20)
                except OSError:
                    return
                if not message:  # nobody sends an empty one here: the peer has gone
                    return
                arrived.extend(message)
        case.in_thread.append(receive)

        def collect():
            for thread in case.threads:
                thread.join(5)
            ours.close()
            return bytes(arrived)
        case.collect = collect
        return case.inherit(theirs.detach())
    return start


def _terminal_sink(case):
    master, slave = s.raw_terminal()
    collector = s.Collector(master)
    copy = os.dup(slave)

    def collect():
        # The line discipline hands bytes over in its own time: wait for them before hanging up.
        end = time.monotonic() + 5
        while len(collector.data) < len(case.data) and time.monotonic() < end:
            time.sleep(0.002)
        os.close(copy)
        return collector.result()
    case.collect = collect
    return case.inherit(slave)


def _null_sink(case):
    case.collect = lambda: case.data
    return "null:"


def _block_sink(device):
    def start(case):
        if case.before != "absent":
            with open(device, "r+b", buffering=0) as f:
                f.write(junk(len(case.data) + 70001))

        def collect():
            with open(device, "rb") as f:
                f.seek(case.sink_offset or 0)
                return f.read(len(case.data))
        case.collect = collect
        return device
    return start


_number = itertools.count()


# ---- the ends there are here
# ----------------------------------------------------------------------

# Traits of sources: file (regular; copy_file_range may read it), page (in the page cache: splice,
# sendfile
# and mmap can take it), splice, sendfile, offset (can be read from any place), message, unsure (a
# method
# may serve it or refuse it).
# Traits of sinks: file, splice (also sendfile into it), offset, message, append, unsure.

def sources(file_systems, device=None):
    """Kinds of source; file_systems maps a name to a directory."""
    found = []
    for name, directory in file_systems.items():
        traits = {"file", "splice", "sendfile", "offset"}
        traits |= {"unsure-mmap"} if name == "fuse-direct" else {"page"}
        found.append(Source(name, traits, _file_source(directory)))
    any_directory = next(iter(file_systems.values()))
    page = {"page", "splice", "sendfile", "offset"}
    found += [
        Source("inherited-file", page | {"file"}, _inherited_file_source(any_directory)),
        Source("memfd", page | {"file"}, _memfd_source),
        Source("pipe", {"splice"}, _pipe_source),
        Source("fifo", {"splice"}, _fifo_source),
        Source("tcp", {"splice", "socket"}, _tcp_source),
        Source("tcp-listen", {"splice", "socket"}, _tcp_listening_source),
        Source("tcp-inherited", {"unsure-splice", "socket"}, _socket_source(s.tcp_pair)),
        Source("unix", {"splice", "socket"}, _unix_source),
        Source("unix-listen", {"splice", "socket"}, _unix_listening_source),
        Source("unix-inherited", {"unsure-splice", "socket"}, _socket_source(s.unix_pair)),
        Source("unix-dgram", {"message"}, _message_source(lambda: s.unix_pair(socket.SOCK_DGRAM))),
        Source("unix-seqpacket", {"message"},
               _message_source(lambda: s.unix_pair(socket.SOCK_SEQPACKET))),
        Source("udp", {"message", "small"}, _message_source(_udp_pair)),
        Source("zero", {"splice", "unsure-sendfile", "unsure-mmap"}, _zero_source),
        Source("terminal", {"unsure-splice", "socket"}, _terminal_source),
    ]
    if device:
        found.append(Source("block", page, _block_source(device)))
    return found


def sinks(file_systems, device=None):
    found = [Sink(name, {"file", "splice", "offset", "path"}, _file_sink(directory))
             for name, directory in file_systems.items()]
    any_directory = next(iter(file_systems.values()))
    direct = file_systems.get("ext4", any_directory)
    found += [
        Sink("inherited-file", {"file", "splice", "offset"}, _inherited_file_sink(any_directory)),
        Sink("append", {"append"}, _inherited_file_sink(any_directory, os.O_APPEND)),
        Sink("o-direct", {"file", "unsure"}, _direct_sink(direct)),
        Sink("memfd", {"file", "splice", "offset"}, _memfd_sink),
        Sink("pipe", {"splice", "pipe"}, _pipe_sink),
        Sink("fifo", {"splice", "pipe"}, _fifo_sink),
        Sink("tcp", {"splice"}, _tcp_sink),
        Sink("tcp-listen", {"splice"}, _tcp_listening_sink),
        Sink("tcp-inherited", {"unsure"}, _socket_sink(s.tcp_pair)),
        Sink("unix", {"splice"}, _unix_sink),
        Sink("unix-listen", {"splice"}, _unix_listening_sink),
        Sink("unix-inherited", {"unsure"}, _socket_sink(s.unix_pair)),
        Sink("unix-dgram", {"message"}, _message_sink(lambda: s.unix_pair(socket.SOCK_DGRAM))),
        Sink("unix-seqpacket", {"message"},
             _message_sink(lambda: s.unix_pair(socket.SOCK_SEQPACKET))),
        Sink("udp", {"message", "small"}, _message_sink(_udp_pair)),
        Sink("terminal", {"unsure"}, _terminal_sink),
        Sink("null", {"splice"}, _null_sink),
    ]
    if device:
        found.append(Sink("block", {"splice", "offset"}, _block_sink(device)))
    return found


# ---- what can serve what
# --------------------------------------------------------------------------

def fits(method, source, sink):
    """True: it must move the bytes. False: it must be refused. None: the kernel, or where the bytes lie,
    decides; then either, but never wrong bytes."""
    if method in ("auto", "read-write"):
        return True
    if source.has("message") or sink.has("message"):
        return None if method == "mmap-write" and source.has("page") else False
    if method == "copy-range":
        if not (source.has("file") and sink.has("file")):
            return False
        if sink.has("unsure") or "fuse" in source.name + sink.name:
            return None
        if source.name == sink.name and source.name not in ("memfd", "inherited-file"):
            return True
        return None  # depends on which file system the other lies on
    if sink.has("append"):
        return method == "mmap-write" and source.has("page")
    if method == "sendfile":
        if source.has("unsure-sendfile"):
            return None
        if (source.has("socket") or "fuse" in source.name) and sink.has("pipe"):
            return None  # a read that waits would hold the user's pipe
        if not source.has("sendfile"):
            return False
    elif method == "splice":
        if source.has("unsure-splice"):
            return None
    elif method == "mmap-write":
        if source.has("unsure-mmap"):
            return None
        if not source.has("page"):
            return False
        return None if sink.has("unsure") else True
    return None if sink.has("unsure") else True


# ---- cases
# ----------------------------------------------------------------------------------------

class Case:
    """One transfer."""

    def __init__(self, source, sink, method, size, source_offset=0, sink_offset=None,
                 before="absent"):
        self.source, self.sink, self.method, self.size = source, sink, method, size
        self.source_offset = source_offset if source.has("offset") else 0
        self.sink_offset = sink_offset if sink.has("offset") else None
        self.before = before

    def __str__(self):
        return (f"{self.source.name} -> {self.sink.name} by {self.method}, {self.size} bytes, "
                f"source offset {self.source_offset}, sink offset {self.sink_offset}, "
                f"sink {self.before}")

    def verdict(self):
        if self.method == "sendfile" and self.sink_offset is not None:
            return None  # the call has no offset of the sink: it may be refused for that
        return fits(self.method, self.source, self.sink)

    def possible(self):
        if self.source.has("small") or self.sink.has("small"):
            if self.size > UDP_MOST:
                return False
        if self.source.name == "block" and self.sink.name == "block":
            return False  # one device
        return fits(self.method, self.source, self.sink) is not False

    # What start() of the ends fills in.

    def inherit(self, fd):
        self.pass_fds.append(fd)
        self.close_when_started.append(fd)
        return f"fd:{fd}"

    def _prepare(self, directory):
        self.directory = directory
        self.data = s.random_bytes(self.size, 3)
        self.stdin, self.stdout, self.pass_fds = subprocess.DEVNULL, None, []
        self.close_when_started, self.close_at_end, self.when_started = [], [], []
        self.in_thread, self.threads, self.keep, self.remove = [], [], [], []
        self.need_length = self.no_source_option = self.no_sink_option = False
        self.sink_path = None
        self.wanted = lambda: self.data

    def run(self, directory, expect_refusal=False):
        """Runs the case, and says what is wrong through scenario's problem()."""
        self._prepare(directory)
        arguments = ["--json"]
        if self.method != "auto":
            arguments.append(f"--method={self.method}")
        source, sink = self.source.start(self), self.sink.start(self)
        if self.source_offset and not self.no_source_option:
            arguments += ["--offset", f"source={self.source_offset}"]
        if self.sink_offset is not None and not self.no_sink_option:
            arguments += ["--offset", f"sink={self.sink_offset}"]
        if self.need_length:
            arguments += ["--length", str(len(self.data))]
        running = s.start("copy", *arguments, source, sink, stdin=self.stdin, stdout=self.stdout,
                          pass_fds=self.pass_fds)
        for fd in self.close_when_started:
            os.close(fd)
        for job in self.in_thread:
            thread = threading.Thread(target=_quietly(job), daemon=True)
            thread.start()
            self.threads.append(thread)
        for job in self.when_started:
            try:
                job(running)
            except (s.Fatal, OSError):  # what was refused has ended before it listened
                if self.verdict() is True:
                    raise
        result = running.finish()
        if expect_refusal:
            self._check_refusal(result)
        else:
            self._check(result)
        for end in self.close_at_end:
            os.close(end)
        for path in self.remove:
            if os.path.exists(path):
                os.unlink(path)

    def _check(self, result):
        verdict = self.verdict()
        if result.status != 0 and verdict is None:
            self._check_refusal(result)
            return
        if not s.check(result.status == 0, f"{self}: {result}"):
            return
        s.same_bytes(self.collect(), self.wanted(), f"{self} [{result.command}]")
        ledger = result.ledger()
        s.equal(ledger["delivered"], len(self.data), f"delivered, {self}")
        if self.method != "auto":
            used = {leg["method"] for leg in ledger["legs"] if leg["bytes"]}
            s.check(used <= {self.method}, f"{self}: moved by {used}")

    def _check_refusal(self, result):
        if not s.check(result.status in (1, 3), f"{self}: should be refused: {result}"):
            return
        result.says(r"^sluice:")
        delivered = result.ledger().get("delivered", 0)
        if self.verdict() is False:
            result.says(re.escape(self.method))
            s.equal(delivered, 0, f"delivered, refused {self}")
        elif delivered:  # only an unaligned tail shows that it cannot go on
            s.check(self.sink.name == "o-direct", f"{self}: fails in the middle: {result}")
            s.same_bytes(self.collect()[:delivered], self.data[:delivered], f"{self}: the prefix")
        if self.sink_path:
            before = _before(self)
            if before is None:
                s.check(not os.path.exists(self.sink_path), f"{self}: refused, but made its sink")
            else:
                s.same_bytes(s.content(self.sink_path), before,
                             f"{self}: refused; the sink after it")


def _quietly(job):
    def run():
        try:
            job()
        except OSError:
            pass
    return run


def every_case(sources_, sinks_):
    """The whole: every pair, method and size; and every pair and method with each offset at three
    sizes."""
    methods = ("auto",) + s.METHODS
    for source, sink, method in itertools.product(sources_, sinks_, methods):
        if fits(method, source, sink) is False:
            continue
        for number, size in enumerate(SIZES):
            yield Case(source, sink, method, size, before=BEFORE[number % 3])
        for size in (4097, 65536, s.MIB - 1):
            for number, (a, b) in enumerate(itertools.product(SOURCE_OFFSETS, SINK_OFFSETS)):
                if (a and not source.has("offset")) or (b is not None and not sink.has("offset")):
                    continue
                yield Case(source, sink, method, size, a, b, BEFORE[number % 3])


def pairwise_cases(sources_, sinks_, seed=1):
    """Few cases in which every pair of values of two dimensions meets at least once (where the pair is
    possible at all): greedy, and the same in every run."""
    rng = random.Random(seed)
    dimensions = [sources_, sinks_, ("auto",) + s.METHODS, SIZES, SOURCE_OFFSETS, SINK_OFFSETS,
                  BEFORE]
    index = range(len(dimensions))

    def pairs_of(values):
        return {(i, values[i], j, values[j]) for i in index for j in index if i < j}

    open_pairs = {(i, a, j, b) for i in index for j in index if i < j
                  for a in dimensions[i] for b in dimensions[j]}
    order = sorted(open_pairs, key=lambda p: (p[0], dimensions[p[0]].index(p[1]), p[2],
                                              dimensions[p[2]].index(p[3])))
    for pair in order:
        if pair not in open_pairs:
            continue
        best, best_gain = None, 0
        for _ in range(30):
            values = [rng.choice(dimension) for dimension in dimensions]
            values[pair[0]], values[pair[2]] = pair[1], pair[3]
            if not Case(*values).possible():
                continue
            gain = len(pairs_of(values) & open_pairs)
            if gain > best_gain:
                best, best_gain = values, gain
        if best:
            open_pairs -= pairs_of(best)
            yield Case(*best)
        else:
            open_pairs.discard(pair)


def _share(cases, worker, workers):
    """This worker's part. There is one block device: the first worker has all its cases."""
    block = [case for case in cases if "block" in (case.source.name, case.sink.name)]
    others = [case for case in cases if case not in block]
    return (block if worker == 0 else []) + others[worker::workers]


def run_cases(cases, most_problems=12):
    """Runs them on every processor; returns how many. Stops early where nearly everything fails."""
    workers = os.cpu_count() or 1
    cases = list(cases)
    children = []
    for worker in range(workers):
        pid = os.fork()
        if pid == 0:
            s._started.clear()
            s._directories.clear()
            directory = s.scratch()
            try:
                for case in _share(cases, worker, workers):
                    case.run(directory)
                    if len(s._problems) >= most_problems:
                        print("too many problems: giving up", flush=True)
                        break
            except s.Fatal as reason:
                s.problem(f"{case}: {reason}")
            except BaseException:
                s.problem(f"{case}: broke:\n" + traceback.format_exc())
            s._clean_up()
            os._exit(1 if s._problems else 0)
        children.append(pid)
    for pid in children:
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            s.problem("see above")
    return len(cases)
