#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `sluice bench` cannot measure is said in a clear line, and the rest goes on: a disk too small,
# one that cannot be written, one that fills up meanwhile, a page cache that cannot be dropped, one CPU,
# no io_uring.
# timeout: 300
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import contextlib

directory = scratch()
os.chmod(directory, 0o777)
DENY = helper("seccomp-deny")
QUICK = ["--only=file-pipe", "--chunk=64K", "--rounds=1", "--size=4M", "--time=20"]


def bench(*words, before=(), status=0, where=directory, environment=None):
    command = [*before, os.environ["SLUICE"], "bench", "--json", "--disk", where, *words]
    done = subprocess.run(command, capture_output=True, timeout=90, env=environment)
    equal(done.returncode, status, f"{command}: {done.stderr}")
    return json.loads(done.stdout) if status == 0 else done.stderr.decode()


def cells(found, cache="hot"):
    return {cell["method"]: cell for group in found["groups"] if group["cache"] == cache
            for cell in group["methods"]}


# Words.
for words, wanted in ((["--fulll"], "--full"), (["--only=file-tpc"], "file-tcp"), (["--only=x"], "no path 'x'"),
                      (["--method=slice"], "splice"), (["--chunk=0"], "chunk"), (["--chunk=1G"], "64M"),
                      (["--rounds=0"], "rounds"), (["--rounds=65"], "64"), (["--time=0"], "time"),
                      (["--size=1K"], "size"), (["--disk=/nowhere"], "nowhere"), (["word"], "word"),
                      (["--html=/nowhere/page"], "nowhere"), (["--disk=/proc/self/status"], "directory"),
                      (["--only=tcp-tcp", "--method=reflink"], "serves")):
    done = sluice("bench", *words)
    done.refused(2, wanted)

# One CPU.
cpu = min(os.sched_getaffinity(0))
found = bench(*QUICK, before=["taskset", "-c", str(cpu)])
check(any("one CPU" in note for note in found["notes"]), found["notes"])
check(found["machine"]["cpus"] == 1 and "error" not in cells(found)["splice"], "one CPU")

# No io_uring.
found = bench(*QUICK, before=[DENY, "io_uring_setup=EPERM", "--"])
equal(cells(found)["io_uring"].get("error"), "EPERM", "io_uring, refused")
check("io_uring" in found["groups"][0]["words"], found["groups"][0]["words"])
check("error" not in cells(found)["read-write"], "read-write beside it")

# Nothing that empties the page cache: the file is made anew, past it. And without that, too.
if not os.environ.get("SLUICE_SANITIZER"):
    shim = {**os.environ, "LD_PRELOAD": helper("libshim.so")}
    found = bench(*QUICK, environment={**shim, "SLUICE_SHIM": "posix_fadvise=EPERM"})
    if "cold" in {group["cache"] for group in found["groups"]} and cells(found, "cold"):
        left = cells(found, "cold")["splice"].get("cache_left")
        check(left is None or left > 0.9, f"cold by a fresh file: {left}")
found = bench(*QUICK, where="/dev/shm")
check(any("cold" in note and "not possible" in note for note in found["notes"]), found["notes"])
check("cold" in cells(found, "cold")["splice"]["reason"], cells(found, "cold")["splice"])
check("error" not in cells(found)["splice"], "hot, where cold is impossible")

# A directory that cannot be written: paths without files are measured.
closed = scratch()
os.chmod(closed, 0o555)
closed = "/proc" if ROOT else closed
found = bench("--only=file-pipe", "--only=pipe-pipe", "--chunk=64K", "--rounds=1", "--size=4M", where=closed)
check(any("no file can be made" in note for note in found["notes"]), found["notes"])
check("error" in cells({"groups": found["groups"][:1]})["splice"], "a path with a file, without one")
check(any("error" not in cell for group in found["groups"] if group["path"] == "pipe-pipe"
          for cell in group["methods"]), "a path without files")

# A small disk: shorter runs.
small = os.environ.get("SLUICE_SMALLFS")
if small:
    found = bench("--only=file-file", "--chunk=64K", "--rounds=1", "--size=256M", where=small)
    check(any("has room for" in note for note in found["notes"]), found["notes"])
    check("error" not in cells(found)["read-write"], "on a small disk")
    # And one that somebody fills while it measures: what needs room says so, the rest has all its rounds.
    process = subprocess.Popen([*SLUICE, "bench", "--json", "-q", "--only=file-file", "--only=pipe-pipe",
                                "--chunk=64K", "--size=1M", "--rounds=64", "--time=6", "--disk", small],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.append(process)
    time.sleep(2)
    hog = os.path.join(small, "hog")
    until = time.monotonic() + 2
    with open(hog, "wb", buffering=0) as out:
        while time.monotonic() < until:  # also what becomes free between two runs
            with contextlib.suppress(OSError):
                out.write(bytes(1 << 16))
    out, err = process.communicate(timeout=90)
    os.unlink(hog)
    equal(process.returncode, 0, f"status on a disk that fills up: {err}")
    found = json.loads(out)
    for group in found["groups"]:
        for cell in group["methods"]:
            if "error" in cell and cell["method"] != "reflink":
                equal((group["path"], cell["error"]), ("file-file", "ENOSPC"), f"on a full disk: {cell}")
    check(any(cell.get("error") == "ENOSPC" for cell in found["groups"][0]["methods"]), "nobody found the disk full")
no_leftovers(directory)
PY
