#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --stats prints the ledger on standard error, with the figures of --json, and --quiet does not
# silence what was asked for.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(MIB)
directory = scratch()
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
for method in METHODS:
    result = copy("--stats", f"--method={method}", path, out).expect(0)
    equal(result.out, b"", "standard output")
    result.says(re.escape(f"{path} -> {out}"), r"1\.00 MiB",
                r"^leg\s+call\s+class\s+known\s+bytes\s+calls",
                r"^copies/byte\s+%d" % (2 if method == "read-write" else 1), r"^cpu\s", r"^calls\s",
                r"^fallbacks\s+none", r"^lost\s+0 bytes, parked 0", r"expected")
    call = {"copy-range": "copy_file_range", "mmap-write": "write",
            "read-write": "read"}.get(method, method)
    result.says(rf"^\S+ -> \S+\s+{call}\s")
    if method == "splice":
        result.says(r"^pipe\s.*asked.*got")
    else:
        result.never_says(r"^pipe\s.*asked")
copy("--stats", "-q", path, out).expect(0).says(r"^copies/byte")
copy("--stats", path, "/dev/full").expect(1).says(r"^lost\s", r"no space left")
result = copy("--stats", "--json", path, out).expect(0).says(r"^copies/byte")
result.ledger()
PY
