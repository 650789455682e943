#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What cannot be measured is said in a clear line, and the rest goes on: without /proc, in a
# directory that cannot be written, on a full disk, with calls that a seccomp filter refuses, in an
# unprivileged user namespace. Interrupted it leaves nothing.
# timeout: 300
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
skip_under_sanitizer("its own calls are refused, too")
directory = scratch()
DENY = helper("seccomp-deny")


def probe(*words, before=(), status=0, where=directory):
    command = [*before, os.environ["SLUICE"], "probe", "--json", "--no-cache", where, *words]
    done = subprocess.run(command, capture_output=True, timeout=60)
    equal(done.returncode, status, f"{command}: {done.stderr}")
    return json.loads(done.stdout)


def sure_probe(what, before):
    """All controls come out; a neighbour's noise may leave one unknown, once or twice."""
    for _ in range(6):
        found = probe(before=before)
        check(found["controls"]["trusted"], f"{what}: {found['controls']}")
        if found["controls"]["passed"] == 3:
            return found
    check(False, f"{what}: controls that stayed unknown: {found['controls']} {found['facts']}")


def legs(found, call):
    return [leg for leg in found["legs"] if leg["call"] == call]


def facts(found, group):
    return [fact for fact in found["facts"] if fact["group"] == group]


# A filter.
for rule, call, error in (("vmsplice", "vmsplice", "ENOSYS"), ("splice=EPERM", "splice", "EPERM"),
                          ("tee", "tee", "ENOSYS")):
    found = probe(before=[DENY, rule, "--"])
    check(found["controls"]["trusted"], f"{rule}: {found['controls']}")
    for leg in legs(found, call):
        check(leg["error"] == error or leg["from"] == "pipe", f"{rule}: {leg}")
    check(any(leg["verdict"] == "reference" for leg in legs(found, "sendfile")), rule)
    check(any(fact["error"] == error and fact["name"] == call for fact in facts(found, "calls")),
          f"{rule}: {facts(found, 'calls')}")
found = probe(before=[DENY, "io_uring_setup=EPERM", "--"])
check([leg["error"] for leg in legs(found, "send") if leg["variant"] == "SEND_ZC"],
      "SEND_ZC without io_uring")
check(any(fact["error"] == "EPERM" and "seccomp" in fact["text"]
          for fact in facts(found, "io_uring")), facts(found, "io_uring"))

# A directory that cannot be written: the rest is measured.
closed = scratch()
os.chmod(closed, 0o555)
if ROOT:
    closed = "/proc"
found = probe(where=closed)
check(any("scratch" in fact["text"] for fact in facts(found, "not measured")),
      f"nothing is said of {closed}: {found['facts']}")
check(legs(found, "tee"), "the rest was not measured")

# A user namespace of one's own, and no /proc.
namespace = ["unshare", "--user", "--map-root-user"]
if subprocess.run([*namespace, "true"], capture_output=True).returncode == 0:
    sure_probe("in a user namespace", namespace)
    bare = [*namespace, "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    found = sure_probe("without /proc", bare)
    check(any(leg["from"] == "pipe" and leg["call"] == "splice" for leg in found["legs"]),
          "legs without /proc")

# A full disk.
small = os.environ.get("SLUICE_SMALLFS")
if small:
    full = scratch(small)
    with open(f"{full}/filler", "wb") as filler:
        try:
            while True:
                filler.write(bytes(65536))
                filler.flush()
        except OSError:
            pass
    found = probe(where=full)
    check(found["controls"]["trusted"], "controls on a full disk")
    check(any(leg["error"] == "ENOSPC" for leg in found["legs"]) or
          any(fact["error"] == "ENOSPC" for fact in found["facts"]), "nothing says ENOSPC")
    os.unlink(f"{full}/filler")
    no_leftovers(full)

# Interrupted at any moment: nothing is left, nothing is shown.
for turn in range(12):
    place = scratch()
    cache = scratch()
    running = start("probe", place, env={**os.environ, "XDG_CACHE_HOME": cache})
    time.sleep(0.02 * turn)
    running.signal(signal.SIGTERM)
    result = running.finish()
    check(result.status in (0, 128 + signal.SIGTERM, -signal.SIGTERM), f"turn {turn}: {result}")
    no_leftovers(place)
    if result.status != 0:
        no_leftovers(cache)
PY
