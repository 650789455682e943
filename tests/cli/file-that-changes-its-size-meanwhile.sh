#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A source file that grows or shrinks while it is copied, by every method that reads it: what is added
# before its end is reached is copied, too; one that ends sooner than it did when the copy began is an
# error that names the byte, and no sink is made.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
SIZE, MORE = 20 * MIB, 2 * MIB + 777  # direct has 8 MiB in flight
data = random_bytes(SIZE + MORE)
told = 0
METHODS = ("auto", "splice", "sendfile", "copy-range", "mmap-write", "read-write", "direct")


def changed(source, sink, method, change, *words):
    """Copies slowly, and changes the source in the middle, while the copy stands still."""
    for rate in (48, 24, 12, 6):
        running = start("copy", "--reflink=never", f"--method={method}", f"--rate={rate}M", *words,
                        source, sink)
        running.until_moving(directory)
        running.signal(signal.SIGSTOP)
        if running.running():
            break
        running.finish()  # this machine was busy elsewhere: again, and slower
        os.unlink(sink)
    change()
    running.signal(signal.SIGCONT)
    return running.finish()


for name, directory in file_systems().items():
    if name not in ("ext4", "xfs", "btrfs", "tmpfs", "here"):
        continue
    source, sink = f"{directory}/source", f"{directory}/sink"
    for method in METHODS if name in ("ext4", "here") else ("auto", "mmap-write", "direct"):
        if method == "direct" and name == "tmpfs":
            continue  # refused: no device
        what = f"{name}: {method}"

        file_with(data[:SIZE], source)
        with open(source, "ab") as file:
            grown = changed(source, sink, method, lambda: (file.write(data[SIZE:]), file.flush()))
        grown.expect(0)
        same_bytes(content(sink), data, f"{what}: grown")
        os.unlink(sink)

        for words in ((), (f"--length={SIZE}",)):
            file_with(data[:SIZE], source)
            shrunk = changed(source, sink, method, lambda: os.truncate(source, SIZE - MIB - 1), *words)
            if shrunk.status == 0:  # it was stopped before it had looked at its source
                same_bytes(content(sink), data[:SIZE - MIB - 1], f"{what}: shrunk")
                equal(words, (), f"{what}: fewer bytes than wanted are no success")
                os.unlink(sink)
            else:
                shrunk.refused(1, r"at byte \d+", r"truncated while it was read|ends|No data")
                told += 1
                check(not os.path.exists(sink), f"{what}: half a sink has its name")
check(told > 0, "no copy was far enough to see that its source became shorter")
PY
