# SPDX-License-Identifier: MIT
"""Every kind of source and sink that a transfer can have, for integrity.py.

start() of an end takes the case, tells it what to do once the command runs, and returns the
address; a sink also gives the case collect(), which returns what arrived.
"""
import itertools
import os
import socket
import tempfile
import time

import scenario as s

DATAGRAM = 32000


def junk(size):
    return b"\xa5" * size


# ---- sources: start() gives the address and options, and what to do once the command runs --------

class End:
    """A kind of source or sink. `traits` is what the kernel lets one do with it."""

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
    case.when_started.append(lambda _: s.Feeder(master, case.data, end_it=False))
    case.close_at_end.append(master)
    return case.inherit(slave)


def _block_source(device):
    def start(case):
        case.need_length = True
        with open(device, "r+b", buffering=0) as f:
            f.write(junk(case.source_offset) + case.data)
        return device
    return start


# ---- sinks: start() gives the address; collect() what arrived ------------------------------------

def _overlay(before, offset, data):
    """What a file holds after `data` was written at `offset` and nothing was shortened."""
    before = before or b""
    if not data:
        return before
    return before[:offset].ljust(offset, b"\0") + data + before[offset + len(data):]


def before_of(case):
    size = len(case.data)
    return {"absent": None, "shorter": junk(size // 2), "longer": junk(size + 70001)}[case.before]


def _file_sink(directory):
    def start(case):
        path = tempfile.mktemp(dir=directory, prefix="sink.")
        before = before_of(case)
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
        before = before_of(case) or b""
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
        before = before_of(case) or b""
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
    before = before_of(case) or b""
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


# ---- the ends there are here ---------------------------------------------------------------------

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
        found.append(End(name, traits, _file_source(directory)))
    any_directory = next(iter(file_systems.values()))
    page = {"page", "splice", "sendfile", "offset"}
    found += [
        End("inherited-file", page | {"file"}, _inherited_file_source(any_directory)),
        End("memfd", page | {"file"}, _memfd_source),
        End("pipe", {"splice"}, _pipe_source),
        End("fifo", {"splice"}, _fifo_source),
        End("tcp", {"splice", "socket"}, _tcp_source),
        End("tcp-listen", {"splice", "socket"}, _tcp_listening_source),
        End("tcp-inherited", {"unsure-splice", "socket"}, _socket_source(s.tcp_pair)),
        End("unix", {"splice", "socket"}, _unix_source),
        End("unix-listen", {"splice", "socket"}, _unix_listening_source),
        End("unix-inherited", {"unsure-splice", "socket"}, _socket_source(s.unix_pair)),
        End("unix-dgram", {"message"}, _message_source(lambda: s.unix_pair(socket.SOCK_DGRAM))),
        End("unix-seqpacket", {"message"},
               _message_source(lambda: s.unix_pair(socket.SOCK_SEQPACKET))),
        End("udp", {"message", "small"}, _message_source(_udp_pair)),
        End("zero", {"splice", "unsure-sendfile", "unsure-mmap"}, _zero_source),
        End("terminal", {"unsure-splice", "socket"}, _terminal_source),
    ]
    if device:
        found.append(End("block", page, _block_source(device)))
    return found


def sinks(file_systems, device=None):
    found = [End(name, {"file", "splice", "offset", "path"}, _file_sink(directory))
             for name, directory in file_systems.items()]
    any_directory = next(iter(file_systems.values()))
    direct = file_systems.get("ext4", any_directory)
    found += [
        End("inherited-file", {"file", "splice", "offset"}, _inherited_file_sink(any_directory)),
        End("append", {"append"}, _inherited_file_sink(any_directory, os.O_APPEND)),
        End("o-direct", {"file", "unsure"}, _direct_sink(direct)),
        End("memfd", {"file", "splice", "offset"}, _memfd_sink),
        End("pipe", {"splice", "pipe"}, _pipe_sink),
        End("fifo", {"splice", "pipe"}, _fifo_sink),
        End("tcp", {"splice"}, _tcp_sink),
        End("tcp-listen", {"splice"}, _tcp_listening_sink),
        End("tcp-inherited", {"unsure"}, _socket_sink(s.tcp_pair)),
        End("unix", {"splice"}, _unix_sink),
        End("unix-listen", {"splice"}, _unix_listening_sink),
        End("unix-inherited", {"unsure"}, _socket_sink(s.unix_pair)),
        End("unix-dgram", {"message"}, _message_sink(lambda: s.unix_pair(socket.SOCK_DGRAM))),
        End("unix-seqpacket", {"message"},
             _message_sink(lambda: s.unix_pair(socket.SOCK_SEQPACKET))),
        End("udp", {"message", "small"}, _message_sink(_udp_pair)),
        End("terminal", {"unsure"}, _terminal_sink),
        End("null", {"splice"}, _null_sink),
    ]
    if device:
        found.append(End("block", {"splice", "offset"}, _block_sink(device)))
    return found
