#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `sluice bench` says of its runs is what others say who watched the very same runs from outside:
# system calls, scheduler switches and page faults by perf stat; switches, faults and CPU time by the
# usage that wait4(2) tells a tracer. Counts within five per cent; and the intervals of CPU time overlap.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import itertools

import outside

# Tracepoints are for who may see the whole machine.
PERF = subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"], capture_output=True).returncode == 0
if ROOT and not PERF:
    skip("missing perf: or it may not count system calls")
if not PERF:
    print("perf stat may not count system calls as this user: the usage that a tracer is told alone")
if os.uname().machine not in outside.NUMBERS:
    skip("the numbers of system calls of this machine are not known here")
ROUNDS = 8  # of fewer an interval is their whole range
directory = scratch()
environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


def watch(path, method, chunk):
    """The cells it shows, each with [(said, seen)] of its timed runs and what was seen of its counted one."""
    with tempfile.TemporaryFile() as out:
        tracer = outside.Tracer([*SLUICE, "bench", "-q", "--json", "--disk", directory, "--size=32M", "--time=100",
                                 f"--only={path}", f"--method={method}", f"--chunk={chunk}", f"--rounds={ROUNDS}"],
                                PERF, stdout=out, env=environment)
        equal(tracer.run(), 0, f"status of {method}")
        out.seek(0)
        cells = [cell for group in json.load(out)["groups"] for cell in group["methods"] if "error" not in cell]
    # They are the last to run: those that are counted, without the controls, then in each round all, in
    # an order that is not said: a round's runs are told apart by what they cost.
    timed = tracer.taken[-ROUNDS * len(cells):]
    counted = tracer.taken[:-ROUNDS * len(cells)][-len(cells) // 2:]
    check(len(tracer.taken) >= ROUNDS * len(cells) + len(counted), f"{len(tracer.taken)} runs were seen")
    pairs = [[] for _ in cells]
    for index in range(ROUNDS):
        said = [cell["runs"][index] for cell in cells]
        seen = timed[index * len(cells):][:len(cells)]
        best = min(itertools.permutations(seen), key=lambda order: sum(map(distance, said, order)))
        for pair, one, other in zip(pairs, said, best):
            pair.append((one, other))
    return [(cell, pair, counted[place // 2]) for place, (cell, pair) in enumerate(zip(cells, pairs))]


def distance(said, seen):
    return sum(abs(figure(said) - figure(seen)) / (figure(said) + figure(seen) + 1e-3)
               for figure in (cpu, switches, faults))


def cpu(run):
    return run["user"] + run["system"]


def agree(said, seen, least, what):
    check(abs(said - seen) <= 0.05 * max(said, seen) + least, f"{what}: {said} is said, {seen} was seen")


def interval(values):
    """Of a median, by bootstrap."""
    draw = random.Random(1)
    medians = sorted(sorted(draw.choices(values, k=len(values)))[len(values) // 2] for _ in range(1000))
    return medians[25], medians[974]


def switches(run):
    return run["voluntary"] + run["involuntary"]


def faults(run):
    return run["minor"] + run["major"]


for path, method, chunk in (("pipe-pipe", "read-write", "16K"), ("pipe-tcp", "splice", "64K"),
                            ("file-tcp", "sendfile", "16K"), ("file-memory", "mmap", "64K")):
    for cell, pairs, counted in watch(path, method, chunk):
        what = f"{path} {method}"
        # The last it does, having asked for its usage, is seen from outside as well: a few calls.
        for said, seen in pairs:
            agree(switches(said), switches(seen), 3, f"{what}: switches, by wait4")
            agree(faults(said), faults(seen), 3, f"{what}: page faults, by wait4")
            if PERF:
                agree(switches(said), seen["perf"]["switches"], 3, f"{what}: switches, by perf")
                agree(faults(said), seen["perf"]["faults"], 3, f"{what}: page faults, by perf")
        low, high = interval([cpu(seen) / (cell["bytes"] / GIB) for _, seen in pairs])
        own = cell["cpu"]
        print(f"{what}, {cell['control'] and 'again' or 'once'}: CPU s/GiB {own['low']:.4f} {own['high']:.4f}, seen "
              f"{low:.4f} {high:.4f}; {cell['calls_counted']} calls, seen {PERF and counted['perf']['calls']}")
        check(own["low"] <= high and low <= own["high"],
              f"{what}: CPU s/GiB: [{own['low']} {own['high']}] is said, [{low} {high}] was seen")
        if PERF:
            equal(cell["counted_by"], "tracepoint", f"{what}: how calls are counted")
            agree(cell["calls_counted"], counted["perf"]["calls"], 12, f"{what}: calls")
no_leftovers(directory)
PY
