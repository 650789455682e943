#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The plan in text and as JSON: source, sink, each method with its legs, class and copies per byte,
# and each that is ruled out with the reason.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = scratch()
path, out = file_with(random_bytes(700000), f"{directory}/in"), f"{directory}/out"
ALL_METHODS = {"reflink", "copy-range", "sendfile", "splice", "mmap-write", "read-write", "direct"}

text = sluice("explain", path, "tcp:").expect(0).out.decode()
matches(text, r"^source\s+\S*in\b.*regular", "the source")
matches(text, r"^sink\s+tcp.*stream", "the sink")
matches(text, r"^kernel\s+\d", "the kernel")
matches(text, r"^\s*method\s+copies\s+legs", "the head of the table")
matches(text, r"^-> splice\s+0\s+\S+ =ref=> pipe =ref=> tcp\s+expected", "the first choice")
matches(text, r"^   sendfile\s+0\s+\S+ =ref=> tcp\s+expected", "sendfile")
matches(text, r"^   mmap-write\s+1\s+\S+ =map=> user =copy=> tcp\s+expected", "mmap-write")
matches(text, r"^   read-write\s+2\s+\S+ =copy=> user =copy=> tcp\s+expected", "read-write")
matches(text, r"^ x reflink\s+\S+.*", "reflink, ruled out")
matches(text, r"^ x copy-range\s+.*not a", "copy-range, ruled out")
matches(text, r"^why\s+\S+", "why")
matches(text, r"^path\s+\S+.*\(expected\)", "the kernel functions")
matches(text, r"^caution\s+.*(write|change)", "the caution about later writes")
check(all(len(line) <= 100 for line in text.splitlines() if path not in line),
      "a line is too long for a terminal")


def plan(source, sink, *extra):
    found = json.loads(sluice("explain", "--json", *extra, source, sink).expect(0).out)
    return found


def candidates(found):
    """Wherever it keeps them: the list of objects that have a method."""
    for value in found.values():
        if isinstance(value, list) and value and all(isinstance(x, dict) and "method" in x
                                                     for x in value):
            return value
    fail(f"no list of candidates in {found}")


for source, sink in ((path, "tcp:"), (path, out), ("tcp:", out), ("pipe:", "tcp:"), ("-", out),
                     (path, "null:"), ("unix:", "pipe:")):
    listed = candidates(plan(source, sink))
    what = f"{source} -> {sink}"
    equal({each["method"] for each in listed}, ALL_METHODS, f"methods, {what}")
    usable = [each for each in listed if not each.get("ruled_out")]
    ruled_out = [each for each in listed if each.get("ruled_out")]
    check(usable, f"{what}: nothing can serve")
    equal(listed, usable + ruled_out, f"the usable ones come first, {what}")
    check({"reflink", "direct"} <= {each["method"] for each in ruled_out},
          f"{what}: neither can serve, or is wanted")
    for each in usable:
        check(isinstance(each.get("copies"), int) or "copies_per_byte" in each,
              f"{what}: copies of {each}")
        check(1 <= len(each["legs"]) <= 2, f"{what}: legs of {each}")
        for leg in each["legs"]:
            check(leg.get("class") in ("reference", "kernel-copy", "user-copy", "map", "offload",
                                       "dma"),
                  f"{what}: class of {leg}")
            equal(leg.get("known"), "expected", f"{what}: how it is known")

# The verdicts that the kernel's nature gives.
first = lambda source, sink: candidates(plan(source, sink))[0]["method"]
equal(first(path, "tcp:"), "splice", "file -> tcp")
equal(first("tcp:", "tcp:"), "splice", "tcp -> tcp")
by_name = {each["method"]: each for each in candidates(plan("tcp:", out))}
for method in ("sendfile", "mmap-write", "copy-range"):
    check(by_name[method].get("ruled_out"), f"tcp -> file by {method} should be ruled out")
with open(out, "ab") as sink:
    result = sluice("explain", "--json", path, f"fd:{sink.fileno()}",
                    pass_fds=[sink.fileno()]).expect(0)
    by_name = {each["method"]: each for each in candidates(json.loads(result.out))}
    for method in ("splice", "sendfile", "copy-range"):
        matches(str(by_name[method].get("ruled_out")), r"append", f"{method} into an O_APPEND sink")

# What the copy then does is what the plan said.
for sink in (out, "null:"):
    ledger = copy("--json", path, sink).expect(0).ledger()
    equal(ledger["legs"][0]["method"] if not ledger["fallbacks"] else first(path, sink),
          first(path, sink),
          f"the method used for {sink}")

# -v prints the same before it moves.
copy("-v", path, out).expect(0).says(r"^source\s", r"^-> \S+", r"^ x reflink")

sluice("explain", path).refused(2)
sluice("explain", "--jsn", path, out).refused(2, r"--jsn", r"--json")
sluice("explain", f"{directory}/absent", out).refused(1, r"absent", r"no such file")

# A sink that may only be written is a sink all the same.
closed = file_with(b"precious", f"{directory}/write-only")
os.chmod(closed, 0o200)
matches(sluice("explain", path, closed).expect(0).out.decode(), r"^sink\s+\S*write-only\s+regular",
        "a write-only sink")
PY
