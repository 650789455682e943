#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --idle-timeout fails when no byte has moved for so long, whichever side is to blame, and never
# while bytes trickle.
# serial: time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
def started(source_kind, sink_kind, method, seconds):
    extra = [] if method == "auto" else [f"--method={method}"]
    options = {}
    if source_kind == "pipe":
        options["stdin"], feeding = os.pipe()
        source = "-"
    else:
        listener = tcp_listener()
        source = tcp_address(listener)
    if sink_kind == "pipe":
        reading, options["stdout"] = os.pipe()
        sink = "-"
    else:
        sink_listener = tcp_listener()
        sink = tcp_address(sink_listener)
    running = start("copy", "--json", "--idle-timeout", seconds, *extra, source, sink, **options)
    if source_kind != "pipe":
        feeding = listener.accept()[0]
    if sink_kind != "pipe":
        reading = sink_listener.accept()[0]
    return running, feeding, reading


def dry(case):
    method, source_kind, sink_kind = case
    what = f"dry {source_kind} -> {sink_kind}, {method}"
    running, feeding, reading = started(source_kind, sink_kind, method, "300ms")
    began = time.monotonic()
    os.write(fd_of(feeding), b"abc")
    equal(os.read(fd_of(reading), 10), b"abc", what)
    result = running.finish(10)
    result.refused(1, r"time|idle", r"delivered")
    within(time.monotonic() - began, 0.25, 6, f"seconds until the timeout, {what}")
    equal(result.ledger()["delivered"], 3, f"delivered, {what}")


def full(method):
    running, feeding, reading = started("pipe", "pipe", method, "0.3")
    began = time.monotonic()
    Feeder(feeding, bytes(MIB))
    result = running.finish(10).refused(1, r"time|idle", r"delivered")
    within(time.monotonic() - began, 0.25, 6, f"seconds until the timeout, full sink, {method}")
    equal(result.ledger()["error"]["side"], "sink", f"whose fault, full sink, {method}")


def trickling(method):
    running, feeding, reading = started("tcp", "tcp", method, "0.3s")
    Feeder(feeding, b"trickle", piece=1, pause=0.12)
    collector = Collector(reading)
    running.finish(10).expect(0)
    equal(collector.result(), b"trickle", f"a trickle, {method}")


METHODS_HERE = ("auto", "splice", "read-write")
each(dry, [(method, source, sink) for method in METHODS_HERE for source in ("tcp", "pipe")
           for sink in ("tcp", "pipe")])
each(full, METHODS_HERE)
each(trickling, METHODS_HERE)
PY
