#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Suffixes of 1024 and of 1000, fractions, and spellings of options.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
path, out = sparse_file(4 * MIB), os.path.join(scratch(), "out")
for text, size in (("0", 0), ("1", 1), ("1K", 1024), ("1KiB", 1024), ("1kB", 1000), ("1.5K", 1536),
                   ("2M", 2 * MIB), ("2MiB", 2 * MIB), ("2MB", 2000000), ("0.5M",
                                                                          MIB // 2), ("1.5MB",
                                                                                      1500000),
                   ("0.001G", 1073741), ("3145728", 3 * MIB)):
    for arguments in (["--length", text], [f"--length={text}"]):
        copy(*arguments, path, out).expect(0)
        equal(os.path.getsize(out), size, f"bytes of {arguments}")
for text in ("1G", "1GiB", "1GB", "1T", "1TB", "1P", "1PB", "2.5TiB"):
    copy("--rate", text, path, out).expect(0)
for text in ("1", "0.5", "500ms", "1s", "2m", "1h", "1.5h"):
    copy("--idle-timeout", text, path, out).expect(0)
copy("-L1G", "-s4M", "-qv", path, out).expect(0)
PY
