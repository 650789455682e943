# SPDX-License-Identifier: MIT
"""File to file, and out of a cold file: everybody once a round, in an order drawn for the round."""

import argparse
import collections
import contextlib
import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time

from . import direct, machine
from .intervals import interval
from .paths import GIB, MIB
from .quiet import wait_until_quiet
from .scratch import read_through, remove, warm_free_memory

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLD_FIO = {"bs": MIB, "iodepth": 8}  # as much in flight as sluice asks for ahead
COLD_FIO_BUFFERED = {"bs": 256 << 10}  # as sluice reads; one at a time, and the kernel ahead of it


def parse(description):
    parser = argparse.ArgumentParser(
        prog="bench/files", description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    build = os.environ.get("BUILD", os.path.join(ROOT, "build"))
    add = parser.add_argument
    add("part", choices=tuple(PARTS))
    add("--sluice", default=os.path.join(build, "cli", "sluice"), metavar="PROGRAM")
    add("--dir", default="/var/tmp", help="scratch on a disk (%(default)s)")
    add("--source", metavar="FILE", help="for cold: this file, on a disk, instead of a new one")
    add("--xfs", metavar="DIR", help="for reflink and snapshot: a directory on xfs")
    add("--btrfs", metavar="DIR", help="for reflink and snapshot: a directory on btrfs")
    add("--mib", type=int, metavar="N", help="MiB a run (" + ", ".join(
        f"{name} {one.mib}" for name, one in PARTS.items()) + ")")
    add("--rounds", type=int, default=5)
    add("--minutes", type=float, metavar="N", help="no run is begun after so many, once the "
        "source is there; a round that is not whole counts for those who ran")
    add("--only", action="append", metavar="NAME", help="of those who run, by name; may be repeated")
    add("--json", default=os.path.join(build, "files.json"), metavar="FILE")
    add("--add", action="store_true", help="to the runs in that file")
    add("--seed", type=int, default=1)
    options = parser.parse_args()
    options.end = None
    options.mib = options.mib or PARTS[options.part].mib
    return options


# ---- one run ---------------------------------------------------------------------------------------


def forget():
    """Everything that is clean leaves the page cache of this machine."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3\n")


def busy_seconds():
    """Of all processors since boot: all that is not idle, softirq and workers included."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def run(arguments, size):
    quiet = wait_until_quiet()
    before, machine_before = resource.getrusage(resource.RUSAGE_CHILDREN), busy_seconds()
    begun = time.monotonic()
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    wall = time.monotonic() - begun
    after, machine_after = resource.getrusage(resource.RUSAGE_CHILDREN), busy_seconds()
    if done.returncode != 0:
        raise SystemExit(f"bench/files: {' '.join(arguments)}: {done.stderr}")
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "gib_s": size / GIB / wall, "cpu": own, "cpu_machine":
            machine_after - machine_before, "quiet": quiet}, done.stdout


def make_source(path, size):
    """Random bytes, on the disk."""
    block = os.urandom(16 * MIB)
    with open(path, "wb") as file:
        for _ in range(0, size, len(block)):
            file.write(block)
        file.truncate(size)
        os.fsync(file.fileno())


# ---- a cold file -----------------------------------------------------------------------------------


def fio(source, size, words):
    """What the disk gives, by fio's own clock."""
    found, text = run(["fio", "--name=read", f"--filename={source}", "--rw=read", *words,
                       f"--size={size}", "--output-format=json"], size)
    job = json.loads(text[text.index("{"):])["jobs"][0]["read"]
    return {**found, "gib_s": job["bw_bytes"] / GIB, "wall": job["runtime"] / 1000}


def fio_runners(source, size):
    """Several direct reads at a time; and one after the other, with the kernel's readahead, as it is and as it
    is where a sequence is announced (fio does so unless it is told not to)."""
    direct_words = ("--direct=1", "--ioengine=libaio", *(f"--{key}={value}" for key, value in
                                                         COLD_FIO.items()))
    buffered = ("--direct=0", "--ioengine=psync", f"--bs={COLD_FIO_BUFFERED['bs']}")
    words = {"fio": direct_words, "fio again": direct_words,
             "fio buffered": (*buffered, "--fadvise_hint=0"), "fio buffered, announced": buffered}
    return {name: lambda own=own: fio(source, size, own) for name, own in words.items()}


def cold_runners(options, source, size, sink):
    """fio reads into memory; sluice into tmpfs by splice and by read-write, and into /dev/null."""
    def ours(*words, into):
        return lambda: run([options.sluice, "copy", "-q", *words, source, into], size)[0]

    found = fio_runners(source, size)
    for how, words in (("readahead auto", ()), ("always", ("--readahead=always",)),
                       ("never", ("--readahead=never",))):
        found[f"read-write to null, {how}"] = ours("--method=read-write", *words, into="null:")
        found[f"splice to null, {how}"] = ours("--method=splice", *words, into="null:")
        found[f"to tmpfs, {how}"] = ours(*words, into=sink)
    return found


def measure_cold(options, rounds, keep):
    size = options.mib * MIB
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=options.dir) as directory:
        source, sink = os.path.join(directory, "source"), f"/dev/shm/sluice-bench-{os.getpid()}"
        if options.source:
            source, size = options.source, os.path.getsize(options.source)
        else:
            make_source(source, size)

        runners = chosen(options, cold_runners(options, source, size, sink))
        twice = any("tmpfs" in name for name in runners)  # the page cache's part and the sink's

        def before():
            remove(sink)
            forget()
            warm_free_memory(size if twice else size // 2)

        try:
            go_round(options, rounds, runners, before, keep)
        finally:
            remove(sink)


# ---- file to file ----------------------------------------------------------------------------------


def copy_runners(options, source, sink, size):
    def ours(*words):
        return lambda: run([options.sluice, "copy", "-q", *words, source, sink], size)[0]

    def other(*words):
        return lambda: run([*words], size)[0]

    found = {
        "sluice": ours(), "sluice again": ours(), "sluice --readahead=always":
        ours("--readahead=always"), "sluice --cache=drop": ours("--cache=drop"),
        "sluice --cache=drop, by windows": ours("--cache=drop", "--method=splice"),
        "cp": other("cp", "--reflink=never", source, sink),
        "dd bs=1M": other("dd", "bs=1M", f"if={source}", f"of={sink}"),
        "dd bs=1M direct": other("dd", "bs=1M", "iflag=direct", "oflag=direct", f"if={source}",
                                 f"of={sink}"),
    }
    if shutil.which("rsync"):
        found["rsync"] = other("rsync", "--whole-file", "--inplace", source, sink)
    return found


def measure_copy(options, rounds, keep):
    size = options.mib * MIB
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=options.dir) as directory:
        source, sink = os.path.join(directory, "source"), os.path.join(directory, "sink")
        make_source(source, size)
        for state in ("hot", "cold"):
            def before(hot=state == "hot"):
                remove(sink)
                forget()
                if hot:
                    read_through(source)
                warm_free_memory(size)

            runners = copy_runners(options, source, sink, size)
            go_round(options, rounds,
                     {f"{state}: {name}": runner for name, runner in runners.items()}, before, keep)


# ---- extents that are shared -----------------------------------------------------------------------


def measure_reflink(options, rounds, keep):
    size = options.mib * MIB
    for name in ("xfs", "btrfs"):
        parent = getattr(options, name)
        if not parent:
            continue
        with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=parent) as directory:
            source, sink = os.path.join(directory, "source"), os.path.join(directory, "sink")
            with open(source, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)  # extents, all of them allocated
                file.write(os.urandom(MIB))
            os.sync()

            def before():
                remove(sink)
                os.sync()

            ours = [options.sluice, "copy", "-q", "--reflink=always", source, sink]
            go_round(options, rounds, {
                f"{name}: sluice": lambda: run(ours, size)[0],
                f"{name}: sluice again": lambda: run(ours, size)[0],
                f"{name}: cp --reflink=always":
                lambda: run(["cp", "--reflink=always", source, sink], size)[0]}, before, keep)


# ---- bytes that do not change ----------------------------------------------------------------------


def measure_snapshot(options, rounds, keep):
    """A cold file into a pipe whose reader drops it: the ways to a snapshot, and none."""
    size, tools = options.mib * MIB, os.path.join(os.path.dirname(options.sluice), "../bench")
    ways = {"clone": ("--snapshot",), "direct": ("--snapshot", "--method=direct"),
            "copy": ("--snapshot", "--method=read-write"), "no snapshot": ("--method=splice",)}

    def into_pipe(source, words):
        one = direct.file_to_pipe(tools, [options.sluice, "copy", "-q", *words], source, size)
        return {"wall": one.wall, "gib_s": one.throughput, "cpu": one.mover,
                "cpu_machine": one.machine, "quiet": one.quiet}

    with contextlib.ExitStack() as stack:
        runners = {}
        for name in ("xfs", "btrfs"):
            if getattr(options, name):
                source = os.path.join(stack.enter_context(tempfile.TemporaryDirectory(
                    prefix="sluice-bench-", dir=getattr(options, name))), "source")
                make_source(source, size)
                runners |= {f"{name}: {way}": lambda source=source, words=words:
                            into_pipe(source, words) for way, words in ways.items()}
        go_round(options, rounds, runners, forget, keep)


# ---- all of them -----------------------------------------------------------------------------------


def chosen(options, runners):
    return {name: one for name, one in runners.items()
            if not options.only or any(word in name for word in options.only)}


def go_round(options, rounds, runners, before, keep):
    """What was measured is kept after each round: who is stopped then loses one at most."""
    chance = random.Random(options.seed + len(rounds))
    if options.end is None:
        options.end = time.monotonic() + (60 * options.minutes if options.minutes else float("inf"))
    runners = chosen(options, runners)
    for _ in range(options.rounds):
        done, names = {}, list(runners)
        chance.shuffle(names)
        rounds.append(done)
        for name in names:
            if time.monotonic() >= options.end:
                break
            before()
            done[name] = runners[name]()
        if not done:
            rounds.pop()
            break
        keep()


def beside(names, name, against):
    """Whom it is held against: the same state's, where there is one."""
    return next((one for one in (f"{name.split(': ')[0]}: {against}", against)
                 if one in names and one != name), None)


def ratio_to(rounds, names, name, against):
    other = beside(names, name, against)
    both = [one[name]["gib_s"] / one[other]["gib_s"] for one in rounds
            if name in one and other in one]
    return str(interval(both)) if both else ""


def table(rounds, against):
    """Medians of each, and the ratio to each of those, round by round, with 95 % intervals."""
    names = sorted({name for one in rounds for name in one})
    print(f"{'':32} rounds  {'GiB/s':21}  {'mover, CPU s/GiB':21}  {'machine, CPU s/GiB':21}"
          "  wall ms  throughput to " + ", to ".join(against))
    for name in names:
        mine = [one for one in rounds if name in one]
        values = {key: interval([one[name][key] for one in mine]) for key in ("gib_s", "wall")}
        for key in ("cpu", "cpu_machine"):
            values[key] = interval([one[name][key] / one[name]["gib_s"] / one[name]["wall"]
                                    for one in mine])
        ratios = "  ".join(f"{ratio_to(rounds, names, name, other):21}" for other in against)
        print(f"{name:32} {len(mine):6}  {values['gib_s']!s:21}  {values['cpu']!s:21}"
              f"  {values['cpu_machine']!s:21}  {values['wall'].median * 1000:7.2f}  {ratios}".rstrip())


Part = collections.namedtuple("Part", "measure mib against")
PARTS = {"cold": Part(measure_cold, 4096, ("fio", "fio buffered")),
         "copy": Part(measure_copy, 1024, ("cp",)),
         "reflink": Part(measure_reflink, 10240, ("cp --reflink=always",)),
         "snapshot": Part(measure_snapshot, 512, ("direct",))}


def main(description):
    options = parse(description)
    found = {}
    if options.add and os.path.exists(options.json):
        with open(options.json, encoding="utf-8") as file:
            found = json.load(file)
    rounds = found.setdefault(options.part, [])
    programs = {"sluice": (options.sluice, "--version"), "fio": ("fio", "--version"),
                "rsync": ("rsync", "--version"), "cp": ("cp", "--version")}
    found["machine"] = machine.describe(options.dir, "/dev/shm", programs)
    print(machine.one_line(found["machine"]), flush=True)

    def keep():
        with open(options.json + ".new", "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
        os.replace(options.json + ".new", options.json)

    try:
        PARTS[options.part].measure(options, rounds, keep)
    except KeyboardInterrupt:
        print("stopped; what was measured until then:")
    table(rounds, PARTS[options.part].against)
    return 0
