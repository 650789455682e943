#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file can be as long as offsets reach. Its end is an end, by every method, though a read from there on is an
# error of the kernel's (EINVAL).
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = on("tmpfs")
most = (1 << 63) - 1
path = sparse_file(most, f"{directory}/in")
for method in ("auto", "sendfile", "splice", "mmap-write", "read-write"):
    for tail in (4, 0, 4096, 70000):
        for sink in ("-", f"{directory}/out"):
            result = copy(f"--method={method}", f"--offset={most - tail}", path, sink).expect(0)
            found = result.out if sink == "-" else content(sink)
            equal(found, bytes(tail), f"{method}, {tail} bytes to {sink}")
result = copy("--json", path, f"{directory}/out").expect(0)
equal((result.ledger()["delivered"], os.path.getsize(f"{directory}/out")), (most, most), "all of it, which is a hole")
copy(f"--offset={most - 4}", "--length=5", path, "null:").refused(1, r"it has 9223372036854775807")
PY
