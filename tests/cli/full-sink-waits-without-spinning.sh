#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A sink that takes nothing: the command sleeps until there is room, and every byte arrives after
# that.
# serial: CPU time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(2 * MIB)
source = file_with(data)


def ends(kind):
    """(ours, theirs) of a connected pair that the command inherits."""
    if kind == "pipe":
        return os.pipe()
    if kind == "terminal":
        return raw_terminal()
    return {"tcp": lambda: tcp_pair(16384, 16384), "unix": unix_pair}[kind]()


for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    cases = []
    for kind in ("pipe", "tcp", "unix", "terminal"):
        for how in (source, "-"):
            what = f"{'pipe' if how == '-' else 'file'} -> full {kind}, {method}"
            ours, theirs = ends(kind)
            keep = os.dup(fd_of(theirs)) if kind == "terminal" else None
            options = {}
            if how == "-":
                read_end, write_end = os.pipe()
                options["stdin"] = read_end
            running = start("copy", "--json", *extra, how, f"fd:{fd_of(theirs)}",
                            pass_fds=[fd_of(theirs)], **options)
            close(theirs)
            if how == "-":
                os.close(read_end)
                Feeder(write_end, data)
            cases.append((running, what, kind, ours, keep))
    time.sleep(0.1)
    for case in cases[:]:
        running, what, kind, _, _ = case
        if not running.running():  # by name it may refuse an inherited blocking descriptor
            may = method == "splice" and kind in ("tcp", "unix", "terminal")
            running.finish().refused(1 if may else 0)
            cases.remove(case)
    settle(*(running for running, *_ in cases))
    idle_cost_nothing([(running, what) for running, what, *_ in cases])
    for running, what, kind, ours, keep in cases:
        collector = Collector(ours)
        if keep is not None:
            wait_for(lambda: len(collector.data) == len(data), f"all bytes, {what}")
            os.close(keep)
        running.finish().expect(0).ledger()
        same_bytes(collector.result(), data, what)
PY
