#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A sink that stalls: with wait the others stall with it, and nothing is lost; with drop, detach and spill
# they get everything at once. In no case does our memory grow.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
SIZE = 96 * MIB
LAG = 4 * MIB
data = random_bytes(1 * MIB) * (SIZE // MIB)
directory = scratch()


def begin(policy, *more):
    """A tee whose one sink, a pipe, is not read for now; standard output is."""
    stalled_end, sink = os.pipe()
    read_end, write_end = os.pipe()
    out_end, out = os.pipe()
    running = start("tee", "--json", *more, f"fd:{sink},slow={policy},lag=4M", stdin=read_end,
                    stdout=out, pass_fds=[sink])
    for fd in (read_end, sink, out):
        os.close(fd)
    return running, stalled_end, Collector(out_end), Feeder(write_end, data)


def sink_of(result):
    line = [line for line in result.err.splitlines() if line.startswith("{")][-1]
    return json.loads(line)["sinks"][1]


def all_arrived(out, what):
    """While the other one sleeps."""
    wait_for(lambda: len(out.data) == SIZE, f"{what}: all bytes on standard output", 30)


def check_memory(running, what):
    if os.environ.get("SLUICE_SANITIZER") or not running.running():
        return
    peak = int(status_of(running.pid, "VmHWM") or 0)
    check(peak < 16 << 10, f"{what}: {peak} KiB of memory")


# wait: after the lag is used up everybody stands still, and goes on when it is read.
running, stalled, out, feeder = begin("wait")
settle(running)
check(running.running(), f"wait: it has ended: {running.err()}")
check_memory(running, "wait")
idle_costs_nothing(running, "wait: a stalled sink")
late = Collector(stalled)
same_bytes(out.result(), data, "wait: standard output")
same_bytes(late.result(), data, "wait: the stalled sink")
sink = sink_of(running.finish().expect(0))
equal((sink["delivered"], sink["dropped"], sink["state"]), (SIZE, 0, "done"), "wait: the ledger")
within(sink["lag_most"], 1, LAG, "wait: the lag")

# drop: the others have everything while it sleeps; what it gets then is in order, and counted.
running, stalled, out, feeder = begin("drop")
all_arrived(out, "drop")
check_memory(running, "drop")
late = Collector(stalled).result()
same_bytes(out.result(), data, "drop: standard output")
result = running.finish().expect(0).says(r"too slow for \d+ of \d+ bytes")
sink = sink_of(result)
equal(sink["delivered"], len(late), "drop: what is counted as delivered, and what arrived")
equal(sink["delivered"] + sink["dropped"], SIZE, "drop: all bytes")
check(sink["dropped"] > 0, "drop: nothing was dropped")
same_bytes(late[:65536], data[:65536], "drop: its beginning")
within(sink["lag_most"], 1, LAG, "drop: the lag")

# drop, and it never wakes up: the end does not wait for ever.
running, stalled, out, feeder = begin("drop", "--linger=0.3")
same_bytes(out.result(), data, "drop, never read: standard output")
result = running.finish(20).expect(0).says(r"is detached")
os.close(stalled)

# detach
running, stalled, out, feeder = begin("detach")
same_bytes(out.result(), data, "detach: standard output")
result = running.finish(20).expect(0).says(r"is detached: its backlog has reached its bound")
sink = sink_of(result)
equal(sink["state"], "detached", "detach: its state")
got = Collector(stalled).result()
equal(len(got), sink["delivered"], "detach: what is counted as delivered, and what arrived")
same_bytes(got, data[:len(got)], "detach: what arrived")

# spill
spill = f"{directory}/spill"
running, stalled, out, feeder = begin(f"spill={spill}")
all_arrived(out, "spill")
check_memory(running, "spill")
check(os.path.getsize(spill) > SIZE // 2, f"spill: only {os.path.getsize(spill)} bytes in the file")
same_bytes(Collector(stalled).result(), data, "spill: the stalled sink")
same_bytes(out.result(), data, "spill: standard output")
sink = sink_of(running.finish().expect(0))
equal((sink["delivered"], sink["dropped"]), (SIZE, 0), "spill: the ledger")
check(sink["spilled"] > SIZE // 2, f"spill: {sink['spilled']} bytes spilled")
equal(os.path.getsize(spill), 0, "spill: the file at the end")

# a rate of one sink's own: the others are not slowed down by it.
read_end, sink_end = os.pipe()
began = time.monotonic()
slow = Collector(read_end)
running = start("tee", f"fd:{sink_end},rate=1M,lag=1G,lag-pipes=64", stdin=open(file_with(data[:MIB // 2]), "rb"),
                stdout=subprocess.DEVNULL, pass_fds=[sink_end])
os.close(sink_end)
same_bytes(slow.result(), data[:MIB // 2], "at 1 MiB a second")
within(time.monotonic() - began, 0.2, 5, "seconds for half a MiB at 1 MiB a second")
running.finish().expect(0)
PY
