#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Devices, FIFOs, standard output and inherited descriptors are written in place, from where they
# stand, and never shortened or replaced.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(100000)
directory = scratch()
path = file_with(data, f"{directory}/in")
out = f"{directory}/out"

for length in (300000, 50):
    file_with(b"\xa5" * length, out)
    with open(out, "r+b", buffering=0) as f:
        f.seek(40)
        copy(path, "-", stdout=f).expect(0)
        wanted = (b"\xa5" * 40 + data).ljust(length, b"\xa5")
        same_bytes(content(out), wanted, "standard output that is a file")
        equal(os.lseek(f.fileno(), 0, os.SEEK_CUR), 100040, "its offset")
    file_with(b"\xa5" * length, out)
    fd = os.open(out, os.O_RDWR)
    copy(path, f"fd:{fd}", pass_fds=[fd]).expect(0)
    same_bytes(content(out), data.ljust(length, b"\xa5"), "an inherited descriptor")
    os.close(fd)

fifo = f"{directory}/fifo"
os.mkfifo(fifo)
running = start("copy", path, fifo)
collector = Collector(os.open(fifo, os.O_RDONLY))
running.finish().expect(0)
same_bytes(collector.result(), data, "a FIFO")
check(stat.S_ISFIFO(os.stat(fifo).st_mode), "the FIFO was replaced")
no_leftovers(directory, "in", "out", "fifo")
copy(path, "/dev/null").expect(0)
copy(path, "null:").expect(0)
check(stat.S_ISCHR(os.stat("/dev/null").st_mode), "/dev/null was replaced")
copy("null:", out).expect(0)
equal(content(out), b"", "null: as a source")
copy("--length", "70000", "zero:", out).expect(0)
equal(content(out), bytes(70000), "zero: as a source")
copy("--length", "70000", "/dev/zero", out).expect(0)
equal(content(out), bytes(70000), "/dev/zero as a source")
PY
