#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Progress comes on a terminal after half a second, with -p elsewhere too, as numbers with -n, and
# never with -q or into a pipe.
# serial: time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
path = sparse_file(3 * MIB)
out = os.path.join(scratch(), "out")
RATE = ["--rate", "2M"]

equal(copy(*RATE, path, out).expect(0).err, "", "standard error that is no terminal")
equal(copy("-q", *RATE, path, out).expect(0).err, "", "with -q")
text = copy("-p", *RATE, path, out).expect(0).err
matches(text, r"MiB", "-p")
matches(text, r"\d+ ?%", "-p: a percentage of a known size")
matches(text, r"/s", "-p: the rate")
text = copy("-p", *RATE, "-", out, input=bytes(3 * MIB)).expect(0).err
lacks(text, r"\d ?%", "-p: a percentage of an unknown size")
text = copy("-p", "-s", "6M", *RATE, "-", out, input=bytes(3 * MIB)).expect(0).err
matches(text, r"\d+ ?%", "-p -s: a percentage of the size that was told")

numbers = copy("-n", *RATE, path, out).expect(0).err.split()
check(numbers and all(re.fullmatch(r"\d+(\.\d+)?", n) for n in numbers), f"-n: {numbers}")
if numbers:
    equal(float(numbers[-1]), 100, "-n: the last percentage")
    equal(numbers, sorted(numbers, key=float), "-n: never backwards")
numbers = copy("-n", *RATE, "-", out, input=bytes(3 * MIB)).expect(0).err.split()
equal(int(float(numbers[-1])) if numbers else None, 3 * MIB, "-n: bytes where the size is unknown")


def on_terminal(*arguments):
    master, slave = raw_terminal()
    collector = Collector(master)
    running = start("copy", *arguments, stderr=slave)
    os.close(slave)
    running.process.wait(LIMIT)
    return collector.result().decode()


equal(on_terminal(path, out), "", "a short transfer on a terminal")
text = on_terminal(*RATE, path, out)
matches(text, r"\d+ ?%", "a longer transfer on a terminal")
check("\r" in text, "the bar is not drawn in place")
equal(on_terminal("-q", *RATE, path, out), "", "a longer transfer on a terminal, -q")

# The bar and an error do not share a line.
text = on_terminal("--rate", "100", "--idle-timeout", "10", "--length", "1M", path, "/dev/full")
check(re.search(r"(^|[\r\n\x1bK])sluice:", text), f"an error on a terminal: {text!r}")
PY
