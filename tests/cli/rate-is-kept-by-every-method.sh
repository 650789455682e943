#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --rate is accurate within ten per cent by every method, from the first moment on, also when it is
# smaller than a chunk, and when the source comes in bursts.
# serial: time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
skip_under_sanitizer("time is measured")


def runs(size, rate_text, rate, sinks, methods):
    path = file_with(bytes(size))
    started = []
    for sink in sinks:
        for method in methods:
            if method == "copy-range" and sink != "file":
                continue
            extra = [] if method == "auto" else [f"--method={method}"]
            options, collector = {}, None
            target = os.path.join(os.path.dirname(path), f"out.{method}")
            if sink == "pipe":
                reading, options["stdout"] = os.pipe()
                target, collector = "-", Collector(reading)
            elif sink == "tcp":
                listener = tcp_listener()
                target, collector = tcp_address(listener), Collector(listener, listener=True)
            running = start("copy", "--json", "--rate", rate_text, *extra, path, target, **options)
            if sink == "pipe":
                os.close(options["stdout"])
            started.append((running, collector, f"{rate_text}, file -> {sink}, {method}"))
    wanted = size / rate
    time.sleep(wanted / 2)
    for running, collector, what in started:
        if collector:
            share = len(collector.data) / (rate * (time.monotonic() - running.began))
            within(share, 0.5, 1.25, f"share of the rate half-way, {what}")
    for running, collector, what in started:
        result = running.finish().expect(0)
        within(result.ledger()["seconds"], wanted * 0.9, wanted * 1.5, f"seconds, {what}")
        within(result.seconds, wanted * 0.9, wanted * 1.5 + 1, f"seconds of the clock, {what}")


methods = ("auto",) + METHODS
runs(6 * MIB, "4M", 4 * MIB, ("file", "pipe"), methods)
runs(6 * 10**6, "4MB", 4 * 10**6, ("tcp",), methods)
runs(30 * KIB, "20K", 20 * KIB, ("file", "pipe", "tcp"), methods)

# From a pipe and a socket, which bring it all at once.
data = bytes(3 * MIB)
for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    result = copy("--json", "--rate", "3MiB", *extra, "-", os.path.join(scratch(), "out"),
                  input=data).expect(0)
    within(result.ledger()["seconds"], 0.9, 2, f"seconds, pipe -> file, {method}")
PY
