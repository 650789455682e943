#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# O_APPEND can be set on any descriptor, as on a terminal that a shell shares: the calls that
# refuse it are passed over, and the bytes arrive.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(200000)
path = file_with(data)
for kind in ("file", "pipe", "tcp", "unix", "terminal", "null"):
    for source in (path, "-"):
        for early in (True, False):
            out = os.path.join(scratch(), "out")
            ours, theirs = {"pipe": os.pipe, "tcp": tcp_pair, "unix": unix_pair,
                            "terminal": raw_terminal,
                            "file": lambda: (None, os.open(out, os.O_RDWR | os.O_CREAT, 0o600)),
                            "null": lambda: (None, os.open(os.devnull, os.O_WRONLY))}[kind]()
            fd = fd_of(theirs)
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
            collector = Collector(ours) if ours is not None else None
            keep = os.dup(fd)
            result = copy("--json", source, f"fd:{fd}", pass_fds=[fd],
                          **({"input": data} if source == "-" else {})).expect(0)
            what = f"{'pipe' if source == '-' else 'file'} -> {kind} with O_APPEND"
            equal(result.ledger()["delivered"], len(data), f"delivered, {what}")
            check(fcntl.fcntl(keep, fcntl.F_GETFL) & os.O_APPEND, f"{what}: the flag is gone")
            if kind == "terminal":
                wait_for(lambda: len(collector.data) == len(data), f"all bytes, {what}")
            os.close(keep)
            close(theirs)
            if collector:
                same_bytes(collector.result(), data, what)
            elif kind == "file":
                same_bytes(content(out), data, what)
PY
