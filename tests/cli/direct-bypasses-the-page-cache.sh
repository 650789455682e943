#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --cache=bypass and --method=direct: the same bytes at lengths and offsets around every alignment,
# on every file system and a block device, by io_uring and by threads, from and into files, pipes
# and sockets; nothing of it in the page cache afterwards; several requests in flight; and where it
# cannot be, it says so, and the next best serves.
# serial: there is one block device, and the page cache is everybody's
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import mmap

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
places = file_systems()
NO_RING = [helper("seccomp-deny"), "io_uring_setup=EPERM", "--"]


def cached(path):
    """Pages of the file in the page cache, by mincore(2)."""
    size = os.path.getsize(path)
    if size == 0:
        return 0
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), size)
        vector = (ctypes.c_ubyte * ((size + PAGE - 1) // PAGE))()
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
        equal(libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), vector), 0, "mincore")
    return sum(flags & 1 for flags in vector)


def cool(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def by_threads(*words, **options):
    return copy(*words, prefix=NO_RING, **options)


def into_pipe(runner, *words):
    """The result, and what came out of the pipe."""
    read_end, write_end = os.pipe()
    collector = Collector(read_end)
    result = runner(*words, "-", stdout=write_end)
    os.close(write_end)
    return result, collector.result()


# ---- lengths and offsets ----

SIZES = (1, 511, 512, 4095, 4096, 4097, 70000, MIB, MIB + 513, 3 * MIB - 1)
junk = b"\x5a" * 9000
cases = 0
for name, directory in places.items():
    if name not in ("ext4", "xfs", "btrfs", "here"):
        continue
    source, sink = f"{directory}/source", f"{directory}/sink"
    for size in SIZES:
        data = random_bytes(size)
        for begin, end in ((0, 0), (1, 0), (512, 4096), (511, 511), (4097, 1)):
            runner = by_threads if cases % 3 == 0 else copy
            cases += 1
            what = f"{name}, {size} bytes, offsets {begin} and {end}"
            file_with(junk[:begin] + data, source)
            # into a file that has other bytes, behind it too
            before = junk[:end] if cases % 2 else junk
            file_with(before, sink)
            result = runner("--method=direct", "--json", f"--offset=source={begin}",
                            f"--offset=sink={end}", source, sink).expect(0)
            wanted = bytearray(before)
            wanted[end:end + size] = data
            same_bytes(content(sink), bytes(wanted), f"{what}: file to file")
            equal(result.ledger()["in_flight"]["engine"],
                  "threads" if runner is by_threads else "io_uring", f"{what}: engine")
            result, got = into_pipe(runner, "--method=direct", f"--offset=source={begin}", source)
            result.expect(0)
            same_bytes(got, data, f"{what}: file to pipe")
            file_with(junk[:end], sink)
            runner("--method=direct", f"--offset=sink={end}", "-", sink, input=data).expect(0)
            same_bytes(content(sink), junk[:end] + data, f"{what}: pipe to file")
check(cases >= 40, f"only {cases} cases")

# ---- what is left in the cache, and what was in flight ----

BIG = 24 * MIB + 777
data = random_bytes(BIG)
for name, directory in places.items():
    if name not in ("ext4", "xfs", "btrfs", "here"):
        continue
    source, sink = f"{directory}/source", f"{directory}/sink"
    file_with(data, source)
    for runner in (copy, by_threads):
        for kind in ("file", "pipe", "tcp", "from a pipe", "from tcp"):
            what = f"{name}, {kind}, {runner.__name__}"
            if os.path.exists(sink):
                os.unlink(sink)
            cool(source)
            before = cached(source)
            if kind == "file":
                result = runner("--cache=bypass", "--reflink=never", "--json", source, sink)
                got = None
            elif kind == "pipe":
                result, got = into_pipe(runner, "--cache=bypass", "--stats", source)
            elif kind == "tcp":
                listener = tcp_listener()
                collector = Collector(listener, True)
                result = runner("--cache=bypass", "--json", source, tcp_address(listener))
                got = collector.result()
            elif kind == "from a pipe":
                result = runner("--cache=bypass", "--json", "-", sink, input=data)
                got = None
            else:
                listener = tcp_listener()
                feeder = threading.Thread(target=lambda: Feeder(listener.accept()[0], data))
                feeder.start()
                result = runner("--cache=bypass", "--json", tcp_address(listener), sink)
                feeder.join()
                got = None
            result.expect(0)
            if kind == "pipe":
                result.says(r"in flight +[2-8] requests at most", r"direct|splice")
            else:
                ledger = result.ledger()
                equal(ledger["method"], "direct", f"{what}: method")
                equal(ledger["fallbacks"], [], f"{what}: fallbacks")
                # a source that gives little at a time keeps one busy
                within(ledger["in_flight"]["most"], 1 if "from" in kind else 2, 8,
                       f"{what}: in flight")
                equal(ledger.get("cache_left"), 0, f"{what}: left")
            if "from" in kind or kind == "file":
                equal(cached(sink), 0, f"{what}: pages of the sink")
                got = content(sink)
            if "from" not in kind:
                equal(cached(source), before, f"{what}: pages of the source")
            same_bytes(got, data, what)

# ---- the block device ----

device = os.environ.get("SLUICE_BLOCK")
if device and os.access(device, os.W_OK):
    path = file_with(random_bytes(5 * MIB + 100))
    for end in (0, 1, 512, 4095):
        copy("--method=direct", f"--offset=sink={end}", path, device).expect(0)
        result, got = into_pipe(copy, "--method=direct", f"--offset=source={end}",
                                f"--length={5 * MIB + 100}", device)
        result.expect(0)
        same_bytes(got, content(path), f"block device at {end}")

# ---- where it cannot be ----

tmpfs = places.get("tmpfs")
if tmpfs:
    path = file_with(random_bytes(100000), f"{tmpfs}/source")
    copy("--method=direct", path, "null:").refused(1, r"tmpfs takes O_DIRECT and copies")
    found = copy("--cache=bypass", "--json", path, f"{tmpfs}/sink").expect(0)
    check(found.ledger()["method"] != "direct", "direct on tmpfs")
    same_bytes(content(f"{tmpfs}/sink"), content(path), "on tmpfs")
if ROOT:
    place = scratch()
    os.chmod(place, 0o755)
    secret = file_with(random_bytes(70000), f"{place}/secret")
    os.chmod(secret, 0o600)
    inherited = os.open(secret, os.O_RDONLY)
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    refused = copy("--method=direct", f"fd:{inherited}", "null:", prefix=nobody,
                   pass_fds=[inherited])
    refused.refused(1, r"another user's \(EACCES\)")
    served = copy("--cache=bypass", "--json", f"fd:{inherited}", "null:", prefix=nobody,
                  pass_fds=[inherited]).expect(0)
    check(served.ledger()["method"] != "direct", "another user's, direct")
    os.close(inherited)

# The alignment is not told (Linux before 6.1): the file system's block is taken.
path = file_with(random_bytes(3 * MIB + 77), f"{scratch()}/in")
out = path + ".out"
copy("--method=direct", path, out, prefix=[helper("seccomp-deny"), "statx=ENOSYS", "--"]).expect(0)
same_bytes(content(out), content(path), "without statx")

copy("--cache=bypasses", path, out).expect(2)
PY
