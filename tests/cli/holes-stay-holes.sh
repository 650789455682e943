#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The holes of a file are holes of its copy, by every method; --sparse=always makes them of zeros
# that come through anything, in no more blocks than cp would take; --sparse=never writes them.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import errno
import fcntl
import random
import struct

MiB = 1 << 20


def blocks(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)  # what is allocated late is allocated now
        return os.fstat(fd).st_blocks
    finally:
        os.close(fd)


def data_of(path):
    """The file's data, as (begin, end) by SEEK_DATA and SEEK_HOLE."""
    found = []
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        at, size = 0, os.fstat(fd).st_size
        while at < size:
            try:
                begin = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(fd, begin, os.SEEK_HOLE)
            found.append((begin, at))
    finally:
        os.close(fd)
    return found


def extents_of(path):
    """Where the file has blocks with data, as (begin, end) by FIEMAP (what filefrag shows): neighbours
    are one, and what is only set aside is none. None: this file system has no FIEMAP."""
    found, at = [], 0
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        while True:
            request = bytearray(struct.pack("=QQLLLL", at, 2**63 - 1, 0, 0, 64, 0) + bytes(64 * 56))
            try:
                fcntl.ioctl(fd, 0xC020660B, request)
            except OSError as error:
                check(error.errno in (errno.EOPNOTSUPP, errno.ENOTTY), f"FIEMAP of {path}: {error}")
                return None
            count = struct.unpack_from("=L", request, 20)[0]
            last = count == 0
            for i in range(count):
                begin, _, length, _, _, flags = struct.unpack_from("=QQQQQL", request, 32 + i * 56)
                at, last = begin + length, bool(flags & 1)
                if flags & 0x804:  # unwritten, or not even placed
                    continue
                if found and found[-1][1] == begin:
                    found[-1] = (found[-1][0], at)
                else:
                    found.append((begin, at))
            if last:
                return found
    finally:
        os.close(fd)


def cool(path):
    """Out of the page cache: what is set aside and was read counts as data there (xfs)."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def within(inner, outer):
    """Whether each extent lies in one of the others: what a file system allocates in advance may
    be gone in the copy."""
    return all(any(begin >= low and end <= high for low, high in outer) for begin, end in inner)


def make(path, pieces, size):
    """Data at `pieces`, and holes between."""
    with open(path, "wb") as file:
        for at, length in pieces:
            file.seek(at)
            file.write(random_bytes(length, at + 1))
        file.truncate(size)
        os.fsync(file.fileno())


def ledger(*words, **options):
    found = json.loads(sluice("copy", "--json", *words, **options).expect(0).out)
    check_ledger(found, words)
    return found


SHAPES = {
    "hole in the middle": ([(0, 65536), (2 * MiB, 65536)], 3 * MiB),
    "nothing but a hole": ([], 8 * MiB),
    "a hole first": ([(4 * MiB, 4096)], 4 * MiB + 4096),
    "odd ends": ([(1, 1000), (MiB + 777, 5000)], 2 * MiB + 13),
    "many": ([(i * 131072, 4096) for i in range(64)], 64 * 131072),
}
METHODS = ("auto", "splice", "sendfile", "copy-range", "mmap-write", "read-write")

compared = 0  # extent maps
for name, directory in file_systems().items():
    if name.startswith("fuse"):
        continue  # no SEEK_DATA, no blocks
    source, sink, other = (f"{directory}/{word}" for word in ("source", "sink", "other"))
    for shape, (pieces, size) in SHAPES.items():
        make(source, pieces, size)
        wanted, taken, maps = content(source), blocks(source), extents_of(source)
        compared += maps is not None
        for method in METHODS:
            what = f"{name}: {shape}, {method}"
            for old in (None, b"o" * (size // 2), b"o" * (size + 100000)):
                if old is not None:
                    with open(sink, "wb") as file:
                        file.write(old)
                elif os.path.exists(sink):
                    os.unlink(sink)
                cool(source)
                found = ledger(f"--method={method}", "--reflink=never" if method != "copy-range"
                               else "--reflink=auto", source, sink)
                same_bytes(content(sink), wanted, what)
                check(within(data_of(sink), data_of(source)),
                      f"{what}: {data_of(sink)} is not within {data_of(source)}")
                check(blocks(sink) <= taken + 16, f"{what}: {blocks(sink)} blocks of {taken}")
                equal(extents_of(sink), maps, f"{what}: extents by FIEMAP")
        # In place, over data that is to go, and only there.
        old = b"o" * (size + 5 * MiB)
        with open(sink, "wb") as file:
            file.write(old)
        ledger("--reflink=never", f"--offset=sink={MiB}", source, sink)
        same_bytes(content(sink), old[:MiB] + wanted + old[MiB + size:], f"{name}: {shape}, inside")
        # Offsets and a length that begin and end inside holes.
        begin, length = size // 3, size // 2
        ledger(f"--offset={begin}", f"--length={length}", "--reflink=never", source, sink)
        same_bytes(content(sink), wanted[begin:begin + length], f"{name}: {shape}, a part")
        # Never.
        ledger("--sparse=never", source, sink)
        same_bytes(content(sink), wanted, f"{name}: {shape}, never")
        check(blocks(sink) * 512 >= size, f"{name}: {shape}: never has {blocks(sink)} blocks")
        # Zeros become holes, from a pipe in any pieces, no more blocks than cp takes.
        subprocess.run(["cp", "--sparse=always", source, other], check=True)
        most = blocks(other)
        for pieces_of in (None, 1000, 65536):
            if os.path.exists(sink):
                os.unlink(sink)
            command = [os.environ["SLUICE"], "copy", "--sparse=always", "-q", "-", sink]
            feeder = subprocess.Popen(command, stdin=subprocess.PIPE)
            for at in range(0, size, pieces_of or size):
                feeder.stdin.write(wanted[at:at + (pieces_of or size)])
                feeder.stdin.flush()
            feeder.stdin.close()
            equal(feeder.wait(60), 0, "status")
            same_bytes(content(sink), wanted, f"{name}: {shape}, always, from a pipe")
            check(blocks(sink) <= most,
                  f"{name}: {shape}: from a pipe {blocks(sink)} blocks, cp has {most}")
        with open(other, "wb") as file:  # zeros that are written, not holes
            file.write(wanted)
        ledger("--sparse=always", other, sink)
        same_bytes(content(sink), wanted, f"{name}: {shape}, always, from a file")
        check(blocks(sink) <= most, f"{name}: {shape}: {blocks(sink)} blocks, cp has {most}")

# From any file system to any other, and past the page cache, where a slot is written later than it is taken.
places = {name: directory for name, directory in file_systems().items() if not name.startswith("fuse")}
for shape, (pieces, size) in SHAPES.items():
    for name, directory in places.items():
        source = f"{directory}/source"
        make(source, pieces, size)
        wanted = content(source)
        for to, place in places.items():
            for words in (("--method=direct", "--chunk=5000" if shape == "odd ends" else "--chunk=64K"),
                          ("--cache=bypass",), ("--cache=bypass", f"--offset=sink={4096 + 7}")):
                if name == to == "tmpfs" and "--method=direct" in words:
                    continue
                sink, at = f"{place}/sink", 4096 + 7 if len(words) > 1 and "sink=" in words[1] else 0
                file_with(b"o" * (size // 3), sink)
                ledger("--reflink=never", *words, source, sink)
                old = b"o" * (size // 3) if at else b""
                same_bytes(content(sink), old[:at] + bytes(max(0, at - len(old))) + wanted +
                           old[at + size:], f"{shape}, {name} to {to}, {words}")
                os.unlink(sink)

if ROOT and "ext4" in file_systems():
    check(compared >= len(SHAPES), f"only {compared} extent maps were compared")

# A descriptor's own offset stands where it should, whatever was asked for.
path = sparse_file(4 * MiB)
sink = os.path.join(scratch(), "sink")
fd = os.open(path, os.O_RDONLY)
os.lseek(fd, 4096, os.SEEK_SET)
sluice("copy", f"fd:{fd}", sink, pass_fds=(fd,)).expect(0)
equal(os.lseek(fd, 0, os.SEEK_CUR), 4 * MiB, "after the last byte")
equal(os.stat(sink).st_size, 4 * MiB - 4096, "what was left")
os.lseek(fd, 777, os.SEEK_SET)
sluice("copy", "--offset=8192", f"fd:{fd}", sink, pass_fds=(fd,)).expect(0)
equal(os.lseek(fd, 0, os.SEEK_CUR), 777, "an offset was given: the descriptor's own is not moved")
os.close(fd)

# What can have no holes is said.
result = sluice("copy", "--sparse=always", path, "null:").expect(1)
matches(result.err, "no holes", "into a device")
result = sluice("copy", "--sparse=always", "--append", path, sink).expect(1)
matches(result.err, "no holes", "O_APPEND")
result = sluice("copy", "--sparse=always", "--method=splice", path, sink).expect(1)
matches(result.err, "zeros", "by another method")

# At random: pieces of data and of zeros, of any length, over something old.
for seed in range(40 if ALL else 12):
    rng = random.Random(seed)
    data = b"".join(rng.randbytes(rng.randint(1, 20000)) if rng.random() < 0.5
                    else bytes(rng.randint(1, 60000)) for _ in range(30))
    with open(sink, "wb") as file:
        file.write(b"o" * rng.randint(0, 2 * len(data)))
    old = content(sink)
    at = rng.choice([0, 1, 4096, 10000])
    result = sluice("copy", "--sparse=always", f"--offset=sink={at}", "-", sink, input=data)
    result.expect(0)
    wanted = old[:at] + bytes(max(0, at - len(old))) + data + old[at + len(data):]
    same_bytes(content(sink), wanted, f"seed {seed}")
PY
