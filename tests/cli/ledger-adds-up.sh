#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The ledger as JSON: it parses, its sums agree, its rows say who moved what; it goes to standard
# output, or to standard error where standard output is the sink; --json=lines is an object a line.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(MIB)
directory = scratch()
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
for method in METHODS:
    result = copy("--json", f"--method={method}", path, out).expect(0)
    ledger = json.loads(result.out)
    check_ledger(ledger, method)
    equal((ledger["source"], ledger["sink"], ledger["status"]), (path, out, "done"), method)
    equal((ledger["bytes"], ledger["taken"], ledger["parked"]), (MIB, MIB, 0), method)
    equal(ledger["method"], method, "method")
    equal({leg["method"] for leg in ledger["legs"]}, {method}, "the legs' method")
    equal(ledger["legs"][-1]["bytes"], MIB, f"bytes of the last leg, {method}")
    equal({leg["known"] for leg in ledger["legs"]}, {"expected"},
          f"how the class is known, {method}")
    equal(ledger["copies_per_byte"],
          {"copy-range": 1, "sendfile": 1, "splice": 1, "mmap-write": 1, "read-write": 2}[method],
          f"copies per byte, {method}")
    equal(ledger["fallbacks"], [], f"fallbacks, {method}")
    check("error" not in ledger, f"{method}: an error where there is none")
    check(isinstance(ledger["seconds"], float) and 0 < ledger["seconds"] < 30, "seconds")
    check(ledger["calls"] >= max(leg["calls"] for leg in ledger["legs"]),
          f"calls, {method}: {ledger}")
    check("pipe" in ledger if method == "splice" else "pipe" not in ledger, f"'pipe', {method}")
    equal(result.err, "", f"standard error, {method}")

# Where standard output is the sink, the ledger must not be in it.
read_end, write_end = os.pipe()
running = start("copy", "--json", path, "-", stdout=write_end)
os.close(write_end)
collector = Collector(read_end)
result = running.finish().expect(0)
same_bytes(collector.result(), data, "standard output")
equal(json.loads(result.err)["bytes"], MIB, "the ledger on standard error")

# It is written in one piece, so that nobody's output gets between.
for sink, number in ((out, 1), ("-", 2)):
    result = traced("copy", "--json", path, sink, trace="write",
                    stdout=None if number == 1 else os.open(os.devnull, os.O_WRONLY)).expect(0)
    pieces = [call for call in result.calls if call.arguments.startswith(f"{number}<")
              and "/dev/null" not in call.arguments]
    equal(len(pieces), 1, f"writes of the ledger on descriptor {number}")

# By reference: no copy.
listener = tcp_listener()
collector = Collector(listener, listener=True)
ledger = copy("--json", path, tcp_address(listener)).expect(0).ledger()
equal(ledger["copies_per_byte"], 0, "copies per byte, file -> tcp")
same_bytes(collector.result(), data, "file -> tcp")

# Names that JSON must escape, and that are no UTF-8.
odd = os.path.join(os.fsencode(directory), b'a"\\\n\x01\xff')
with open(odd, "wb") as f:
    f.write(b"abc")
result = copy("--json", odd, out).expect(0)
ledger = json.loads(result.out.decode("utf-8"))
check('a"\\\n\x01' in ledger["source"], f"an odd name: {ledger['source']!r}")

# Lines.
result = copy("--json=lines", "--rate", "400K", path, out).expect(0)
lines = [json.loads(line) for line in result.out.splitlines()]
check(len(lines) >= 3, f"only {len(lines)} lines in 2.5 seconds")
equal({line["event"] for line in lines[:-1]}, {"progress"}, "all lines but the last")
equal(lines[-1]["event"], "done", "the last line")
check_ledger(lines[-1], "the last line")
result = copy("--json=lines", f"{directory}/absent", out)
result.expect(1)
equal(json.loads(result.out.splitlines()[-1])["event"] if result.out else "error", "error",
      "the last line")
result = copy("--json=lines", path, "/dev/full").expect(1)
equal(json.loads(result.out.splitlines()[-1])["event"], "error", "the last line of a failure")

# An error: who, what, where.
ledger = copy("--json", path, "/dev/full").expect(1).ledger()
equal(ledger["status"], "error", "status")
equal((ledger["error"]["side"], ledger["error"]["errno"], ledger["error"]["endpoint"]),
      ("sink", "ENOSPC", "/dev/full"), "the error")
equal(ledger["error"]["message"], "No space left on device", "its words")
equal((ledger["delivered"], ledger["error"]["offset"]), (0, 0), "how far it came")

copy("--json=yaml", path, out).refused(2, "yaml")
PY
