#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Source and sink are never ready at the same time: bytes are taken while the sink is full and
# delivered while the source is dry.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
rounds = 200 if ALL else 40
for source_kind, sink_kind in (("tcp", "tcp"), ("unix", "unix"), ("tcp", "pipe"), ("pipe", "tcp")):
    for method in ("auto", "splice", "read-write"):
        what = f"{source_kind} -> {sink_kind}, {method}"
        options, extra = {}, [] if method == "auto" else [f"--method={method}"]
        if source_kind == "pipe":
            options["stdin"], feeding = os.pipe()
            source = "-"
        elif source_kind == "tcp":
            listener = tcp_listener()
            source = tcp_address(listener)
        else:
            listener, source = unix_listener()
        if sink_kind == "pipe":
            reading, options["stdout"] = os.pipe()
            sink = "-"
        elif sink_kind == "tcp":
            sink_listener = tcp_listener()
            sink = tcp_address(sink_listener)
        else:
            sink_listener, sink = unix_listener()
        running = start("copy", *extra, source, sink, **options)
        if source_kind == "pipe":
            os.close(options["stdin"])
        else:
            feeding = listener.accept()[0]
        if sink_kind == "pipe":
            os.close(options["stdout"])
        else:
            reading = sink_listener.accept()[0]
        sent, got = bytearray(), bytearray()
        os.set_blocking(fd_of(feeding), False)
        os.set_blocking(fd_of(reading), False)
        rng = random.Random(5)
        for turn in range(rounds):
            piece = rng.randbytes(rng.choice((1, 100, 4096, 70000)))
            try:
                sent += piece[:os.write(fd_of(feeding), piece)]
            except BlockingIOError:
                pass
            time.sleep(0.002)
            if turn % 3 == 0:  # let it fill up, then take what there is
                try:
                    while True:
                        got += os.read(fd_of(reading), 50000)
                except BlockingIOError:
                    pass
        close(feeding)
        os.set_blocking(fd_of(reading), True)
        rest = Collector(reading)
        running.finish().expect(0)
        same_bytes(bytes(got) + rest.result(), bytes(sent), what)
        check(len(sent) > 1000, f"{what}: hardly anything was sent")
PY
