#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The system calls that `sluice bench` counts are those that strace sees, within five per cent: by
# the tracepoint, and by its own tracer where that is not permitted. And the figures are whole: bytes,
# rounds, intervals in their order, what is left in the page cache.
# timeout: 240
# serial: beside others less is moved in a run, and what sets up weighs more
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

need_command strace

scenario <<'PY'
import glob

directory = scratch()


def bench(*words, before=(), seconds=60):
    command = [*before, os.environ["SLUICE"], "bench", "--json", "-q", "--disk", directory, "--size=16M",
               "--time=20", *words]
    environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    done = subprocess.run(command, capture_output=True, timeout=seconds, env=environment)
    equal(done.returncode, 0, f"{command}: {done.stderr}")
    return json.loads(done.stdout)


def methods(found):
    return {cell["method"]: cell for group in found["groups"] for cell in group["methods"]
            if not cell["control"]}


# ---- whole ----
found = bench("--only=file-pipe", "--chunk=64K", "--rounds=5")
equal((found["version"], found["schema"]), (1, "sluice-bench"), "version and schema")
for group in found["groups"]:
    for cell in group["methods"]:
        if "error" in cell:
            continue
        what = f"{group['path']} {group['cache']} {cell['method']}"
        equal([run["round"] for run in cell["runs"]], [0, 1, 2, 3, 4], f"{what}: rounds")
        for name in ("cpu", "throughput", "voluntary", "minor_faults"):
            figure = cell[name]
            check(figure["low"] <= figure["median"] <= figure["high"], f"{what}: {name}: {figure}")
        check(cell["throughput"]["low"] > 0, what)
        equal(cell["mode_switches"], 2 * cell["calls"], f"{what}: mode switches")
        wanted = 1.0 if group["cache"] != "hot" and cell["method"] not in ("direct", "aio", "io_uring") else 0
        if cell["cache_left"] is not None:
            check(abs(cell["cache_left"] - wanted) < 0.1, f"{what}: left in the cache: {cell['cache_left']}")
hot = {cell["method"]: cell for cell in found["groups"][0]["methods"]}
equal(hot["read-write"]["copies"], 2, "copies of read-write")
equal(hot["splice"]["copies"], 0, "copies of splice")
counted = hot["splice"]["counted_by"]
if ROOT:
    equal(counted, "tracepoint", "how calls are counted")
# 16 MiB in 64 KiB: 256 reads and 256 writes, and a few that set up.
calls = hot["read-write"]["calls_counted"] * 256 / (hot["read-write"]["bytes"] / 65536)
check(512 <= calls <= 512 * 1.1, f"calls of read-write: {calls}")
# And mmap-write looks at the file's size once for each write; 8 windows are mapped, advised and unmapped.
calls = hot["mmap-write"]["calls_counted"] * 256 / (hot["mmap-write"]["bytes"] / 65536)
check(512 <= calls <= 512 * 1.15, f"calls of mmap-write: {calls}")

# ---- beside strace ----
# One run of each kind: the pilot, the counted one, one round and its control. Of those that moved all
# bytes the timed ones are as the counted one was.
skip_calls = re.compile(rb"^(exit_group|\+\+\+|---|munmap\(0x\w+, (4096|8192))")


def strace_counts(method, moving, path="file-pipe"):
    for old in glob.glob(f"{directory}/trace.*"):
        os.unlink(old)
    found = bench(f"--only={path}", "--chunk=64K", "--rounds=1", f"--method={method}",
                  before=["strace", "-ff", "-o", f"{directory}/trace"])
    cell = found["groups"][0]["methods"][0]
    counts = []
    for trace in glob.glob(f"{directory}/trace.*"):
        lines = [line for line in content(trace).splitlines() if b"(" in line]
        moves = sum(line.startswith(moving) for line in lines)
        gates = [index for index, line in enumerate(lines) if line.startswith(b"getrusage(RUSAGE_SELF")]
        if moves >= 16 and gates:
            counts.append(len([line for line in lines[gates[0] + 1:] if not skip_calls.match(line)]))
    return cell, counts


for method, moving in (("read-write", b"write("), ("sendfile", b"sendfile(")):
    cell, counts = strace_counts(method, moving)
    # Under strace nobody else may trace, but the tracepoint counts; else it is not counted.
    if cell["counted_by"] == "not counted":
        continue
    own = cell["calls_counted"]
    check(any(abs(count - own) <= 0.05 * own for count in counts),
          f"{method}: {own} calls counted by {cell['counted_by']}, strace saw {counts}")

# ---- by a tracer ----
scenario_denied = [helper("seccomp-deny"), "perf_event_open=EACCES", "--"]
found = bench("--only=file-pipe", "--chunk=64K", "--rounds=1", "--method=read-write", before=scenario_denied)
cell = found["groups"][0]["methods"][0]
equal(cell["counted_by"], "ptrace", "how calls are counted without perf events")
wanted = 2 * cell["bytes"] / 65536
check(wanted <= cell["calls_counted"] <= 1.1 * wanted + 20, f"calls by ptrace: {cell['calls_counted']}")
PY
