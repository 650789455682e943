#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What becomes of a sink whose spill file is behind, too, because it is slow or as large as it may be: as with a
# sink without one, it is waited for, misses something, or is taken off.
. "${SOURCE_ROOT:?}/tests/lib.sh"
fuse_mount write_delay_ms=50,direct_io
export MOUNT
. "$SOURCE_ROOT/tests/helpers/scenario.sh"

scenario <<'PY'
SIZE = 24 * MIB
data = b"".join(random_bytes(4096) + n.to_bytes(4096, "big") for n in range(SIZE // 8192))
directory = scratch()


def begin(file, words, *options):
    """A tee whose one sink, a pipe, is not read for now; standard output is."""
    stalled, sink = os.pipe()
    read_end, write_end = os.pipe()
    out_end, out = os.pipe()
    running = start("tee", "--json", *options, f"fd:{sink},slow=spill={file},lag=1M{words}",
                    stdin=read_end, stdout=out, pass_fds=[sink])
    for fd in (read_end, sink, out):
        os.close(fd)
    return running, stalled, Collector(out_end), Feeder(write_end, data)


def sink_of(result):
    line = [line for line in result.err.splitlines() if line.startswith("{")][-1]
    return json.loads(line)["sinks"][1]


def in_order(got, what):
    """Each piece that came is one that was sent, and later than the one before."""
    last = 0
    for at in range(0, len(got), 4096):
        found = data.find(got[at:at + 4096], last)
        check(found >= 0 and found % 4096 == 0, f"{what}: the bytes at {at} are not what was sent")
        last = found + 4096


def missed_some(file, words, what, *options):
    running, stalled, out, feeder = begin(file, words, *options)
    wait_for(lambda: len(out.data) == SIZE, f"{what}: all bytes on standard output", 60)
    late = Collector(stalled).result()
    same_bytes(out.result(), data, f"{what}: standard output")
    result = running.finish(60).expect(0).says(r"too slow for \d+ of \d+ bytes")
    sink = sink_of(result)
    equal(sink["delivered"], len(late), f"{what}: what is counted as delivered, and what arrived")
    equal(sink["delivered"] + sink["dropped"], SIZE, f"{what}: all bytes")
    check(sink["dropped"] > 0 and sink["spilled"] > 0, f"{what}: {sink}")
    in_order(late, what)
    return sink


# A slow file. As much may wait for it as for the sink; then rounds are dropped, and counted.
missed_some(f"{os.environ['MOUNT']}/slow", ",spill-slow=drop", "drop", "--linger=60")

# One that may not grow beyond 4 MiB: it holds so much, and not a round more.
sink = missed_some(f"{directory}/bounded", ",spill-slow=drop,spill-most=4M", "drop at a size", "--linger=60")
within(sink["spilled"], 4 * MIB, 4 * MIB + 256 * KIB, "drop at a size: bytes spilled")
missed_some(f"{directory}/for-all", "", "for all", "--linger=60", "--spill-slow=drop", "--spill-most=4M")

# It is taken off.
running, stalled, out, feeder = begin(f"{directory}/detach", ",spill-slow=detach,spill-most=4M")
same_bytes(out.result(), data, "detach: standard output")
result = running.finish(60).expect(0).says(r"is detached: its spill file has reached its bound, too")
equal(sink_of(result)["state"], "detached", "detach: its state")
late = Collector(stalled).result()
same_bytes(late, data[:len(late)], "detach: what arrived")

# It is waited for: everybody stands still, and goes on when it is read; nothing is lost.
running, stalled, out, feeder = begin(f"{directory}/wait", ",spill-most=4M")
settle(running)
check(running.running() and len(out.data) < SIZE, f"wait: {len(out.data)} bytes came")
idle_costs_nothing(running, "wait: a spill file that may not grow")
late = Collector(stalled)
same_bytes(out.result(), data, "wait: standard output")
same_bytes(late.result(), data, "wait: the sink")
equal(sink_of(running.finish().expect(0))["dropped"], 0, "wait: bytes dropped")
equal(os.path.getsize(f"{directory}/wait"), 0, "wait: the file at the end")
PY
