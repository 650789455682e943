#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Progress comes on a terminal after half a second, with -p elsewhere too, as numbers with -n, and
# never with -q or into a pipe.
# serial: time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
path = file_with(bytes(3 * MIB))
RATE = ["--rate", "2M"]
BYTES = bytes(3 * MIB)


def out():
    return os.path.join(scratch(), "out")


def said(*arguments, source=path):
    options = {"input": BYTES} if source == "-" else {}
    return copy(*arguments, source, out(), **options).expect(0).err


def on_terminal(*arguments):
    master, slave = raw_terminal()
    collector = Collector(master)
    running = start("copy", *arguments, stderr=slave)
    os.close(slave)
    running.process.wait(LIMIT)
    return collector.result().decode()


def no_terminal():
    equal(said(*RATE), "", "standard error that is no terminal")


def quiet():
    equal(said("-q", *RATE), "", "with -q")


def bar():
    text = said("-p", *RATE)
    matches(text, r"MiB", "-p")
    matches(text, r"\d+ ?%", "-p: a percentage of a known size")
    matches(text, r"/s", "-p: the rate")


def unknown_size():
    text = said("-p", *RATE, source="-")
    matches(text, r"MiB", "-p, unknown size")
    lacks(text, r"\d ?%", "-p: a percentage of an unknown size")


def told_size():
    text = said("-p", "-s", "6M", *RATE, source="-")
    matches(text, r"\d+ ?%", "-p -s: a percentage of the size that was told")


def percentages():
    numbers = said("-n", *RATE).split()
    if check(numbers and all(re.fullmatch(r"\d+(\.\d+)?", n) for n in numbers), f"-n: {numbers}"):
        equal(float(numbers[-1]), 100, "-n: the last percentage")
        equal(numbers, sorted(numbers, key=float), "-n: never backwards")


def byte_counts():
    numbers = said("-n", *RATE, source="-").split()
    equal(int(float(numbers[-1])) if numbers else None, 3 * MIB, "-n: bytes, size unknown")


def terminal():
    text = on_terminal(*RATE, path, out())
    matches(text, r"\d+ ?%", "a longer transfer on a terminal")
    check("\r" in text, "the bar is not drawn in place")


def quiet_terminal():
    equal(on_terminal("-q", *RATE, path, out()), "", "a longer transfer on a terminal, -q")


def short_on_terminal():
    equal(on_terminal(path, out()), "", "a short transfer on a terminal")


def error_on_terminal():
    """The bar and an error do not share a line."""
    read_end, write_end = os.pipe()
    feeder = Feeder(write_end, bytes(10000), end_it=False)
    master, slave = raw_terminal()
    collector = Collector(master)
    running = start("copy", "--length", "20000", "--idle-timeout", "1", "-", out(), stdin=read_end,
                    stderr=slave)
    os.close(slave)
    running.process.wait(LIMIT)
    text = collector.result().decode()
    check(re.search(r"(^|[\r\n\x1bK])sluice:", text), f"an error on a terminal: {text!r}")
    os.close(write_end)


each(lambda test: test(), [no_terminal, quiet, bar, unknown_size, told_size, percentages,
                               byte_counts, terminal, quiet_terminal, short_on_terminal,
                               error_on_terminal])
PY
