#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --append adds to the end of the sink and keeps what was there, also while another process
# appends.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(150001)
directory = scratch()
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
for source, options in ((path, {}), ("-", {"input": data})):
    for method in ("auto", "read-write"):
        extra = [] if method == "auto" else [f"--method={method}"]
        file_with(b"before", out)
        copy("--append", *extra, source, out, **options).expect(0)
        same_bytes(content(out), b"before" + data, f"--append, {method}, {source}")
        copy("--append", *extra, "--length", "10", source, out, **options).expect(0)
        same_bytes(content(out), b"before" + data + data[:10],
                   f"--append again, {method}, {source}")
os.unlink(out)
copy("--append", path, out).expect(0)
same_bytes(content(out), data, "--append to an absent file")

# Why the better methods were passed over is said.
copy("--append", "-v", path, out).expect(0).says(r"append")

# Two at once: no byte of either is overwritten.
os.unlink(out)
left, right = file_with(b"a" * 3 * MIB, f"{directory}/a"), file_with(b"b" * 3 * MIB,
                                                                     f"{directory}/b")
both = [start("copy", "--append", each, out) for each in (left, right)]
for running in both:
    running.finish().expect(0)
found = content(out)
equal((found.count(b"a"), found.count(b"b")), (3 * MIB, 3 * MIB), "what two appenders wrote")

# An inherited descriptor with O_APPEND, as a shell's >> gives.
file_with(b"before", out)
for method in ("auto", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    file_with(b"before", out)
    sink = os.open(out, os.O_WRONLY | os.O_APPEND)
    copy(*extra, path, "-", stdout=sink).expect(0)
    os.close(sink)
    same_bytes(content(out), b"before" + data, f">> by {method}")

# What contradicts it.
file_with(b"before", out)
copy("--append", "--offset", "sink=3", path, out).refused(2)
copy("--append", "--atomic", path, out).refused(2)
equal(content(out), b"before", "the sink after options that contradict each other")
PY
