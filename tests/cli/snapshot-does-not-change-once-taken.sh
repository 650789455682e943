#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --snapshot: whatever is done to the source after a byte was taken, the byte is as it was; without
# it the same things show, where bytes go by reference.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import ctypes
import mmap
import random

libc = ctypes.CDLL(None, use_errno=True)
SIZE = 96 * KIB  # fits a UNIX socket's buffer, and a pipe of 1 MiB
OLD, NEW = b"A" * SIZE, b"B" * SIZE
PUNCH_KEEP = 3


def by_write(path):
    with open(path, "r+b", buffering=0) as file:
        file.write(NEW)


def by_mapping(path):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), SIZE) as mapping:
        mapping[:] = NEW
        mapping.flush()


def by_direct(path):
    try:
        fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
    except OSError:
        return by_write(path)
    memory = mmap.mmap(-1, SIZE)
    memory[:] = NEW
    try:
        os.writev(fd, [memory])
    finally:
        os.close(fd)


def by_truncation(path):
    os.truncate(path, 0)
    os.truncate(path, SIZE)
    by_write(path)


def by_hole(path):
    fd = os.open(path, os.O_RDWR)
    libc.fallocate(fd, PUNCH_KEEP, ctypes.c_long(0), ctypes.c_long(SIZE))
    os.pwrite(fd, NEW, 0)
    os.close(fd)


WAYS = (by_write, by_mapping, by_direct, by_truncation, by_hole)


def into_pipe(source, *words):
    """The copy is over, and its bytes wait in the pipe: (their descriptor, the command's result)."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, 1031, MIB)  # F_SETPIPE_SZ
    result = copy(*words, source, "-", stdout=write_end)
    os.close(write_end)
    return read_end, result


def into_socket(source, *words):
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MIB)
    result = copy(*words, source, f"fd:{left.fileno()}", pass_fds=(left.fileno(),))
    left.close()
    return right.detach(), result


def drain(fd):
    parts = []
    while True:
        part = os.read(fd, 1 << 16)
        if not part:
            break
        parts.append(part)
    os.close(fd)
    return b"".join(parts)


changed = 0
for name, directory in file_systems().items():
    if name == "fuse-direct":
        continue
    path = f"{directory}/source"
    for sink in (into_pipe, into_socket):
        for way in WAYS:
            file_with(OLD, path)
            fd, result = sink(path, "--snapshot")
            result.expect(0)
            way(path)
            same_bytes(drain(fd), OLD, f"{name}, {sink.__name__}, {way.__name__}: with a snapshot")
            file_with(OLD, path)
            fd, result = sink(path, "--method=splice")
            result.expect(0)
            way(path)
            changed += drain(fd) != OLD
check(changed >= 4, f"without a snapshot {changed} changes showed: this test sees nothing")

# From a pipe that carries pages of a file.
path = file_with(OLD)
for words, wanted in ((("--snapshot",), True), ((), False)):
    file_with(OLD, path)
    first, result = into_pipe(path, "--method=splice")
    result.expect(0)
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, 1031, MIB)
    copy(*words, "-", "-", stdin=first, stdout=write_end).expect(0)
    os.close(write_end)
    os.close(first)
    by_write(path)
    got = drain(read_end)
    if wanted:
        same_bytes(got, OLD, "from a pipe, with a snapshot")
    else:
        check(got != OLD, "from a pipe, without: no change showed")

# At random moments, while the copy goes on: what was taken before the file changed is as it was
# then, whatever comes after (a read that races with the write may be torn).
SLOW = 400 * KIB
for seed in range(200 if ALL else 12):
    rng = random.Random(seed)
    file_with(b"A" * SLOW, path)
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, 1031, MIB)
    running = start("copy", "--snapshot", "--rate=2M", "--chunk=16K", "-n", path, "-",
                    stdout=write_end)
    os.close(write_end)
    time.sleep(0.02 + 0.12 * rng.random())
    waiting = bytearray(4)
    fcntl.ioctl(read_end, 0x541B, waiting)  # FIONREAD: so much was taken and delivered
    taken = int.from_bytes(waiting, sys.byteorder)
    with open(path, "r+b", buffering=0) as file:
        file.write(b"B" * SLOW)
    got = drain(read_end)
    running.finish().expect(0)
    equal(len(got), SLOW, f"seed {seed}: bytes")
    same_bytes(got[:taken], b"A" * taken, f"seed {seed}: what had been taken by then")

# What nobody can write to needs no copy.
plan = json.loads(sluice("explain", "--snapshot", "--json", path, "pipe:").expect(0).out)
check("splice" not in str(plan["candidates"][0]["method"]), f"by reference: {plan}")
sealed = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
os.write(sealed, OLD * 20)
os.lseek(sealed, 0, os.SEEK_SET)
before = json.loads(sluice("explain", "--snapshot", "--json", f"fd:{sealed}", "pipe:",
                           pass_fds=(sealed,)).expect(0).out)
fcntl.fcntl(sealed, 1033, 0x2 | 0x4 | 0x8)  # F_ADD_SEALS: shrink, grow, write
after = json.loads(sluice("explain", "--snapshot", "--json", f"fd:{sealed}", "pipe:",
                          pass_fds=(sealed,)).expect(0).out)
equal(before["candidates"][0]["method"] in ("splice", "sendfile"), False, "not sealed yet")
check(after["candidates"][0]["method"] in ("splice", "sendfile"), f"sealed: {after}")
os.close(sealed)
result = copy("--snapshot", "--method=splice", path, "-").expect(1)
matches(result.err, "snapshot", "a method that hands on pages")
PY
