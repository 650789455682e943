#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A cold source file is asked for ahead of the cursor, by every method that reads it: not beyond what
# is copied, not into a hole, not what is in the page cache already, and not if that is not wanted, or
# if the kernel reads far ahead by itself.
# serial: the page cache is everybody's, and the kernel takes from it when it likes
# timeout: 120
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import mmap

PAGE = mmap.PAGESIZE
SIZE = 24 * MIB + 777
AHEAD = 8 * MIB
libc = ctypes.CDLL(None, use_errno=True)


def resident(path):
    """Pages of the file in the page cache, as a list of booleans."""
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), size)
        vector = (ctypes.c_ubyte * ((size + PAGE - 1) // PAGE))()
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
        equal(libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), vector), 0, "mincore")
    return [bool(flags & 1) for flags in vector]


def cool(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def asked(calls, name):
    """What was asked for of the file of that name, as (begin, end)."""
    ranges = []
    for call in calls:
        found = re.match(r"\d+<([^>]*)>, (\d+), (\d+), POSIX_FADV_WILLNEED", call.arguments)
        if found and found.group(1).endswith(name):
            begin, length = int(found.group(2)), int(found.group(3))
            ranges.append((begin, begin + length))
    return ranges


def covered(ranges):
    """Bytes; a range that the device would not take at once is asked for again, in pieces."""
    total = end = 0
    for low, high in sorted(ranges):
        total += max(0, high - max(low, end))
        end = max(end, high)
    return total


def run(source, *words):
    result = traced("copy", "--json", *words, trace=MOVING_CALLS + ",fadvise64,ioctl")
    result.expect(0)
    return asked(result.calls, source), json.loads(result.out)


data = random_bytes(SIZE)
TRACED = shutil.which("strace")
for name, directory in file_systems().items():
    source, sink = f"{directory}/source", f"{directory}/sink"
    file_with(data, source)
    for method in ("auto", "splice", "sendfile", "copy-range", "mmap-write", "read-write"):
        what = f"{name}: {method}"
        words = ("--readahead=always", "--reflink=never", f"--method={method}", source, sink)
        if name in ("xfs", "btrfs") and method == "copy-range":
            continue  # shares extents: reads nothing
        if name == "fuse-direct" and method == "mmap-write":
            continue  # cannot be mapped
        cool(source)
        if TRACED:
            ranges, ledger = run(source, *words)
        else:
            ledger = copy("--json", *words).expect(0).ledger()
        same_bytes(content(sink), data, what)
        os.unlink(sink)
        if name in ("tmpfs", "here") or name.startswith("fuse"):
            continue  # always there; or who knows
        check(SIZE // 2 < ledger["read_ahead"] <= SIZE, f"{what}: {ledger.get('read_ahead')}")
        if TRACED:
            check(covered(ranges) == ledger["read_ahead"], f"{what}: {ledger}, {ranges}")
            check(max(end for _, end in ranges) == SIZE, f"{what}: {ranges[-3:]}")
    if name not in ("ext4", "xfs", "btrfs"):
        continue
    if not TRACED:
        continue
    words = ("--readahead=always", "--reflink=never", source, sink)
    # A part of it: no byte beyond.
    cool(source)
    ranges, _ = run(source, "--offset=1000", f"--length={5 * MIB}", *words)
    check(ranges and min(ranges)[0] == 1000, f"{name}: a part: {ranges}")
    equal(max(end for _, end in ranges), 1000 + 5 * MIB, f"{name}: a part")
    # What is there is not asked for; nor is anything if that is not wanted, or no byte is read.
    copy(*words).expect(0)
    ranges, ledger = run(source, *words)
    equal((ranges, "read_ahead" in ledger), ([], False), f"{name}: hot")
    cool(source)
    equal(run(source, *words, "--readahead=never")[0], [], f"{name}: never")
    os.unlink(sink)
    cool(source)
    equal(run(source, "--method=mmap-write", source, "null:")[0], [], f"{name}: into nothing")
    if name in ("xfs", "btrfs"):
        cool(source)
        equal(run(source, "--reflink=always", source, sink)[0], [], f"{name}: shared")
        os.unlink(sink)
    # Holes are not brought in.
    with open(f"{directory}/holes", "wb") as file:
        for at in range(0, 64 * MIB, 16 * MIB):
            file.seek(at)
            file.write(data[:4 * MIB])
        file.truncate(64 * MIB)
        os.fsync(file.fileno())
    cool(f"{directory}/holes")
    ranges, _ = run(f"{directory}/holes", "--readahead=always", "--reflink=never",
                    f"{directory}/holes", sink)
    check(ranges and all(end % (16 * MIB) <= 4 * MIB and begin % (16 * MIB) < 4 * MIB
                         for begin, end in ranges), f"{name}: holes: {ranges}")
    os.unlink(sink)

# While the sink takes nothing, the source comes: as far as is promised, and no further than is copied.
for name in ("ext4", "xfs", "btrfs"):
    if name not in file_systems():
        continue
    source = file_with(data, f"{on(name)}/source")
    for length, wanted in ((SIZE, AHEAD // 2), (3 * MIB, 2 * MIB)):
        cool(source)
        read_end, write_end = os.pipe()
        running = start("copy", "--readahead=always", f"--length={length}", "--method=splice",
                        source, "-", stdout=write_end)
        os.close(write_end)
        wait_for(lambda: sum(resident(source)) * PAGE >= wanted,
                 f"{name}: {length}: only {sum(resident(source)) * PAGE} bytes came")
        running.signal(signal.SIGTERM)
        running.finish()
        os.close(read_end)

copy("--readahead=sometimes", "null:", "null:").expect(2)


# By itself the kernel reads as far ahead as the device says. Far enough, and it is left alone; what it
# reads of a mapping is not worth as much.
def settings(path):
    """The file of sysfs that says so, for the file system of this path."""
    device = os.stat(path).st_dev
    place = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    if not os.path.exists(place):  # a file system that has it under its own name
        of = subprocess.run(["findmnt", "-n", "-o", "UUID", "-T", path], capture_output=True,
                            text=True, check=True).stdout.strip()
        place = f"/sys/fs/btrfs/{of}/bdi/read_ahead_kb"
    return place


for name in ("ext4", "xfs", "btrfs"):
    if name not in file_systems() or not ROOT:
        continue
    directory = on(name)
    source, sink = file_with(data, f"{directory}/source"), f"{directory}/sink"
    with open(settings(source), "r+", encoding="ascii") as setting:
        before = setting.read()
        for kib, method, expected in ((508, "splice", True), (512, "splice", False),
                                      (512, "mmap-write", True), (4096, "read-write", False)):
            setting.seek(0)
            setting.write(str(kib))
            setting.flush()
            cool(source)
            ledger = copy("--json", "--reflink=never", f"--method={method}", source,
                          sink).expect(0).ledger()
            equal(ledger.get("read_ahead", 0) > SIZE // 2, expected, f"{name}: {kib} KiB: {method}")
            os.unlink(sink)
        setting.seek(0)
        setting.write(before)

# Another user's file.
if ROOT:
    place = scratch()
    os.chmod(place, 0o777)
    others = file_with(data, f"{place}/others")
    os.chmod(others, 0o644)
    cool(others)
    words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", os.environ["SLUICE"],
             "copy", "--json", "--readahead=always", others, f"{place}/copy"]
    for hot in (False, True):
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        equal(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout).get("read_ahead", 0)
        check(found == 0 if hot else found > SIZE // 2, f"another user's, hot {hot}: {found}")
        os.unlink(f"{place}/copy")
PY
