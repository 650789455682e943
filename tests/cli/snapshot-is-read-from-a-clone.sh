#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --snapshot of a cold file: past the page cache where a device is behind it; by reference, where the file
# system shares extents, from a clone that has no name and is gone afterwards; where none can be made,
# by a copy, with the reason.
# timeout: 90
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
SIZE = 8 * MIB + 1234
data = random_bytes(SIZE)


def cool(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def run(path, *words, prefix=(), **options):
    """(what came out, the ledger)"""
    with tempfile.TemporaryFile() as err:
        read_end, write_end = os.pipe()
        running = Running(["copy", "--snapshot", "--json", *words, path, "-"], prefix=prefix,
                          stdout=write_end, stderr=err, **options)
        os.close(write_end)
        parts = []
        while part := os.read(read_end, 1 << 18):
            parts.append(part)
        os.close(read_end)
        running.finish().expect(0)
        err.seek(0)
        return b"".join(parts), json.loads(err.read().decode().splitlines()[-1])


def cloned(ledger):
    return any(leg["call"] == "FICLONERANGE" for leg in ledger["legs"])


found = False
for name, directory in file_systems().items():
    if name not in ("ext4", "xfs", "btrfs"):
        continue
    path = file_with(data, f"{directory}/source")
    shares = name != "ext4"
    found |= shares
    for offset, length in ((None, None), (5000, 4 * MIB + 777), (4096, 4 * MIB), (0, SIZE - 1)):
        words = [] if offset is None else [f"--offset={offset}", f"--length={length}"]
        begin, end = (0, SIZE) if offset is None else (offset, offset + length)
        what = f"{name}: {words}"
        cool(path)
        got, ledger = run(path, *words)
        same_bytes(got, data[begin:end], what)
        equal(cloned(ledger), shares, f"{what}: {ledger['legs']}")
        # What is no whole block at the edges goes through memory.
        within(ledger["copies_per_byte"], 0, 0 if shares else 0.01, what)
        equal(ledger["fallbacks"], [], what)
    equal(leftovers(directory, "source"), [], f"{name}: names")
    # What is in the page cache is copied from there.
    content(path)
    got, ledger = run(path)
    same_bytes(got, data, f"{name}: hot")
    check(not cloned(ledger), f"{name}: hot: {ledger['legs']}")
    if not shares:
        continue
    # By name, and what it says beforehand.
    got, ledger = run(path, "--method=splice")
    check(cloned(ledger), f"{name}: by name: {ledger['legs']}")
    cool(path)
    plan = json.loads(sluice("explain", "--snapshot", "--json", path, "pipe:").expect(0).out)
    equal(plan["candidates"][0]["method"], "splice", f"{name}: explain")
    equal(leftovers(directory, "source"), [], f"{name}: explain makes nothing")
    # A descriptor's own offset goes on as if it had been read itself.
    cool(path)
    fd = os.open(path, os.O_RDONLY)
    os.lseek(fd, 1000, os.SEEK_SET)
    got, ledger = run(f"fd:{fd}", f"--length={5 * MIB}", pass_fds=(fd,))
    same_bytes(got, data[1000:1000 + 5 * MIB], f"{name}: a descriptor")
    check(cloned(ledger), f"{name}: a descriptor: {ledger['legs']}")
    equal(os.lseek(fd, 0, os.SEEK_CUR), 1000 + 5 * MIB, f"{name}: where it stands")
    # An unlinked file has no directory that it could be cloned in; nor has one that is not ours.
    cool(path)
    os.lseek(fd, 0, os.SEEK_SET)
    os.unlink(path)
    got, ledger = run(f"fd:{fd}", pass_fds=(fd,))
    os.close(fd)
    same_bytes(got, data, f"{name}: unlinked")
    check(cloned(ledger) or ledger["fallbacks"][0]["call"] == "FICLONERANGE",
          f"{name}: unlinked: {ledger}")
    if ROOT:
        os.chmod(directory, 0o755)
        os.mkdir(f"{directory}/theirs", 0o755)
        path = file_with(data, f"{directory}/theirs/source")
        os.chown(path, 65534, 65534)
        cool(path)
        nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
        got, ledger = run(path, prefix=nobody)
        same_bytes(got, data, f"{name}: another user's directory")
        equal([row["error"] for row in ledger["fallbacks"]], ["EACCES"], f"{name}: {ledger}")
        matches(ledger["fallbacks"][0]["reason"], "clone", f"{name}: the reason")
    # The file is overwritten while the clone is on its way.
    path = file_with(data, f"{directory}/other")
    cool(path)
    read_end, write_end = os.pipe()
    running = start("copy", "--snapshot", "--method=splice", path, "-", stdout=write_end)
    os.close(write_end)
    first = os.read(read_end, 1 << 16)
    with open(path, "r+b", buffering=0) as file:
        file.write(bytes(SIZE))
        os.fsync(file.fileno())
        file.truncate(100)
    rest = []
    while part := os.read(read_end, 1 << 18):
        rest.append(part)
    os.close(read_end)
    running.finish().expect(0)
    same_bytes(first + b"".join(rest), data, f"{name}: overwritten meanwhile")
    # Killed in the middle, it leaves nothing either.
    path = file_with(data, f"{directory}/other")
    cool(path)
    read_end, write_end = os.pipe()
    running = start("copy", "--snapshot", path, "-", stdout=write_end)
    os.close(write_end)
    os.read(read_end, 4096)
    running.signal(signal.SIGKILL)
    running.finish()
    os.close(read_end)
    equal(leftovers(directory, "other", "theirs"), [], f"{name}: after kill -9")
if not found:
    skip("needs a file system that shares extents")
PY
