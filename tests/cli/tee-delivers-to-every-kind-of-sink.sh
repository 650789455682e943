#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 180
# Every sink of a tee gets every byte, whatever it is and whatever the others are; from every kind of source.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
systems = file_systems()
data = random_bytes(3 * MIB + 777)


class Sinks:
    """A set of sinks of every kind, and what they got."""

    def __init__(self):
        self.words, self.fds, self.files, self.collectors, self.theirs = [], [], [], {}, []
        self.directory = scratch()
        self.count = 0

    def file(self, directory, name):
        path = os.path.join(directory, f"{name}-{self.count}")
        self.count += 1
        self.words.append(path)
        self.files.append((name, path))

    def stream(self, name, ours, theirs, blocking=True):
        if not blocking:
            os.set_blocking(fd_of(theirs), False)
        self.fds.append(fd_of(theirs))
        self.theirs.append(theirs)
        self.words.append(f"fd:{fd_of(theirs)}")
        self.collectors[f"{name} {len(self.fds)}"] = Collector(ours)

    def listener(self, name, listener, word):
        self.words.append(word)
        self.collectors[f"{name} {self.count}"] = Collector(listener, listener=True)
        self.count += 1

    def fifo(self):
        path = os.path.join(self.directory, f"fifo-{self.count}")
        self.count += 1
        os.mkfifo(path)
        self.words.append(path)
        self.collectors[path] = Collector(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        os.set_blocking(self.collectors[path].end, True) if hasattr(self.collectors[path], "end") else None

    def check(self, result, wanted, what):
        result.expect(0)
        for end in self.theirs:
            close(end)
        same_bytes(result.out, wanted, f"standard output: {what}")
        for name, path in self.files:
            same_bytes(content(path), wanted, f"file on {name}: {what}")
            os.unlink(path)
        for name, collector in self.collectors.items():
            same_bytes(collector.result(), wanted, f"{name}: {what}")


def all_kinds():
    sinks = Sinks()
    for name, directory in systems.items():
        sinks.file(directory, name)
    for blocking in (True, False):
        sinks.stream("tcp", *tcp_pair(), blocking=blocking)
        sinks.stream("unix", *unix_pair(), blocking=blocking)
        sinks.stream("pipe", *os.pipe(), blocking=blocking)
    sinks.stream("terminal", *raw_terminal())
    listener = tcp_listener()
    sinks.listener("tcp:", listener, tcp_address(listener))
    sinks.words.append("null:")
    return sinks


def many(count):
    sinks = Sinks()
    for i in range(count - 1):
        if i % 2:
            sinks.stream("pipe", *os.pipe())
        else:
            sinks.file(scratch(), "many")
    return sinks


def run(sinks, what, wanted=data, input=data, options=(), **more):
    result = sluice("tee", *options, *sinks.words, input=input, pass_fds=sinks.fds, **more)
    sinks.check(result, wanted, what)


run(all_kinds(), "from a pipe")
path = file_with(data)
with open(path, "rb") as f:
    run(all_kinds(), "from a file", input=None, stdin=f)
left, right = unix_pair()
feeder = Feeder(left, data)
run(all_kinds(), "from a socket", input=None, stdin=right)
close(right)
left, right = tcp_pair()
feeder = Feeder(left, data)
sinks = all_kinds()
sinks.fds.append(fd_of(right))
run(sinks, "from fd:N", input=None, options=("--from", f"fd:{fd_of(right)}"))
close(right)
with open("/proc/cpuinfo", "rb") as f:
    run(many(3), "from procfs", wanted=content("/proc/cpuinfo"), input=None, stdin=f)
for count in (1, 2, 3, 8, 64):
    piece = data[:1 * MIB] if count == 64 else data
    run(many(count), f"{count} sinks", wanted=piece, input=piece)

# Pieces that are no pages: nothing is merged or split wrongly.
for piece in (1, 100, 4095, 4097, 65537):
    small = data[:min(len(data), 2000 * piece, 2 * MIB)]
    sinks = many(4)
    read_end, write_end = os.pipe()
    running = start("tee", *sinks.words, stdin=read_end, pass_fds=sinks.fds)
    os.close(read_end)
    feeder = Feeder(write_end, small, piece=piece)
    sinks.check(running.finish(), small, f"in pieces of {piece}")

# Standard output that is opened to append.
out = os.path.join(scratch(), "appended")
file_with(b"before", out)
with open(out, "ab") as f:
    sluice("tee", out + ".copy", input=data, stdout=f).expect(0)
same_bytes(content(out), b"before" + data, "standard output, appending")
same_bytes(content(out + ".copy"), data, "beside it")
PY
