#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# On file systems that share extents a file is copied without a byte moving, whole or in part, also
# where the ends are no whole blocks; --reflink=never makes a copy of its own, and =always refuses
# what cannot share.
# timeout: 120
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
SHARING = ("xfs", "btrfs")
MiB = 1 << 20


def ledger(*words, status=0):
    result = sluice("copy", "--json", *words).expect(status)
    return json.loads(result.out)


def methods(found):
    return {row["method"] for row in found["legs"]}


def shared(path):
    """Bytes of the file in extents that are shared, by filefrag, which asks FIEMAP."""
    done = subprocess.run(["filefrag", "-v", "-b4096", path], capture_output=True, text=True)
    equal(done.returncode, 0, done.stderr)
    total = 0
    for line in done.stdout.splitlines():
        cells = line.split(":")
        if len(cells) >= 4 and cells[0].strip().isdigit() and "shared" in line:
            total += int(cells[3].split()[0] if cells[3].split() else 0) * 4096
    return total


for name, directory in file_systems().items():
    source, sink = f"{directory}/source", f"{directory}/sink"
    for size in (4097, 65536, 3 * MiB, 3 * MiB + 1, 5 * MiB - 4095):
        data = random_bytes(size)
        with open(source, "wb") as file:
            file.write(data)
            os.fsync(file.fileno())
        if name not in SHARING:
            result = sluice("copy", "--reflink=always", source, sink).expect(1)
            matches(result.err, "shares no extents|not supported|Operation not supported",
                    name)
            check(not os.path.exists(sink), f"{name}: a refused copy left a sink")
            continue
        # Whole, into a new file and over an old one that is longer.
        for longer in (False, True):
            if longer:
                with open(sink, "wb") as file:
                    file.write(b"x" * (size + 100000))
            found = ledger("--reflink=always", source, sink)
            same_bytes(content(sink), data, f"{name}: {size}, whole")
            equal(methods(found), {"reflink"}, f"{name}: {found['legs']}")
            equal(found["copies_per_byte"], 0, f"{name}: {found}")
            check(shared(sink) >= size // 4096 * 4096, f"{name}: {size}: {shared(sink)} shared")
            os.unlink(sink)
        # A part of it, into the middle of an old file.
        for begin, length, at in ((0, 4096, 4096), (8192, size // 2, 8192), (1, size // 2, 4097),
                                  (4095, size // 2, 8191), (4096, size - 4096, 4096),
                                  (7, size // 2, 9)):
            if begin + length > size:
                continue
            old = bytes(b"o" * (size + 20000))
            with open(sink, "wb") as file:
                file.write(old)
            found = ledger(f"--offset=source={begin}", f"--length={length}", f"--offset=sink={at}",
                           source, sink)
            wanted = old[:at] + data[begin:begin + length] + old[at + length:]
            same_bytes(content(sink), wanted, f"{name}: {begin}+{length} to {at}: {found['legs']}")
            alike = begin % 4096 == at % 4096
            if alike and length >= 12288:
                check("reflink" in methods(found), f"{name}: {begin}+{length}: {found['legs']}")
                check(sum(row["bytes"] for row in found["legs"] if row["class"] == "kernel-copy") < 8192, f"{name}: edges: {found}")
            os.unlink(sink)
        # No block of the one is a block of the other: refused, in words, before a byte moves.
        if size > 1:
            with open(sink, "wb") as file:
                file.write(b"o" * 100)
            result = sluice("copy", "--reflink=always", "--offset=source=1", "--offset=sink=0", source, sink)
            result.refused(1, "lies otherwise in the source's blocks").never_says("delivered")
            equal(content(sink), b"o" * 100, f"{name}: refused")
            os.unlink(sink)
        # Never.
        found = ledger("--reflink=never", source, sink)
        same_bytes(content(sink), data, f"{name}: never")
        check("reflink" not in methods(found), f"{name}: {found['legs']}")
        equal(shared(sink), 0, f"{name}: --reflink=never shares")
        os.unlink(sink)
        # A later write to the one does not show in the other.
        sluice("copy", source, sink).expect(0)
        with open(source, "r+b") as file:
            file.write(b"changed")
        same_bytes(content(sink), data, f"{name}: after a write to the source")
        os.unlink(sink)
    # Ten GiB, in no time that matters.
    if name in SHARING:
        with open(source, "wb") as file:
            file.write(random_bytes(MiB))
            file.truncate(10 << 30)
        found = ledger("--method=reflink", source, sink)
        equal(os.stat(sink).st_size, 10 << 30, name)
        check(found["calls"] <= 12, f"{name}: {found['calls']} calls")
        os.unlink(sink)
    # By name, and with options that contradict it.
    if name not in SHARING and name != "here":
        sluice("copy", "--method=reflink", source, sink).expect(1)
    os.unlink(source)

directories = file_systems()
if "xfs" in directories and "ext4" in directories:
    source, sink = f"{directories['xfs']}/source", f"{directories['ext4']}/sink"
    with open(source, "wb") as file:
        file.write(random_bytes(100000))
    result = sluice("copy", "--reflink=always", source, sink).expect(1)
    matches(result.err, "different file systems", "across file systems")
    sluice("copy", "--reflink=auto", source, sink).expect(0)
    same_bytes(content(sink), content(source), "auto, across file systems")
    result = sluice("copy", "--reflink=always", source, "null:").expect(1)
    matches(result.err, "not a file", "into a device")
    sluice("copy", "--reflink=sometimes", source, sink).expect(2)
PY
