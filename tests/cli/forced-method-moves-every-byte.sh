#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# With --method=X, strace shows that X moved every byte: the calls of X add up to the whole, and no
# other call touched source or sink with data.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
def moved(calls, names, position, marker):
    """Bytes that the calls of these names moved whose argument at this position is that end."""
    total = 0
    for call in calls:
        arguments = call.arguments.split(", ")
        if call.name in names and call.value > 0 and len(arguments) > position \
                and marker in arguments[position]:
            total += call.value
    return total


# Where the descriptor stands in the argument list: of the source, of the sink.
SOURCE = {"splice": 0, "sendfile": 1, "copy_file_range": 0, **{name: 0 for name in READING}}
SINK = {"splice": 2, "sendfile": 0, "copy_file_range": 2, **{name: 0 for name in WRITING}}

SIZE = 3 * MIB + 77
data = random_bytes(SIZE)
directory = scratch(next(iter(file_systems().values())))
path, out = file_with(data, f"{directory}/in.data"), f"{directory}/out.data"
for method in METHODS:
    for sink in ("file", "tcp", "unix", "pipe", "null"):
        if method == "copy-range" and sink != "file":
            continue
        what = f"file -> {sink}, {method}"
        file_with(b"", out)
        options, collector, target, marker = {}, None, out, "out.data"
        if sink == "tcp":
            listener = tcp_listener()
            target, collector, marker = tcp_address(listener), Collector(listener, True), "TCP:"
        elif sink == "unix":
            listener, target = unix_listener()
            collector, marker = Collector(listener, True), "UNIX-STREAM:"
        elif sink == "pipe":
            read_end, options["stdout"] = os.pipe()
            marker = f"pipe:[{os.fstat(read_end).st_ino}]"
            target, collector = "-", Collector(read_end)
        elif sink == "null":
            target, marker = "null:", "/dev/null"
        running = Traced(["copy", f"--method={method}", path, target],
                         trace=MOVING_CALLS + ",mmap", **options)
        if sink == "pipe":
            os.close(options["stdout"])
        running.finish().expect(0)
        calls = running.calls()
        if collector:
            same_bytes(collector.result(), data, what)
        elif sink == "file":
            same_bytes(content(out), data, what)
        given = {name: moved(calls, {name}, SINK[name], marker) for name in SINK}
        taken = {name: moved(calls, {name}, SOURCE[name], "in.data") for name in SOURCE}
        used = USED_BY[method]
        equal(sum(n for name, n in given.items() if name in used), SIZE,
              f"bytes given by it, {what}")
        equal({name for name, n in given.items() if n and name not in used}, set(),
              f"other calls that gave to the sink, {what}")
        if method == "mmap-write":
            equal(sum(taken.values()), 0, f"bytes taken by a call, {what}")
            check(any(call.name == "mmap" and "in.data" in call.arguments for call in calls),
                  f"{what}: the source was never mapped")
        else:
            equal(sum(n for name, n in taken.items() if name in used), SIZE,
                  f"bytes taken by it, {what}")
            equal({name for name, n in taken.items() if n and name not in used}, set(),
                  f"other calls that took from the source, {what}")
        biggest = max([call.value for call in calls if call.name in used], default=0)
        check(biggest <= 16 * MIB,
              f"{what}: one call moved {biggest} bytes: chunks are not bounded")

# From a socket and a pipe, whose bytes come by splice or read alone.
for method in ("splice", "read-write"):
    for source in ("tcp", "pipe"):
        what = f"{source} -> file, {method}"
        file_with(b"", out)
        options, fed = {}, "-"
        if source == "pipe":
            options["stdin"], feeding = os.pipe()
            marker = f"pipe:[{os.fstat(feeding).st_ino}]"
        else:
            listener = tcp_listener()
            fed, marker = tcp_address(listener), "TCP:"
        running = Traced(["copy", f"--method={method}", fed, out], **options)
        if source == "pipe":
            os.close(options["stdin"])
        else:
            feeding = listener.accept()[0]
        Feeder(feeding, data)
        running.finish().expect(0)
        same_bytes(content(out), data, what)
        calls = running.calls()
        used = USED_BY[method]
        equal(moved(calls, used & set(SINK), SINK["splice"] if method == "splice" else 0,
                    "out.data"), SIZE,
              f"bytes given by it, {what}")
        equal(moved(calls, used & set(SOURCE), 0, marker), SIZE, f"bytes taken by it, {what}")
        others = set(SINK) - used
        equal(sum(moved(calls, {name}, SINK[name], "out.data") for name in others), 0,
              f"bytes that another call gave, {what}")

# --chunk bounds each call.
running = Traced(["copy", "--method=sendfile", "--chunk=10000", path, out])
running.finish().expect(0)
within(max(call.value for call in running.calls() if call.name == "sendfile"), 1, 10000,
       "--chunk=10000")
PY
