#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SIGKILL in the middle: a new sink does not appear, one that --atomic replaces is as it was, and
# where the file system has unnamed files nothing is left behind at all.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(2 * MIB)


def on_one(entry):
    name, place = entry
    for before in ("absent", "present"):
        directory = scratch(place)
        path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
        extra = ["--atomic"] if before == "present" else []
        if before == "present":
            file_with(b"precious", out)
        running = start("copy", "--rate", "1M", *extra, path, out)
        time.sleep(0.15)
        check(running.running(), f"{name}: ended too early: {running.err()}")
        equal(os.path.exists(out), before == "present", f"{name}: the sink in the middle")
        running.signal(signal.SIGKILL)
        running.finish()
        left = leftovers(directory, "in", *(["out"] if before == "present" else []))
        if before == "present":
            equal(content(out), b"precious", f"{name}: the sink after SIGKILL")
        if name.startswith("fuse"):  # no unnamed files there: a temporary name is allowed
            check(all(re.fullmatch(r"\.out\.sluice-\w{6}", entry) for entry in left),
                  f"{name}: left behind {left}")
        else:
            equal(left, [], f"{name}, sink {before}: left behind")


each(on_one, file_systems().items())
PY
