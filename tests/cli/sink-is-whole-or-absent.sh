#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Whatever fails, a sink that is to appear whole does, or does not appear: a disk that cannot write, at
# any byte or only when it is synced; kill -9 at a random moment. With --resume the next run goes on
# to an identical file.
# timeout: 200
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import contextlib
import random

SIZE = 3 * MIB + 321
OLD = b"what was there before"
data = random_bytes(SIZE)
source = file_with(data)
ERRNOS = {"EIO": 5, "ENOSPC": 28, "EDQUOT": 122}


@contextlib.contextmanager
def failing(options):
    """(a directory whose files fail so, where it is kept)"""
    behind, mount = scratch(), scratch()
    daemon = subprocess.Popen([helper("fusefs"), "-f", "-o", options, behind, mount],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    started.append(daemon)
    try:
        wait_for(lambda: os.path.ismount(mount) or daemon.poll() is not None, "the mount")
        if daemon.poll() is not None:
            skip(f"missing fuse: {daemon.stderr.read().decode().strip()}")
        yield mount, behind
    finally:
        subprocess.run(["fusermount3", "-u", "-q", mount], check=False)
        daemon.wait(10)


def is_whole_or_as_before(path, before, what):
    if before is None and not os.path.exists(path):
        return False
    now = content(path)
    check(now in (data, before), f"{what}: half a sink, of {len(now)} bytes")
    return now == data


# A disk that fails on cue.
for name, number in ERRNOS.items():
    for options in ("fail_write_at=0", "fail_write_at=4096", "fail_write_at=1000001",
                    f"fail_write_at={SIZE - 1}", "fail_fsync=1"):
        with failing(f"{options},fail_with={number}") as (directory, behind):
            sink = f"{directory}/sink"
            for before in (None, OLD):
                for words in ((), ("--method=splice",), ("--method=sendfile",),
                              ("--method=read-write",), ("--cache=drop",), ("--sparse=always",)):
                    words += ("--sync",) if "fsync" in options else ()
                    words += ("--atomic",) if before else ()
                    what = f"{name}, {options}, {words}"
                    if before:
                        file_with(OLD, f"{behind}/sink")
                    result = copy(*words, source, sink).expect(1)
                    result.says(os.strerror(number))
                    check(not is_whole_or_as_before(f"{behind}/sink", before, what), what)
                    equal(leftovers(behind, *(["sink"] if before else [])), [], what)
                    if before:
                        os.unlink(f"{behind}/sink")
            # What was delivered is kept; elsewhere it is gone on with.
            if "fsync" not in options:
                result = copy("--resume", "--method=read-write", source, sink).expect(1)
                kept = content(f"{behind}/sink.partial") if os.path.exists(
                    f"{behind}/sink.partial") else b""
                same_bytes(kept, data[:len(kept)], f"{name}, {options}: kept")
                whole = scratch()
                file_with(kept, f"{whole}/sink.partial")
                copy("--resume", source, f"{whole}/sink").expect(0)
                same_bytes(content(f"{whole}/sink"), data, f"{name}, {options}: gone on with")
                equal(os.listdir(whole), ["sink"], f"{name}, {options}: names")

# kill -9.
for entry, directory in file_systems().items():
    if entry.startswith("fuse"):
        continue
    sink, partial = f"{directory}/sink", f"{directory}/sink.partial"
    for seed in range(200 if ALL else 16):
        rng = random.Random(f"{entry} {seed}")
        before = rng.choice((None, OLD))
        words = rng.choice(((), ("--cache=drop",), ("--reflink=never", "--sync"), ("--verify",),
                            ("--method=read-write",), ("--resume",)))
        words += ("--atomic",) if before else ()
        what = f"{entry}, seed {seed}: {words}"
        if before:
            file_with(OLD, sink)
        # Some in the middle of the bytes, some around the moment when the name is given.
        rate = rng.choice((("--rate=20M",), ("--chunk=64K",), ()))
        running = start("copy", *words, *rate, source, sink)
        time.sleep(rng.random() * (0.16 if "--rate=20M" in rate else 0.03))
        running.signal(signal.SIGKILL)
        running.finish()
        is_whole_or_as_before(sink, before, what)
        copy("--resume", source, sink).expect(0)
        same_bytes(content(sink), data, f"{what}: again")
        check(not os.path.exists(partial), f"{what}: the partial file stays")
        for left in leftovers(directory):
            os.unlink(f"{directory}/{left}")
PY
