#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The source pauses while the sink is still draining what was taken: whoever comes back first,
# nothing is lost, nothing hangs and nothing spins.
# serial: CPU time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(600000)
for method in ("auto", "splice", "read-write"):
    for kinds in (("tcp", "tcp"), ("tcp", "pipe"), ("unix", "tcp"), ("pipe", "unix")):
        listener = sink_listener = None
        options, extra = {}, [] if method == "auto" else [f"--method={method}"]
        if kinds[0] == "tcp":
            listener = tcp_listener()
            source = tcp_address(listener)
        elif kinds[0] == "unix":
            listener, source = unix_listener()
        else:
            read_end, feeding = os.pipe()
            options["stdin"], source = read_end, "-"
        if kinds[1] == "tcp":
            sink_listener = tcp_listener(receive_buffer=8192)
            sink = tcp_address(sink_listener)
        elif kinds[1] == "unix":
            sink_listener, sink = unix_listener()
        else:
            reading, options["stdout"] = os.pipe()
            sink = "-"
        running = start("copy", *extra, source, sink, **options)
        if listener:
            feeding = listener.accept()[0]
        else:
            os.close(read_end)
        if sink_listener:
            reading = sink_listener.accept()[0]
        else:
            os.close(options["stdout"])
        what = f"{kinds[0]} -> {kinds[1]}, {method}"
        hold = threading.Event()
        collector = Collector(reading, hold=hold, piece=5000)
        first = Feeder(feeding, data[:400000], piece=30000, end_it=False)
        time.sleep(0.05)
        settle(running)
        idle_costs_nothing(running, f"full sink, {what}", 0.2)
        hold.set()  # the sink drains; the source is dry from here on
        first.join()
        wait_for(lambda: len(collector.data) == 400000,
                 f"what was sent, before the source says more; {what}; "
                 f"{len(collector.data)} of 400000")
        idle_costs_nothing(running, f"dry source, {what}", 0.2)
        Feeder(feeding, data[400000:], piece=1000)
        running.finish().expect(0)
        same_bytes(collector.result(), data, what)
PY
