#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --cache=drop: what the copy brought into the page cache is gone afterwards, what was there before
# is there still, by every method and into everything; and what stayed is said.
# serial: the page cache is everybody's, and the kernel takes from it when it likes
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import ctypes
import errno
import mmap

SIZE = 24 * MIB + 777
PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)


def resident(path):
    """Pages of the file in the page cache, as a list of booleans, by mincore(2)."""
    size = os.path.getsize(path)
    if size == 0:
        return []
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), size)
        pages = (size + PAGE - 1) // PAGE
        vector = (ctypes.c_ubyte * pages)()
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
        equal(libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), vector), 0, "mincore")
    return [bool(flags & 1) for flags in vector]


def cool(path, hot=()):
    """Nothing of the file is in the cache but the ranges of `hot`."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # nothing is read ahead
    for begin, length in hot:
        for at in range(begin, begin + length, PAGE):
            os.pread(fd, 1, at)
    os.close(fd)
    return sum(resident(path))


def left(result):
    return json.loads(result.out)["cache_left"]


def leaves_by_itself(directory):
    """Whether the kernel takes RWF_DONTCACHE for a file here."""
    fd = os.open(file_with(b"x" * 4096, f"{directory}/asked"), os.O_RDWR)
    try:
        return os.pwritev(fd, [b"y" * 4096], 0, 0x80) == 4096
    except OSError as error:
        equal(error.errno, errno.EOPNOTSUPP, "RWF_DONTCACHE")
        return False
    finally:
        os.close(fd)


def by_itself(result):
    """Bytes that were read, and written, by RWF_DONTCACHE, as the ledger has it."""
    legs = [leg for leg in json.loads(result.out)["legs"] if leg.get("variant") == "RWF_DONTCACHE"]
    return [sum(leg["bytes"] for leg in legs if leg["call"] == call) for call in ("read", "write")]


data = random_bytes(SIZE)
for name, directory in file_systems().items():
    if name not in ("ext4", "xfs", "btrfs", "here"):
        continue
    source, sink, neighbour = (f"{directory}/{word}" for word in ("source", "sink", "neighbour"))
    file_with(data, source)
    file_with(data[:MIB], neighbour)
    content(neighbour)
    warm = [(0, 256 * KIB), (5 * MIB, 128 * KIB), (16 * MIB, 64 * KIB)]
    for method in ("auto", "splice", "sendfile", "copy-range", "mmap-write", "read-write"):
        for hot in ([], warm):
            what = f"{name}: {method}, {'warm in part' if hot else 'cold'}"
            for attempt in range(4):
                before = cool(source, hot)
                was = resident(source)
                found = copy("--cache=drop", "--json", "--reflink=never" if method != "copy-range"
                             else "--reflink=auto", f"--method={method}", source, sink).expect(0)
                now, of_sink = resident(source), sum(resident(sink))
                same_bytes(content(sink), data, what)
                os.unlink(sink)
                # The kernel itself may have taken a page meanwhile, or read one for somebody.
                if now == was and of_sink == 0 and left(found) == 0:
                    break
            equal(before, sum(length for _, length in hot) // PAGE, f"{what}: before")
            check(all(is_now for is_now, was_then in zip(now, was) if was_then),
                  f"{what}: what was there is gone: {sum(now)} of {before} pages")
            equal(sum(now), before, f"{what}: pages of the source")
            equal(of_sink, 0, f"{what}: pages of the sink")
            equal(left(found), 0, f"{what}: what stayed")
    check(sum(resident(neighbour)) > MIB // PAGE // 2, f"{name}: the neighbour's pages are gone")
    # keep keeps.
    cool(source)
    copy("--reflink=never", source, sink).expect(0)
    check(sum(resident(source)) * PAGE > SIZE // 2 and sum(resident(sink)) * PAGE > SIZE // 2,
          f"{name}: nothing was kept: the test sees nothing")
    # Hot from end to end: all of it stays.
    copy("--cache=drop", "--reflink=never", source, sink).expect(0)
    check(sum(resident(source)) * PAGE > SIZE // 2, f"{name}: a hot source was dropped")
    # What the kernel can do by itself is left to it, where it can; where it cannot, or a filter stands
    # before it, windows are dropped. The sink's own pages, which somebody had there, stay either way.
    kernel_can = leaves_by_itself(directory)
    print(f"{name}: RWF_DONTCACHE {'is to be had' if kernel_can else 'is not to be had'}")
    filtered = [helper("seccomp-deny"), "preadv2=EOPNOTSUPP,pwritev2=EOPNOTSUPP", "--"]
    for prefix, can in (([], kernel_can), (filtered, False),
                        ([helper("seccomp-deny"), "preadv2=EINVAL,pwritev2=EINVAL", "--"], False)):
        what = f"{name}: {prefix[1] if prefix else 'the kernel asked'}"
        for attempt in range(4):
            file_with(data, sink)
            cool(source, warm)
            before = cool(sink, [(3 * MIB, 256 * KIB)])
            was = resident(source)
            found = copy("--cache=drop", "--json", "--reflink=never", "--offset=sink=0", source, sink,
                         prefix=prefix).expect(0)
            now, of_sink = resident(source), resident(sink)
            if now == was and sum(of_sink) == before:
                break
        same_bytes(content(sink), data, what)
        equal(by_itself(found), [SIZE, SIZE] if can else [0, 0], f"{what}: by RWF_DONTCACHE")
        check(now == was, f"{what}: pages of the source: {sum(now)}, and were {sum(was)}")
        first = 3 * MIB // PAGE
        equal(sum(of_sink), before, f"{what}: pages of the sink")
        equal(sum(of_sink[first:first + 256 * KIB // PAGE]), before, f"{what}: other pages stayed")
    # Into a pipe and a socket, and out of them; parts of a file; a copy that is stopped.
    cool(source)
    result = copy("--cache=drop", "--json", source, "-").expect(0)
    same_bytes(result.out if isinstance(result.out, bytes) else result.out.encode("latin-1"), data,
               f"{name}: into a pipe")
    equal(sum(resident(source)), 0, f"{name}: into a pipe: pages of the source")
    copy("--cache=drop", "-", sink, input=data).expect(0)
    equal(sum(resident(sink)), 0, f"{name}: out of a pipe: pages of the sink")
    same_bytes(content(sink), data, f"{name}: out of a pipe")
    cool(source)
    copy("--cache=drop", "--offset=5000", f"--length={MIB + 1}", source, sink).expect(0)
    same_bytes(content(sink), data[5000:5000 + MIB + 1], f"{name}: a part")
    equal(sum(resident(source)), 0, f"{name}: a part: pages of the source")
    running = start("copy", "--cache=drop", "--rate=20M", source, sink)
    time.sleep(0.3)
    running.signal(signal.SIGTERM)
    running.finish().expect(143)
    equal(sum(resident(source)), 0, f"{name}: stopped: pages of the source")

# Into a socket: the kernel frees what the peer has read when it likes, and what stayed is said.
for name, directory in file_systems().items():
    if name not in ("ext4", "xfs", "btrfs"):
        continue
    path = file_with(data, f"{directory}/sent")
    cool(path)
    listener = tcp_listener()
    collector = Collector(listener, True)
    found = copy("--cache=drop", "--json", path, tcp_address(listener)).expect(0)
    same_bytes(collector.result(), data, f"{name}: into a socket")
    check(sum(resident(path)) * PAGE <= left(found) <= 8 * MIB,
          f"{name}: {sum(resident(path))} pages stayed, it says {left(found)} bytes")

copy("--cache=bypassed", source, sink).expect(2)

# Another user's file: what was there is told by reading, and what stayed is not told.
if ROOT:
    place = scratch()
    os.chmod(place, 0o777)
    others = file_with(data, f"{place}/others")
    os.chmod(others, 0o644)
    cool(others, [(0, 64 * KIB)])
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                           os.environ["SLUICE"], "copy", "--cache=drop", "--json", "--rate=50M", others, f"{place}/copy"],
                          capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, done.stderr)
    equal(json.loads(done.stdout)["cache_left"], None, "what stayed")
    now = resident(others)
    check(sum(now[:16]) > 8 and sum(now) <= 64, f"{sum(now)} pages, those before: {now[:16]}")
PY
