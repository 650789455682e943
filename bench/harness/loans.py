# SPDX-License-Identifier: MIT
"""Producers into a pipe: loans against the tightest loop, and that loop against itself."""

import fcntl
import os
import random
import subprocess
import time
from dataclasses import dataclass
from statistics import median

from .intervals import Target, geometric_mean, interval
from .paths import GIB, KIB, MIB
from .quiet import wait_until_quiet

LOANS, CEILING, CONTROL = "loans", "ceiling", "ceiling again"
MEASURES = ("throughput", "cpu")


@dataclass(frozen=True)
class Case:
    """What is sent, how it is received, and what the loop does that loans are held against."""

    data: str  # constant, or fresh
    pipe_size: int
    drain: str  # how the reader takes it: drop, or read:CHUNK
    chunk: int
    ceiling_chunk: int
    ceiling: str  # vmsplice: constant data can be lent by anybody; write: fresh data cannot
    size: int

    @property
    def name(self):
        drain = self.drain.split(":")[0]
        return f"{self.data}-{self.pipe_size // KIB}k-{drain}-{self.chunk // KIB}k"

    @property
    def targets(self):
        part = 0.9 if self.ceiling == "vmsplice" else 0.95
        return {"throughput": Target(part, at_least=True), "cpu": Target(1 / part, at_least=False)}


def _cases():
    for pipe_size in (MIB, 64 * KIB):
        for drain in ("drop", "read:131072"):
            large = (16 if drain == "drop" and pipe_size == MIB else 4) * GIB
            for chunk in (MIB, 128 * KIB):
                yield Case("constant", pipe_size, drain, chunk, chunk, "vmsplice", large)
                # Whatever the loan's size, the loop has the chunk that suits it best.
                yield Case("fresh", pipe_size, drain, chunk, 128 * KIB, "write", GIB)


CASES = tuple(_cases())


class Failed(Exception):
    """A producer or the reader did not do its part."""


def _run(tools, case, size, command):
    read_end, write_end = os.pipe()
    try:
        _set_pipe_size(write_end, case.pipe_size)
        with subprocess.Popen(
            (os.path.join(tools, "drain"), case.drain, "-"),
            stdin=read_end, stdout=subprocess.PIPE, text=True,
        ) as drain:
            os.close(read_end)
            read_end = -1
            drain.stdout.readline()
            quiet = wait_until_quiet()
            started = time.monotonic()
            pid = os.posix_spawn(
                command[0], command, os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, write_end, 1),
                              (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
            os.close(write_end)
            write_end = -1
            _, status, usage = os.wait4(pid, 0)
            received = int(drain.stdout.read())
            wall = time.monotonic() - started
    finally:
        for fd in (read_end, write_end):
            if fd >= 0:
                os.close(fd)
    if status != 0 or received != size:
        raise Failed(f"{case.name}: {command[0]}: status {status}, {received} of {size} bytes")
    return {
        "throughput": size / GIB / wall,
        "cpu": (usage.ru_utime + usage.ru_stime) * GIB / size,
        "quiet": quiet,
    }


def _set_pipe_size(fd, size):
    if fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) != size:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)


def ways(tools, case, size=64 * MIB):
    """By which way the loans of this case go: {way: bytes}."""
    lend = (os.path.join(tools, "lend"), str(size), str(case.chunk), case.data)
    read_end, write_end = os.pipe()
    _set_pipe_size(write_end, case.pipe_size)
    with subprocess.Popen(
        (os.path.join(tools, "drain"), case.drain, "-"), stdin=read_end, stdout=subprocess.PIPE
    ) as drain:
        os.close(read_end)
        said = subprocess.run(lend, stdout=write_end, stderr=subprocess.PIPE, text=True, check=True)
        os.close(write_end)
        drain.stdout.read()
    return {way: int(count) for way, count in (line.split() for line in said.stderr.splitlines())}


def compare(tools, case, rounds, seed, size=None):
    """A JSON-ready object: every run, medians, ratios and the control."""
    size = size or case.size
    loop = (os.path.join(tools, "produce"), str(size), str(case.ceiling_chunk), case.data,
            case.ceiling)
    commands = {
        LOANS: (os.path.join(tools, "lend"), str(size), str(case.chunk), case.data),
        CEILING: loop,
        CONTROL: loop,
    }
    chance = random.Random(f"{seed} {case.name}")
    found = []
    for _ in range(rounds):
        order = list(commands)
        chance.shuffle(order)
        one = {}
        for name in order:
            one[name] = _run(tools, case, size, commands[name])
        found.append(one)
    return {
        "case": case.name,
        "ceiling": case.ceiling,
        "bytes": size,
        "ways": ways(tools, case),
        "medians": {
            name: {measure: median(one[name][measure] for one in found) for measure in MEASURES}
            for name in commands
        },
        "ratios": {measure: _judge(case, found, measure) for measure in MEASURES},
        "rounds": found,
    }


def _judge(case, found, measure):
    value = {name: [one[name][measure] for one in found] for name in (LOANS, CEILING, CONTROL)}
    held_against = map(geometric_mean, value[CEILING], value[CONTROL])
    ratio = interval([ours / loop for ours, loop in zip(value[LOANS], held_against)])
    control = interval([one / two for one, two in zip(value[CEILING], value[CONTROL])])
    return case.targets[measure].judge(ratio, control)
