#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SIGINT and SIGTERM end a transfer with 130 and 143, and the message and the ledger say what was
# delivered and what was parked. Nothing is half-made, and with --salvage not one byte is missing.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(3 * MIB)
for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
    # A new file from a file: it does not appear.
    directory = scratch()
    path = file_with(data, f"{directory}/in")
    running = start("copy", "--json", "--rate", "1M", path, f"{directory}/out")
    catches(running)
    time.sleep(0.2)
    running.signal(number)
    result = running.finish(5).expect(status).says(r"^sluice:.*delivered")
    within(result.ledger()["delivered"], 1, len(data) - 1, "delivered")
    no_leftovers(directory, "in")

    # An existing file: it keeps what was delivered, and is shortened to it.
    out = file_with(b"\xa5" * len(data) * 2, f"{directory}/out")
    running = start("copy", "--json", "--rate", "1M", path, out)
    catches(running)
    time.sleep(0.2)
    running.signal(number)
    ledger = running.finish(5).expect(status).ledger()
    same_bytes(content(out), data[:ledger["delivered"]], "the existing file")

    # A new file from a pipe, which cannot be read again: the prefix stays.
    for method in ("auto", "splice", "read-write"):
        extra = [] if method == "auto" else [f"--method={method}"]
        for sink in ("file", "full pipe"):
            what = f"pipe -> {sink}, {method}"
            directory = scratch()
            saved = f"{directory}/saved"
            read_end, write_end = os.pipe()
            reading = None
            if sink == "file":
                options, target = {"stdin": read_end}, f"{directory}/out"
                extra_rate = ["--rate", "1M"]
            else:
                reading, writing = os.pipe()
                options, target = {"stdin": read_end, "stdout": writing}, "-"
                extra_rate = []
            running = start("copy", "--json", "--salvage", saved, *extra, *extra_rate, "-", target,
                            **options)
            feeder = Feeder(write_end, data)
            catches(running)
            time.sleep(0.25)
            running.signal(number)
            result = running.finish(5).expect(status).says(r"delivered")
            ledger = result.ledger()
            equal(ledger["lost"], 0, f"lost, {what}")
            equal(ledger["salvaged"], ledger["parked"], f"salvaged, {what}")
            rest = Collector(read_end)
            if reading is None:
                delivered = content(target)
                same_bytes(delivered, data[:ledger["delivered"]], f"the prefix, {what}")
            else:
                os.close(writing)
                delivered = Collector(reading).result()
                equal(len(delivered), ledger["delivered"], f"delivered, {what}")
            salvaged = content(saved) if os.path.exists(saved) else b""
            equal(len(salvaged), ledger["salvaged"], f"the salvage file, {what}")
            check(salvaged or not os.path.exists(saved), f"{what}: an empty salvage file stays")
            same_bytes(delivered + salvaged + rest.result(), data, f"all bytes, {what}")

# While it still waits for a peer: nothing to report but the end, and the listener's path is gone.
for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
    directory = scratch()
    running = start("copy", f"unix-listen:{directory}/listen", "null:")
    running.address()
    running.signal(number)
    running.finish(5).expect(status)
    no_leftovers(directory)
    running = start("copy", "tcp-listen:0", f"{directory}/out")
    running.address()
    running.signal(number)
    running.finish(5).expect(status)
    no_leftovers(directory)
PY
