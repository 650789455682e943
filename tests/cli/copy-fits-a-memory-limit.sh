#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file larger than the memory of a control group is copied inside it; with --cache=drop it takes a
# small part of that.
# timeout: 120
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
skip_under_sanitizer("it needs memory of its own")
LIMIT, SIZE = 48 * MIB, 128 * MIB

# The second version, if it has the controller; else the first.
VERSIONS = (("/sys/fs/cgroup", "memory.max", "memory.peak", "cgroup.controllers"),
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes",
             "memory.limit_in_bytes"))
group = None
for root, limit, peak, sign in VERSIONS:
    if not os.path.exists(f"{root}/{sign}"):
        continue
    path = f"{root}/sluice-test-{os.getpid()}"
    try:
        os.mkdir(path)
    except OSError as error:
        skip(f"no control group can be made here: {error}")
    if os.path.exists(f"{path}/{limit}") and os.path.exists(f"{path}/{peak}"):
        group = path
        break
    os.rmdir(path)
if not group:
    skip("there is no memory controller here")


def inside():
    with open(f"{group}/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))


try:
    with open(f"{group}/{limit}", "w") as file:
        file.write(str(LIMIT))
    data = random_bytes(16 * MIB)
    directory = on("ext4")
    source, sink = f"{directory}/source", f"{directory}/sink"
    with open(source, "wb") as file:
        for _ in range(SIZE // len(data)):
            file.write(data)
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    for words in (("--cache=drop",), ("--cache=drop", "--method=read-write"), (),
                  ("--method=mmap-write",)):
        if os.path.exists(f"{group}/memory.max_usage_in_bytes"):
            with open(f"{group}/memory.max_usage_in_bytes", "w") as file:
                file.write("0")
        copy(*words, source, sink, before=inside).expect(0)
        done = subprocess.run(["cmp", source, sink], capture_output=True, text=True)
        equal(done.returncode, 0, f"{words}: {done.stdout}")
        with open(f"{group}/{peak}") as file:
            most = int(file.read())
        note(f"{words}: at most {most // MIB} MiB of {LIMIT // MIB}")
        check(most <= LIMIT, f"{words}: {most}")
        os.unlink(sink)
        fd = os.open(source, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
finally:
    wait_for(lambda: not open(f"{group}/cgroup.procs").read(), "the group to be empty")
    os.rmdir(group)
PY
