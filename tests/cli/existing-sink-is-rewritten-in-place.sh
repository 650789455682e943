#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An existing file keeps its inode, links, mode and watchers, holds exactly the new bytes
# afterwards, and after a failure what was delivered. --atomic replaces it instead.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(500000)


def on_one(entry):
    name, place = entry
    directory = scratch(place)
    path, out, link = file_with(data, f"{directory}/in"), f"{directory}/out", f"{directory}/link"
    for method in ("auto",) + METHODS:
        if name.startswith("fuse") and method in ("copy-range", "mmap-write"):
            continue  # that file system may lack them
        extra = [] if method == "auto" else [f"--method={method}"]
        for length in (900000, 500000, 100):
            file_with(b"\xa5" * length, out)
            os.chmod(out, 0o604)
            if not name.startswith("fuse"):
                os.link(out, f"{directory}/hard")
            before = os.stat(out)
            copy(*extra, path, out).expect(0)
            after = os.stat(out)
            same_bytes(content(out), data, f"{name}, {method}, {length} bytes before")
            for field in ("st_ino", "st_mode", "st_uid", "st_gid", "st_nlink"):
                equal(getattr(after, field), getattr(before, field), f"{name}, {method}: {field}")
            if not name.startswith("fuse"):
                same_bytes(content(f"{directory}/hard"), data, f"{name}, {method}: the hard link")
                os.unlink(f"{directory}/hard")
            os.unlink(out)
    # Empty: shortened to nothing.
    file_with(b"\xa5" * 100, out)
    copy("null:", out).expect(0)
    equal(content(out), b"", f"{name}: nothing copied over something")

    # A symbolic link is followed.
    file_with(b"old", out)
    os.symlink("out", link)
    copy(path, link).expect(0)
    check(os.path.islink(link), f"{name}: the link was replaced")
    same_bytes(content(out), data, f"{name}: through a link")

    # --atomic: another inode, whole at the end, the old one until then; through the link too.
    file_with(b"old", out)
    os.chmod(out, 0o604)
    with open(out, "rb") as opened:
        running = start("copy", "--atomic", "--rate", "1M", path, link)
        running.until_moving(directory)
        equal(content(out), b"old", f"{name}: an atomic sink in the middle")
        running.finish().expect(0)
        equal(opened.read(), b"old", f"{name}: what has the old file open")
    same_bytes(content(out), data, f"{name}: atomic")
    check(os.path.islink(link), f"{name}: --atomic replaced the link")
    no_leftovers(directory, "in", "out", "link")

    # A failure in the middle of --atomic: as before.
    file_with(b"old", out)
    running = start("copy", "--atomic", "--rate", "1M", path, out)
    running.until_moving(directory)
    os.truncate(path, 300000)
    running.finish().expect(1)
    equal(content(out), b"old", f"{name}: after a failure of --atomic")
    no_leftovers(directory, "in", "out", "link")
    file_with(data, path)


each(on_one, file_systems().items())

# What is not a regular file cannot be replaced.
directory = scratch()
path = file_with(data, f"{directory}/in")
fifo = f"{directory}/fifo"
os.mkfifo(fifo)
holder = os.open(fifo, os.O_RDWR)
for sink in (fifo, "/dev/null", "-", "null:"):
    result = copy("--atomic", path, sink)
    check(result.status in (1, 2), f"--atomic to {sink}: {result}")
    result.says(r"^sluice:.*atomic|not a regular file")
check(stat.S_ISFIFO(os.stat(fifo).st_mode), "the FIFO is gone")
PY
