#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file that says EAGAIN (its file system is a process): there is nothing that poll(2) could wait for.
# It is asked again after a while, not at once for ever, and the transfer goes on when it gives.
# serial: CPU time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(1 << 20)
path, out = file_with(data), os.path.join(scratch(), "out")
RULES = {"read-write": ("pread", "read", "pwrite", "write"), "sendfile": ("sendfile",),
         "splice": ("splice",), "mmap-write": ("write", "pwrite")}


def shimmed(rule, method, *more):
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return start("copy", "--chunk=64K", f"--method={method}", path, *more,
                 env={"LD_PRELOAD": helper("libshim.so"), "SLUICE_SHIM": rule,
                      "ASAN_OPTIONS": sanitizer})


cases = []
for method, calls in RULES.items():
    rule = ",".join(f"{call}=EAGAIN@3+" for call in calls)
    for sink in (out, "null:"):
        cases.append((shimmed(rule, method, sink), f"{method} into {sink}"))
time.sleep(0.5)  # until they have begun to wait
before = [cpu_of(running.pid) for running, _ in cases]
time.sleep(0.5)
for (running, what), cpu in zip(cases, before):
    check(running.running(), f"{what}: it has ended, not waited: {running.err()}")
    check(cpu_of(running.pid) - cpu <= 0.03, f"{what}: CPU while nothing moves")
for running, what in cases:
    running.signal(signal.SIGTERM)
    check(running.finish().status == 143, f"{what}: it does not end")
no_leftovers(os.path.dirname(out))
for method, calls in RULES.items():
    rule = ",".join(f"{call}=EAGAIN@{n}" for call in calls for n in range(3, 15))
    shimmed(rule, method, out).finish().expect(0)
    same_bytes(content(out), data, method)
    os.unlink(out)
PY
