#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A method that is made slow, by a library that copies or sleeps in its calls, shows in the figures of
# `sluice bench`, and changes its words; nothing else changes.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
skip_under_sanitizer("its own cost is in the figures")
directory = scratch()


def bench(shim=None):
    environment = dict(os.environ)
    if shim:
        environment.update(SLUICE_SHIM=shim, LD_PRELOAD=helper("libshim.so"))
    done = subprocess.run([os.environ["SLUICE"], "bench", "--json", "-q", "--disk", directory, "--size=16M",
                           "--only=file-pipe", "--chunk=64K", "--method=read-write", "--method=sendfile",
                           "--rounds=9", "--time=40"],
                          capture_output=True, timeout=100, env=environment)
    equal(done.returncode, 0, f"{shim}: {done.stderr}")
    return json.loads(done.stdout)["groups"][0]


def median(group, method, figure):
    return next(cell[figure]["median"] for cell in group["methods"]
                if cell["method"] == method and not cell["control"])


plain = bench()
check("sendfile" in plain["words"], plain["words"])
# Every call sleeps: half a thousand microseconds for 64 KiB is an eighth of a GiB a second at most.
slow = bench("sendfile=delay=500")
check(median(slow, "sendfile", "throughput") < 0.13 * 2**30, "a method that sleeps is as fast")
rank = [row for row in slow["throughput"]["ranks"] if row["method"] == "sendfile"][0]
if not slow["throughput"]["disturbed"]:
    equal(rank["difference"], "less", f"throughput of a method that sleeps: {slow['words']}")
    check(slow["words"] != plain["words"], "the words did not change")
    matches(slow["words"], r"read-write is the fastest[^;]*; sendfile 0\.\d\d times", "the words")
# It copies: what costs a fifth of what read and write cost without that costs as much as they do. Both are
# of the same rounds, so that what else the machine does is in both.
copies = bench("sendfile=copy")
check(median(copies, "sendfile", "cpu") > 0.6 * median(copies, "read-write", "cpu"),
      f"CPU of a method that copies: {median(copies, 'sendfile', 'cpu')}, "
      f"of read-write: {median(copies, 'read-write', 'cpu')}")
advantage = re.search(r"CPU: sendfile costs the least[^;]*; read-write (\d+\.\d\d) times", copies["words"])
check(not advantage or float(advantage[1]) < 1.7, f"words of a method that copies: {copies['words']}")
equal({cell["method"]: cell["copies"] for cell in copies["methods"]}["read-write"], 2, "copies of the other")
PY
