#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `sluice bench` cannot measure is said in a clear line, and the rest goes on: a disk too small,
# one that cannot be written, a page cache that cannot be dropped, one CPU, no io_uring. Interrupted, it
# leaves no file, no process and no socket.
# timeout: 300
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import signal
import time

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

# Interrupted at any time: the status says so, and nothing is left.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
    for wait in (0.1, 0.9, 2.5):
        process = subprocess.Popen([os.environ["SLUICE"], "bench", "--json", "-q", "--disk", directory,
                                    "--size=16M", "--time=30"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
        time.sleep(wait)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        wanted = -number if number == signal.SIGKILL else 128 + number
        if wait > 0.5:
            equal(process.returncode, wanted, f"status after {number}: {err}")
            equal(out, b"", "shown when it was interrupted")
        for _ in range(250):
            alive = subprocess.run(["ps", "-o", "pid,args", "--no-headers", "-s", str(process.pid)],
                                   capture_output=True, text=True).stdout
            if not alive.strip():
                break
            time.sleep(0.02)
        check(not alive.strip(), f"processes left after {number}: {alive}")
        no_leftovers(directory)
PY
