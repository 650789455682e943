#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A program that starts with descriptors 0 to 2 closed must not write its messages into the file
# that it opened in their place.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(100000)
directory = scratch()
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"


def closing(*numbers):
    def before():
        for number in numbers:
            try:
                os.close(number)
            except OSError:
                pass
    return before


for numbers in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)):
    for extra in ([], ["--stats"], ["--json"], ["-p", "--rate=1M"]):
        for sink in ("absent", "present"):
            if sink == "present":
                file_with(b"\xa5" * 200000, out)
            running = start("copy", *extra, path, out, before=closing(*numbers))
            result = running.finish()
            what = f"descriptors {numbers} closed, {extra}, sink {sink}"
            check(result.status in ((0,) if not (extra == ["--json"] and 1 in numbers) else (0, 1)),
                  f"{what}: {result}")
            same_bytes(content(out), data, what)
            os.unlink(out)
    # Messages of an error do not go into the source or the sink.
    running = start("copy", path, f"{directory}/nowhere/out", before=closing(*numbers))
    equal(running.finish().status, 1, f"an error, descriptors {numbers} closed")
    same_bytes(content(path), data, f"the source, descriptors {numbers} closed")
PY
