#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The device's own counters see several requests of `direct` at once, reading and writing; and what
# the ledger says of it is no more than a copy's slots.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = scratch()
status = os.stat(directory)
counters = f"/sys/dev/block/{os.major(status.st_dev)}:{os.minor(status.st_dev)}/inflight"
if not os.path.exists(counters):
    skip(f"no block device is behind {directory}")


def watched(*words):
    """The copy's ledger, and the most reads and writes that the device had at once."""
    most = [0, 0]
    running = start("copy", "--json", "--method=direct", *words)
    with open(counters, encoding="ascii", buffering=1) as file:
        while running.running():
            file.seek(0)
            most = [max(a, b) for a, b in zip(most, map(int, file.read().split()))]
    return running.finish().expect(0).ledger(), most


source, sink = file_with(random_bytes(8 * MIB) * 16, f"{directory}/source"), f"{directory}/sink"
fd = os.open(source, os.O_RDONLY)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.close(fd)
seen = [0, 0]
for _ in range(6):  # a busy machine may look away
    into_null, reads = watched(source, "null:")
    into_file, both = watched(source, sink)
    within(into_null["in_flight"]["most"], 2, 4, "requests of a file into nothing")
    within(into_file["in_flight"]["most"], 2, 8, "requests of a file into a file")
    seen = [max(seen[0], reads[0], both[0]), max(seen[1], both[1])]
    if seen[0] >= 3 and seen[1] >= 1:
        break
check(seen[0] >= 3, f"at most {seen[0]} reads were in flight")
check(seen[1] >= 1, "no write was ever in flight")

# On a disk it is proven that no byte is copied from file to file, to the last, odd one; or refused.
file_with(random_bytes(MIB + 777), source)
result = copy("--require=zero-copy", "--json", "--reflink=never", source, f"{directory}/proven")
if result.status == 0:
    ledger = result.ledger()
    equal(ledger["copies_per_byte"], 0, "copies per byte")
    equal({leg["known"] for leg in ledger["legs"]}, {"proven"}, "how the legs are known")
    same_bytes(content(f"{directory}/proven"), content(source), "zero-copy")
else:
    result.refused(3, r"zero-copy demands")
PY
