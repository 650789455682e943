# SPDX-License-Identifier: MIT
"""One pipe into many sinks: sluice tee, the ceilings, and what people use now."""

import fcntl
import os
import random
import shutil
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from .intervals import MET, NOT_MET, Target, interval
from .measure import RunFailed, _Descriptors, _Party
from .paths import GIB, KIB, MIB
from .quiet import wait_until_quiet

SLUICE, CONTROL, GNU = "sluice", "fan-out queue again", "tee"
CEILINGS = ("fan-out queue", "fan-out straight")
QUICK = (SLUICE, CONTROL, *CEILINGS)
SLOWER = 8  # the others get so many times fewer bytes: their rate does not depend on it
TO_CEILING = Target(0.9, at_least=True)


@dataclass(frozen=True)
class Mix:
    """Who feeds, by pipes of what size, and who drains; `files`: regular files among the sinks."""

    name: str
    feed: str
    drain: str
    pipe_size: int
    sinks: int
    files: int = 0
    size: int = GIB


def mixes():
    for sinks in (1, 2, 3, 8):
        yield Mix(f"vmsplice-1m-{sinks}", "vmsplice:1048576", "drop", MIB, sinks, size=4 * GIB // max(1, sinks // 2))
    for sinks in (1, 2, 3, 8):
        yield Mix(f"write-64k-{sinks}", "write:131072", "read:131072", 64 * KIB, sinks, size=GIB // 2)
    yield Mix("vmsplice-64k-3", "vmsplice:1048576", "drop", 64 * KIB, 3)
    yield Mix("write-1m-3", "write:131072", "read:131072", MIB, 3, size=GIB // 2)
    yield Mix("write-64k-file-1", "write:131072", "read:131072", 64 * KIB, 2, files=1, size=GIB // 2)
    yield Mix("write-1m-file-1", "write:131072", "read:131072", MIB, 2, files=1, size=GIB // 2)


MIXES = tuple(mixes())


def commands(options):
    """{name: words before the sinks, how a sink is named}; pee is run apart, for it starts its own."""
    built = os.path.join(options.build, "bench")

    def by_number(fd):
        return (f"fd:{fd}",)

    def by_path(fd):
        return (f"/dev/fd/{fd}",)

    found = {
        SLUICE: ((options.sluice, "tee"), by_number),
        **{name: ((os.path.join(built, "fan-out"), name.split()[1]), by_number) for name in CEILINGS},
        CONTROL: ((os.path.join(built, "fan-out"), "queue"), by_number),
    }
    if shutil.which("tee"):
        found[GNU] = (("tee",), by_path)
    if shutil.which("mbuffer"):
        found["mbuffer"] = (("mbuffer", "-q"), lambda fd: ("-o", f"/dev/fd/{fd}"))
    return found


@dataclass(frozen=True)
class Run:
    bytes: int
    wall: float
    cpu_seconds: float

    @property
    def throughput(self):
        return self.bytes / GIB / self.wall

    @property
    def cpu(self):
        return self.cpu_seconds * GIB / self.bytes

    def as_json(self):
        return {"bytes": self.bytes, "wall": round(self.wall, 6), "cpu": round(self.cpu_seconds, 6)}


class _Drain(_Party):
    def __init__(self, built, how, end):
        super().__init__((os.path.join(built, "drain"), how, "-"), stdin=end, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def received(self):
        self.wait()
        return int(self.process.stdout.read())


def run_once(options, mix, how, size, more=()):
    """`how` is an entry of commands(). Its standard output is a sink, too, for those who have it."""
    built = os.path.join(options.build, "bench")
    words, name_of = how
    wait_until_quiet()
    with ExitStack() as stack:
        fds = stack.enter_context(_Descriptors())
        source, into = fds.pipe(mix.pipe_size)
        sinks, drains, paths = [], [], []
        for _ in range(mix.sinks - mix.files):
            read_end, write_end = fds.pipe(mix.pipe_size)
            drains.append(stack.enter_context(_Drain(built, mix.drain, read_end)))
            fds.close(read_end)
            sinks.append(write_end)
        for i in range(mix.files):
            path = os.path.join(options.memory_dir, f"sluice-fanout-{os.getpid()}-{i}")
            stack.callback(os.unlink, path)
            paths.append(path)
        feed = stack.enter_context(_Party((os.path.join(built, "feed"), str(size), mix.feed, "-"),
                                          stdin=subprocess.PIPE, stdout=into))
        fds.close(into)
        # The first pipe is standard output, as with every tee; ceilings and mbuffer name it, too.
        stdout, named = sinks[0], sinks[1:]
        arguments = [*words]
        if words[0].endswith("fan-out"):
            arguments.append("fd:1")
        if words[0] == "mbuffer":
            arguments += ["-o", "-"]
        for fd in named:
            arguments += name_of(fd)
        for path in paths:
            arguments += ("-o", path) if words[0] == "mbuffer" else (path,)
        began = time.monotonic()
        mover = subprocess.Popen(arguments, stdin=source, stdout=stdout, pass_fds=(*named, *more),
                                 stderr=subprocess.PIPE)
        for fd in (source, *sinks):
            fds.close(fd)
        feed.process.stdin.write("go\n")
        feed.process.stdin.flush()
        said = mover.stderr.read()
        _, status, usage = os.wait4(mover.pid, 0)
        mover.returncode = os.waitstatus_to_exitcode(status)
        mover.stderr.close()
        received = [drain.received() for drain in drains] + [os.path.getsize(path) for path in paths]
        wall = time.monotonic() - began
        feed.wait()
        if status != 0 or any(one != size for one in received):
            raise RunFailed(f"{' '.join(arguments)}: status {status}, {received} bytes; {said.decode()}")
    return Run(size, wall, usage.ru_utime + usage.ru_stime)


# What a further sink costs, held against one copy: half of what a read and a write of the same bytes cost
# between two such pipes, in the same round. GNU tee copies once for each sink, with as many readers about.
COPY = "one copy"
SEVERAL = (2, 3, 8)
FURTHER = Target(0.05, at_least=False)


def measure_further(options, say):
    chance = random.Random(options.seed)
    known = commands(options)
    size = options.size or 4 * GIB
    movers = [SLUICE, CEILINGS[0], *((GNU,) if GNU in known else ())]
    two_copies = ((os.path.join(options.build, "bench", "read-write"), str(128 * KIB)), None)
    alone = Mix("further", "vmsplice:1048576", "drop", MIB, 1)
    rounds = []
    began = time.monotonic()
    for number in range(options.pairs):
        if rounds and time.monotonic() - began > options.seconds:
            break
        say(f"further sinks: round {number + 1} of {options.pairs}")
        order = [COPY, *((name, sinks) for name in movers for sinks in SEVERAL)]
        chance.shuffle(order)
        done = {}
        for one in order:
            if one == COPY:
                done[COPY] = run_once(options, alone, two_copies, size // 4).cpu / 2
            else:
                name, sinks = one
                mix = Mix("further", alone.feed, alone.drain, MIB, sinks)
                less = SLOWER if name == GNU else 1
                done[f"{name} {sinks}"] = run_once(options, mix, known[name], size // sinks // less).cpu
        rounds.append(done)

    def further(name, one):
        return (one[f"{name} {SEVERAL[-1]}"] - one[f"{name} {SEVERAL[0]}"]) / (SEVERAL[-1] - SEVERAL[0])

    found = {"mix": "further", "rounds": rounds,
             "medians": {name: round(median(one[name] for one in rounds), 5) for name in rounds[0]}}
    for name in movers:
        ratio = interval([further(name, one) / one[COPY] for one in rounds])
        found[name] = {"further": round(median(further(name, one) for one in rounds), 5), "to_copy": ratio.as_json(),
                       "verdict": MET if FURTHER.reached_by(ratio) else NOT_MET}
    if GNU in movers:
        found["to_gnu"] = interval([further(SLUICE, one) / further(GNU, one) for one in rounds]).as_json()
    return found


def further_table(found):
    lines = [f"one copy of a GiB: {found['medians'][COPY]:.3f} CPU s",
             "| by | " + " | ".join(f"{sinks} sinks, CPU s/GiB" for sinks in SEVERAL)
             + " | each further one | to one copy | |", "| --- " * (len(SEVERAL) + 4) + "|"]
    for name in (name for name in (SLUICE, CEILINGS[0], GNU) if name in found):
        ratio = found[name]["to_copy"]
        lines.append(f"| {name} | " + " | ".join(f"{found['medians'][f'{name} {sinks}']:.3f}" for sinks in SEVERAL)
                     + f" | {found[name]['further']:.4f} | {ratio['median']:.3f} [{ratio['low']:.3f} "
                     f"{ratio['high']:.3f}] | {found[name]['verdict']} |")
    if "to_gnu" in found:
        ratio = found["to_gnu"]
        lines.append(f"\na further sink, {SLUICE} : GNU tee {ratio['median']:.3f} [{ratio['low']:.3f} {ratio['high']:.3f}]")
    return "\n".join(lines)


# A sink that nobody reads, and two that are drained: what its policy costs the others.
STALLED = Mix("stalled", "vmsplice:1048576", "drop", MIB, 2, size=4 * GIB)
WITHOUT, AGAIN = "without it", "again without it"
# A file takes no more than can be copied into it: so also at rates that it can follow, and at its own pace.
RATES = {" at 400 MiB/s": ("400M", 200 * MIB), " at 1 GiB/s": ("1G", 512 * MIB)}
FILE = "the file of the spill alone"
WORDS = {"drop": "slow=drop", "detach": "slow=detach", "spill": "slow=spill={file}",
         "spill, then drop": "slow=spill={file},spill-slow=drop",
         "spill, then detach": "slow=spill={file},spill-slow=detach"}
POLICIES = (WITHOUT, AGAIN, *WORDS, FILE,
            *(policy + rate for rate in RATES for policy in (WITHOUT, AGAIN, "spill")))


def _rate_of(policy):
    return next((rate for rate in RATES if policy.endswith(rate)), "")


def _spill_path(options):
    return os.path.join(options.memory_dir, f"sluice-spill-{os.getpid()}")


def run_file_alone(options, size):
    """What the file takes at most: write(2) of the same bytes, and nothing else."""
    path, piece = _spill_path(options), b"a" * MIB
    began = time.monotonic()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(size // MIB):
            os.write(fd, piece)
        return Run(size, time.monotonic() - began, float("nan"))
    finally:
        os.close(fd)
        os.unlink(path)


def run_stalled(options, policy):
    words = [options.sluice, "tee", "--linger=0.001"]
    size = options.size or STALLED.size
    if policy == FILE:
        return run_file_alone(options, size)
    rate = _rate_of(policy)
    if rate:
        policy = policy.removesuffix(rate)
        rate, size = RATES[rate]
        words.append(f"--rate={rate}")
    with ExitStack() as stack:
        fds = stack.enter_context(_Descriptors())
        if policy in (WITHOUT, AGAIN):
            return run_once(options, STALLED, (tuple(words), lambda fd: (f"fd:{fd}",)), size)
        _, sink = fds.pipe(MIB)
        spill = _spill_path(options)
        stack.callback(lambda: os.path.exists(spill) and os.unlink(spill))
        word = f"fd:{sink},lag=4M,{WORDS[policy].format(file=spill)}"
        return run_once(options, STALLED, ((*words, word), lambda fd: (f"fd:{fd}",)), size,
                        (sink,))


def measure_stalled(options, say):
    chance = random.Random(options.seed)
    rounds = []

    def ratio(name, base):
        return interval([one[name].throughput / one[base].throughput for one in rounds]).as_json()

    began = time.monotonic()
    for number in range(options.pairs):
        if rounds and time.monotonic() - began > options.seconds:
            break
        say(f"stalled: round {number + 1} of {options.pairs}")
        order = list(POLICIES)
        chance.shuffle(order)
        rounds.append({policy: run_stalled(options, policy) for policy in order})
    return {
        "mix": "stalled", "bytes": options.size or STALLED.size,
        "rounds": [{name: run.as_json() for name, run in one.items()} for one in rounds],
        "medians": {name: round(median(_of(rounds, name, "throughput")), 4) for name in POLICIES},
        "to_without": {name: ratio(name, WITHOUT + _rate_of(name)) for name in POLICIES
                       if not name.startswith(WITHOUT) and name != FILE},
        "spill_to_file": ratio("spill", FILE),
    }


def stalled_table(found):
    lines = ["| a third sink that nobody reads | GiB/s of the others | to without it |", "| --- | --- | --- |"]
    for name in POLICIES:
        ratio = found["to_without"].get(name)
        lines.append(f"| {name} | {found['medians'][name]:.2f} | "
                     + (f"{ratio['median']:.2f} [{ratio['low']:.2f} {ratio['high']:.2f}] |" if ratio else "|"))
    to_file = found["spill_to_file"]
    lines.append(f"\nspill : its file alone {to_file['median']:.2f} [{to_file['low']:.2f} {to_file['high']:.2f}]")
    return "\n".join(lines)


def run_pee(options, mix, size):
    """pee's sinks are programs that it starts itself, with pipes of the usual size; its CPU time holds theirs."""
    built = os.path.join(options.build, "bench")
    wait_until_quiet()
    with ExitStack() as stack:
        fds = stack.enter_context(_Descriptors())
        source, into = fds.pipe(mix.pipe_size)
        feed = stack.enter_context(_Party((os.path.join(built, "feed"), str(size), mix.feed, "-"),
                                          stdin=subprocess.PIPE, stdout=into))
        fds.close(into)
        drain = f"exec {os.path.join(built, 'drain')} {mix.drain} - >/dev/null"
        began = time.monotonic()
        mover = subprocess.Popen(["pee"] + [drain] * mix.sinks, stdin=source)
        fds.close(source)
        feed.process.stdin.write("go\n")
        feed.process.stdin.flush()
        status = mover.wait()
        wall = time.monotonic() - began
        if status != 0:
            raise RunFailed(f"pee: status {status}")
    return Run(size, wall, float("nan"))


def measure(options, mix, say):
    """Everyone in turn, `pairs` times; returns what was found as one JSON-ready object."""
    chance = random.Random(options.seed)
    known = commands(options)
    everyone = list(known)
    if shutil.which("pee") and not mix.files:
        everyone.append("pee")
    rounds, failures = [], []
    while len(rounds) < options.pairs and len(failures) < 3:
        say(f"{mix.name}: round {len(rounds) + 1} of {options.pairs}")
        chance.shuffle(everyone)
        done = {}
        try:
            for name in everyone:
                size = (options.size or mix.size) // (1 if name in QUICK else SLOWER)
                done[name] = (run_pee(options, mix, size) if name == "pee"
                              else run_once(options, mix, known[name], size))
            rounds.append(done)
        except RunFailed as failure:
            failures.append(str(failure))
    return _report(mix, options, rounds, failures)


def _of(rounds, name, what):
    return [getattr(one[name], what) for one in rounds]


def _report(mix, options, rounds, failures):
    names = sorted(rounds[0]) if rounds else []
    medians = {name: {"throughput": round(median(_of(rounds, name, "throughput")), 4),
                      "cpu": round(median(_of(rounds, name, "cpu")), 5)} for name in names}
    result = {"mix": mix.name, "bytes": options.size or mix.size, "failed_rounds": failures,
              "medians": medians, "rounds": [{name: run.as_json() for name, run in one.items()}
                                             for one in rounds]}
    if not rounds:
        return result
    best = max(CEILINGS, key=lambda name: medians[name]["throughput"])
    to_ceiling = interval([one[SLUICE].throughput / one[best].throughput for one in rounds])
    control = interval([one["fan-out queue"].throughput / one[CONTROL].throughput for one in rounds])
    result.update({"ceiling": best, "to_ceiling": to_ceiling.as_json(), "control": control.as_json(),
                   "verdict": MET if TO_CEILING.reached_by(to_ceiling) else NOT_MET})
    if GNU in names:
        result["to_gnu"] = interval(
            [one[SLUICE].throughput / one[GNU].throughput for one in rounds]).as_json()
        result["cpu_to_gnu"] = interval([one[SLUICE].cpu / one[GNU].cpu for one in rounds]).as_json()
    return result


def table(results):
    lines = ["| mix | sluice GiB/s | ceiling | ratio | control | GNU tee | ratio | CPU s/GiB | GNU's | pee | mbuffer | |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for one in results:
        if "ceiling" not in one:
            lines.append(f"| {one['mix']} | failed: {'; '.join(one['failed_rounds'])} |")
            continue
        of = one["medians"]

        def figure(name, what="throughput", of=of):
            return f"{of[name][what]:.2f}" if name in of else ""

        def ratio(found):
            return f"{found['median']:.2f} [{found['low']:.2f} {found['high']:.2f}]"

        lines.append(f"| {one['mix']} | {figure(SLUICE)} | {figure(one['ceiling'])} ({one['ceiling'].split()[1]}) | "
                     f"{ratio(one['to_ceiling'])} | {ratio(one['control'])} | {figure(GNU)} | {ratio(one['to_gnu'])} | "
                     f"{of[SLUICE]['cpu']:.3f} | "
                     f"{of[GNU]['cpu']:.3f} | {figure('pee')} | {figure('mbuffer')} | {one['verdict']} |")
    return "\n".join(lines)
