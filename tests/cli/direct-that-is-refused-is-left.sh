#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# O_DIRECT that is refused when a file is opened again, at the first request or at a later one, of the
# source or of the sink: under --cache=bypass the next best method serves from that byte on, and the
# ledger has the reason; by name it is a clear error, and no sink is made.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
SIZE = 5 * MIB + 333
BY_THREADS = [helper("seccomp-deny"), "io_uring_setup=EPERM", "--"]  # io_uring makes no calls of libc
directory = scratch()
data = random_bytes(SIZE)
source, sink = file_with(data, f"{directory}/source"), f"{directory}/sink"


def ruled(rule, *words, **options):
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    shim = {"LD_PRELOAD": helper("libshim.so"), "SLUICE_SHIM": rule, "ASAN_OPTIONS": sanitizer}
    if os.path.exists(sink):
        os.unlink(sink)
    return copy(*words, source, sink, env=shim, **options)


plain = copy("--cache=bypass", "--json", source, sink).expect(0).ledger()
if plain["method"] != "direct":
    skip("no O_DIRECT where the scratch files are")

# When opened: whichever call of open() fails, the sink is whole or absent, and which it is was said.
served = []
for number in range(1, 12):
    result = ruled(f"open=EINVAL@{number}", "--cache=bypass", "--json")
    if result.status == 0:
        same_bytes(content(sink), data, f"open {number} refused")
        served.append(result.ledger()["method"])
    else:
        result.refused(1, r"cannot .*Invalid argument")
        check(not os.path.exists(sink), f"open {number} refused: a failed copy made a sink")
check("direct" in served and set(served) - {"direct"}, f"by which methods: {served}")
reasons = set()
for number in range(1, 12):
    result = ruled(f"open=EINVAL@{number}", "--method=direct")
    if result.status != 0:
        reasons |= set(re.findall(r"(source|sink)'s file system has no O_DIRECT", result.err))
equal(reasons, {"source", "sink"}, "refused by name")

# At a request: pread is a read of the source past the cache, pwrite a write of the sink.
for call, at in (("pread", 1), ("pread", 3), ("pwrite", 1), ("pwrite", 3)):
    for error, words in (("EINVAL", "Invalid argument"), ("EOPNOTSUPP", "not supported")):
        rule, what = f"{call}={error}@{at}", f"{call} number {at}: {error}"
        ledger = ruled(rule, "--cache=bypass", "--json", prefix=BY_THREADS).expect(0).ledger()
        same_bytes(content(sink), data, what)
        left = ledger["fallbacks"]
        check(left and left[0]["from"] == "direct", f"{what}: {left}")
        # Requests overtake each other; what is delivered is whole slots.
        check(left[0]["at"] % MIB == 0 and left[0]["at"] < SIZE, f"{what}: {left}")
        side = "read" if call == "pread" else "write to"
        ruled(rule, "--method=direct", prefix=BY_THREADS).refused(
            1, rf"cannot {side} .*{words}.*asked for by name")
        check(not os.path.exists(sink), f"{what}: a failed copy made a sink")
PY
