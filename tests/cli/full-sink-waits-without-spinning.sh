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


for kind in ("pipe", "tcp", "unix", "terminal"):
    for how in (source, "-"):
        for method in ("auto", "splice", "read-write"):
            ours, theirs = ends(kind)
            keep = os.dup(fd_of(theirs)) if kind == "terminal" else None
            extra = [] if method == "auto" else [f"--method={method}"]
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
            what = f"{'pipe' if how == '-' else 'file'} -> full {kind}, {method}"
            time.sleep(0.05)
            if not running.running():
                if method == "splice" and kind in ("tcp", "unix", "terminal"):
                    running.finish().expect(1, 3)  # an inherited blocking descriptor: it may refuse
                else:
                    problem(f"{what}: {running.finish()}")
                continue
            settle(running)
            idle_costs_nothing(running, what, 0.3)
            collector = Collector(ours)
            if keep is not None:
                wait_for(lambda: len(collector.data) == len(data), f"all bytes, {what}")
                os.close(keep)
            running.finish().expect(0).ledger()
            same_bytes(collector.result(), data, what)
PY
