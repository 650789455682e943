#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Source and sink are one file, by one name, another name, a link, a descriptor: refused, and not
# one byte of it is touched.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(100000)
directory = scratch()
path = file_with(data, f"{directory}/file")
os.link(path, f"{directory}/hard")
os.symlink("file", f"{directory}/soft")


def refused(*arguments, **options):
    result = copy(*arguments, seconds=5, **options)
    result.refused(1, r"same (file|pipe|device)|same")
    same_bytes(content(path), data, f"the file after {result.command}")
    no_leftovers(directory, "file", "hard", "soft", "fifo")


for other in ("file", "hard", "soft", "./file"):
    for extra in ([], ["--atomic"], ["--append"], ["--offset", "sink=200000"],
                  ["--method=copy-range"],
                  ["--method=read-write"], ["--method=splice"]):
        refused(*extra, path, f"{directory}/{other}")
with open(path, "rb") as stdin:
    refused("-", path, stdin=stdin)
with open(path, "r+b") as stdout:
    refused(path, "-", stdout=stdout)
with open(path, "ab") as stdout:  # cat file >>file, which would never end
    refused(path, "-", stdout=stdout)
with open(path, "r+b") as both:
    refused(f"fd:{both.fileno()}", f"fd:{both.fileno()}", pass_fds=[both.fileno()])
read_end, write_end = os.pipe()
os.write(write_end, b"12345")
result = copy("-", f"fd:{write_end}", stdin=read_end, pass_fds=[write_end], seconds=5)
result.refused(1, r"same")
equal(os.read(read_end, 100), b"12345", "the pipe after a refusal")

# And a plan says so.
for other in ("file", "hard", "soft"):
    result = sluice("explain", path, f"{directory}/{other}")
    result.expect(1)
    matches(result.out.decode(), "source and sink are the same", f"explain with {other}")

# Two files of one name in different directories, and one device twice, are fine.
os.mkdir(f"{directory}/hard.d")
copy(path, f"{directory}/hard.d/file").expect(0)
same_bytes(content(f"{directory}/hard.d/file"), data, "a namesake")
copy("--length", "1K", "/dev/zero", "/dev/zero").expect(0)
PY
