# SPDX-License-Identifier: MIT
"""Data-moving system calls per GiB, of sluice and of the ceiling, from strace."""

import os
import re
import shutil
from dataclasses import dataclass

from .measure import run_once
from .movers import Command
from .paths import GIB

MOVING = (
    "read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg",
    "write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg",
    "splice", "tee", "vmsplice", "sendfile", "copy_file_range",
)

# What a program reads of the system to start, or says, is not the data.
NOT_DATA = re.compile(r"<(/etc/|/proc/|/sys/|/usr/|/lib|/dev/pts/)|^2<|^2,|eventfd|signalfd")

LINE = re.compile(r"(?:\d+\s+)?(\w+)\((.*?)\)?\s+= (-?\d+|\?)( E\w+)?")
RESUMED = re.compile(r"(\d+)\s+<\.\.\. (\w+) resumed>(.*)")
UNFINISHED = re.compile(r"(\d+)\s+(.*) <unfinished \.\.\.>")

REPEAT = 3


@dataclass
class Count:
    moved: int = 0  # calls that moved bytes
    ended: int = 0  # calls that found the end
    refused: int = 0  # EAGAIN and other errors

    def add(self, result):
        if result > 0:
            self.moved += 1
        elif result == 0:
            self.ended += 1
        else:
            self.refused += 1


def compare_calls(setting, path, contenders, size, say):
    """contenders: {name: how}. Returns one JSON-ready object."""
    counts = {}
    for name, how in contenders.items():
        counts[name] = []
        for number in range(REPEAT):
            say(f"{path.name}: {name} under strace, {number + 1} of {REPEAT}")
            counts[name].append(_count(setting, path, how, size))
    per_gib = {
        name: [round(one.moved * GIB / size) for one in several]
        for name, several in counts.items()
    }
    return {
        "path": path.name,
        "bytes": size,
        "moved_per_gib": per_gib,
        "counts": {name: [vars(one) for one in several] for name, several in counts.items()},
        "result": _result(*per_gib.values()),
    }


def _result(ours, theirs):
    """How many bytes a pipe or a socket has when asked is chance, so one program's count varies
    too: then the ranges are compared."""
    if len({*ours, *theirs}) == 1:
        return "equal"
    if max(ours) < min(theirs):
        return "fewer"
    if min(ours) > max(theirs):
        return "more"
    return "equal within their spread"


def _count(setting, path, how, size):
    trace = setting.scratch.name("tmpfs", "trace")
    strace = shutil.which("strace")
    if not strace:
        raise FileNotFoundError("strace is not installed")

    def traced(ends):
        command = how(ends)
        prefix = (strace, "-f", "-qq", "-y", "-s", "0", "-o", trace,
                  "-e", "trace=" + ",".join(MOVING), "--")
        return Command((*prefix, *command.arguments), command.stdin, command.stdout)

    run_once(setting, path, traced, size)
    with open(trace, encoding="utf-8", errors="replace") as lines:
        count = count_lines(lines)
    os.unlink(trace)
    return count


def count_lines(lines):
    """A trace, line by line."""
    count, begun = Count(), {}
    for line in lines:
        if match := UNFINISHED.match(line):
            begun[match[1]] = match[2]
            continue
        if match := RESUMED.match(line):
            line = begun.pop(match[1], "") + match[3]
        match = LINE.match(line)
        if match and match[1] in MOVING and match[3] != "?" and not NOT_DATA.search(match[2]):
            count.add(int(match[3]))
    return count
