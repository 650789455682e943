#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `sluice bench --only=broker`: every way of appending and serving has its figures; what needs a cgroup says
# so where none can be made; and no cgroup is left, also when it is killed.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import glob
import signal
import time

directory = scratch()
WORDS = [os.environ["SLUICE"], "bench", "-q", "--json", "--only=broker", "--disk", directory, "--size=32M",
         "--time=60"]
GROUPS = [f"/sys/fs/cgroup{part}/**/sluice-bench.*" for part in ("", "/memory")]


def groups(pid):
    return [path for pattern in GROUPS for path in glob.glob(pattern, recursive=True)
            if path.endswith(f".{pid}")]


def run(*words):
    process = subprocess.Popen([*WORDS, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=150)
    equal(process.returncode, 0, f"status: {err}")
    equal(groups(process.pid), [], "cgroups left")
    return json.loads(out)


found = run("--rounds=1")
equal(found["groups"], [], "paths were measured, too")
wanted = {("append", 100, "no sync"): {"mmap store", "write"},
          ("append", 1 << 20, "synced after each MiB"): {"mmap store", "write"},
          ("serve", 1024, "at the tail"): {"mapped slices", "sendfile", "splice"},
          ("serve", 1 << 20, "far behind"): {"mapped slices", "sendfile", "splice"},
          ("behind", 65536, "limited page cache"):
              {"nobody behind", *(f"{count} behind, cache={cache}" for count in ("one", "three")
                                  for cache in ("keep", "drop"))}}
there = {(group["part"], group["message"], group["condition"]): group for group in found["broker"]}
for key, methods in wanted.items():
    equal({row["method"] for row in there[key]["methods"]}, methods, f"methods of {key}")
    equal(sum(row["control"] for row in there[key]["methods"]), 1, f"controls of {key}")
for key, group in there.items():
    for row in group["methods"]:
        what = f"{key}: {row['method']}"
        if "error" in row:
            check(key[0] == "behind" and "cgroup" in row["reason"], f"{what}: {row}")
            continue
        equal(len(row["rate"]["runs"]), 1, f"{what}: runs")
        check(0 < row["p50"]["median"] <= row["p99"]["median"], f"{what}: times: {row}")
        check(row["rate"]["median"] > 0 and row["cpu"]["median"] >= 0, what)
        # One run says nothing.
    check(" best " not in group["words"], f"words from one run: {group['words']}")
if ROOT and (os.path.exists("/sys/fs/cgroup/memory/tasks")):
    check(all("error" not in row for row in there[("behind", 65536, "limited page cache")]["methods"]),
          "behind, as root")

# Killed while there is a cgroup.
process = subprocess.Popen([*WORDS, "--rounds=3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
for _ in range(3000):
    if groups(process.pid) or process.poll() is not None:
        break
    time.sleep(0.005)
process.send_signal(signal.SIGKILL)
process.communicate(timeout=30)
for _ in range(500):
    if not groups(process.pid):
        break
    time.sleep(0.02)
equal(groups(process.pid), [], "cgroups left by one who was killed")
no_leftovers(directory)
PY
