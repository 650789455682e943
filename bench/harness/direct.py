# SPDX-License-Identifier: MIT
"""`direct` against read and write, cold, by the CPU of the whole machine; and against fio."""

import json
import os
import random
import resource
import subprocess
import time
from dataclasses import dataclass

from .intervals import interval
from .paths import GIB, MIB
from .quiet import wait_until_quiet
from .scratch import warm_free_memory

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    bytes: int
    wall: float
    machine: float  # CPU seconds of everybody: interrupts and kernel workers too, not stolen time
    mover: float  # of the mover and its threads alone
    quiet: bool

    @property
    def throughput(self):
        return self.bytes / GIB / self.wall

    def as_json(self):
        return {"bytes": self.bytes, "wall": round(self.wall, 6), "quiet": self.quiet,
                "machine_cpu": round(self.machine, 3), "mover_cpu": round(self.mover, 6)}


def machine_cpu():
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def cool(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def make_file(path, size):
    block = os.urandom(16 * MIB)
    with open(path, "wb") as file:
        for _ in range(size // len(block)):
            file.write(block)


def timed(size, start, memory=256 * MIB):
    """Runs what start() starts, a list of processes of which the first is the mover. `memory`: what
    it takes of free memory, whose first touch is not to be charged to it."""
    warm_free_memory(memory)
    quiet = wait_until_quiet()
    before, began = machine_cpu(), time.monotonic()
    processes, helpers = start()
    usage = os.wait4(processes[0].pid, 0)
    for other in processes[1:] + helpers:
        other.wait()
    wall, cpu = time.monotonic() - began, machine_cpu() - before
    processes[0].returncode = os.waitstatus_to_exitcode(usage[1])
    if processes[0].returncode != 0:
        raise RuntimeError(f"{processes[0].args} ended with {processes[0].returncode}")
    return Run(size, wall, cpu, usage[2].ru_utime + usage[2].ru_stime, quiet)


def file_to_pipe(tools, mover, source, size):
    def start():
        read_end, write_end = os.pipe()
        drain = subprocess.Popen([f"{tools}/drain", "drop", "-"], stdin=read_end,
                                 stdout=subprocess.DEVNULL)
        moving = subprocess.Popen([*mover, source, "-"], stdout=write_end)
        os.close(read_end)
        os.close(write_end)
        return [moving], [drain]
    cool(source)
    return timed(size, start)


def pipe_to_file(tools, mover, sink, size):
    """Until the sink is on its device: what is left in the cache would be written later, and cost
    somebody else."""
    def start():
        read_end, write_end = os.pipe()
        feed = subprocess.Popen([f"{tools}/feed", str(size), "vmsplice:131072", "-"],
                                stdin=subprocess.PIPE, stdout=write_end)
        moving = subprocess.Popen([*mover, "--sync", "-", sink], stdin=read_end)
        os.close(read_end)
        os.close(write_end)
        feed.stdin.write(b"\n")
        feed.stdin.close()
        return [moving], [feed]
    if os.path.exists(sink):
        os.unlink(sink)
    return timed(size, start, size)


def file_to_file(mover, source, sink, size):
    """mover(source, sink): the words of a command."""
    cool(source)
    if os.path.exists(sink):
        os.unlink(sink)
    return timed(size, lambda: ([subprocess.Popen(mover(source, sink), stderr=subprocess.DEVNULL)], []),
                 2 * size)


def file_to_null(mover, source, size):
    cool(source)
    return timed(size, lambda: ([subprocess.Popen([*mover, source, "null:"])], []))


def fio(source, size, block, depth):
    """GiB/s, as it says itself; its CPU time is that of all its processes, start and end included."""
    cool(source)
    warm_free_memory(256 * MIB)
    quiet = wait_until_quiet()
    before, own = machine_cpu(), children_cpu()
    found = subprocess.run(
        ["fio", "--name=read", f"--filename={source}", "--rw=read", f"--bs={block}",
         f"--iodepth={depth}", "--ioengine=io_uring", "--direct=1", f"--size={size}",
         "--output-format=json"], capture_output=True, text=True, check=True)
    cpu, own = machine_cpu() - before, children_cpu() - own
    read = json.loads(found.stdout)["jobs"][0]["read"]
    return Run(size, read["runtime"] / 1000, cpu, own, quiet)


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def interleave(contenders, rounds, seed, end, keep):
    """In turns, in an order drawn for each round. After `end`, by the clock, no round is begun.
    keep(runs) comes after each round: who is stopped loses one at most."""
    chance, runs = random.Random(seed), []
    while len(runs) < rounds and (not runs or time.monotonic() < end):
        order = list(contenders)
        chance.shuffle(order)
        runs.append({name: contenders[name]() for name in order})
        keep(runs)
    return runs


def ratio(runs, measure, ours, theirs):
    return interval([getattr(one[ours], measure) / getattr(one[theirs], measure) for one in runs])


def table(title, runs, measures, pairs):
    lines = [f"\n{title}"]
    for name in runs[0]:
        cells = []
        for measure in measures:
            scale = 1 if measure == "throughput" else GIB / runs[0][name].bytes
            values = interval([getattr(one[name], measure) * scale for one in runs])
            cells.append(f"{measure} {values}")
        lines.append(f"  {name:<14} " + "   ".join(cells))
    for ours, theirs in pairs:
        cells = [f"{measure} {ratio(runs, measure, ours, theirs)}" for measure in measures]
        lines.append(f"  {ours} / {theirs}: " + "   ".join(cells))
    return "\n".join(lines)
