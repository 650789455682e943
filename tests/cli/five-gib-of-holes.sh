#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# More than 4 GiB, by every method: sizes and offsets are 64-bit everywhere. With TEST_ALL only.
# timeout: 600
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
if not ALL:
    skip("large: only with TEST_ALL=1")
SIZE = 5 * GIB + 12345
MARKS = {0: b"begin", 2 * GIB - 3: b"two", 4 * GIB - 2: b"four", 4 * GIB + 77: b"beyond",
         SIZE - 3: b"end"}
directory = on("ext4")
path, out = sparse_file(SIZE, f"{directory}/in"), f"{directory}/out"
with open(path, "r+b") as f:
    for at, mark in MARKS.items():
        f.seek(at)
        f.write(mark)


def right(read_at, what):
    for at, mark in MARKS.items():
        equal(read_at(at, len(mark)), mark, f"{what}: at {at}")


for method in ("auto",) + METHODS:
    extra = [] if method == "auto" else [f"--method={method}"]
    ledger = copy("--json", "--sparse=never", *extra, path, out, seconds=200).expect(0).ledger()
    equal((ledger["delivered"], os.path.getsize(out)), (SIZE, SIZE), f"delivered, {method}")
    check(subprocess.run(["cmp", path, out]).returncode == 0, f"{method}: the files differ")
    os.unlink(out)
    # From beyond 4 GiB, to beyond 4 GiB.
    if method == "sendfile":  # it has no offset of the sink
        continue
    copy(*extra, "--offset", f"source={4 * GIB + 70}", "--offset", f"sink={4 * GIB + 1}",
         "--length", "20", path, out).expect(0)
    with open(out, "rb") as f:
        f.seek(4 * GIB + 8)
        equal(f.read(6), b"beyond", f"offsets beyond 4 GiB, {method}")
    os.unlink(out)
for method in ("auto", "sendfile", "splice", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    read_end, write_end = os.pipe()
    running = start("copy", *extra, path, "-", stdout=write_end)
    os.close(write_end)
    compared = subprocess.run(["cmp", "-", path], stdin=read_end)
    equal(compared.returncode, 0, f"into a pipe, {method}")
    os.close(read_end)
    running.finish().expect(0)
PY
