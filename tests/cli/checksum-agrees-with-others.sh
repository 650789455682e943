#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --checksum gives what sha256sum and xxhsum -H3 give for the same bytes, as they lie in the sink,
# and says so in the ledger too.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = scratch()
for size in (0, 1, 240, 241, 70000, 3 * MIB + 5):
    data = random_bytes(size)
    path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
    wanted = {"sha256": hashlib.sha256(data).hexdigest(), "xxh3": xxh3(data)}
    for algorithm, value in wanted.items():
        if value is None:
            note("SKIP: xxh3 is not compared: libxxhash is not installed")
            continue
        result = copy("--checksum", algorithm, path, out).expect(0)
        same_bytes(content(out), data, "the copy")
        matches(result.out.decode() + result.err, rf"\b{value}\b", f"{algorithm} of {size} bytes")
        ledger = copy("--json", "--checksum", algorithm, path, out).expect(0).ledger()
        found = (ledger["checksum"]["algorithm"], ledger["checksum"]["value"])
        equal(found, (algorithm, value), f"{size} bytes, JSON")
        equal(ledger["checksum"]["of"], out, "what the checksum is of")
        # Where the sink cannot be read back.
        result = copy("--checksum", algorithm, path, "-",
                      stdout=os.open(os.devnull, os.O_WRONLY)).expect(0)
        matches(result.err, rf"\b{value}\b", f"{algorithm} of {size} bytes into /dev/null")

# Of what was moved, not of the whole file: length, offsets, a pipe, a sink with other bytes.
data = random_bytes(200000)
path = file_with(data, f"{directory}/in")
value = hashlib.sha256(data[1000:51000]).hexdigest()
file_with(b"\xa5" * 300000, out)
for arguments in (["--offset", "1000", "--length", "50000", path, out],
                  ["--offset", "1000", "--offset", "sink=77", "--length", "50000", path, out],
                  ["--offset", "1000", "--length", "50000", "--append", path, out]):
    ledger = copy("--json", "--checksum=sha256", *arguments).expect(0).ledger()
    equal(ledger["checksum"]["value"], value, f"sha256 with {arguments}")
ledger = copy("--json", "--checksum=sha256", "-", out, input=data).expect(0).ledger()
equal(ledger["checksum"]["value"], hashlib.sha256(data).hexdigest(), "sha256 from a pipe")

# Neither end can be read again: said, not invented.
read_end, write_end = os.pipe()
collector = Collector(read_end)
source_read, source_write = os.pipe()
running = start("copy", "--checksum=sha256", "-", "-", stdin=source_read, stdout=write_end)
os.close(write_end)
os.close(source_read)
Feeder(source_write, data)
result = running.finish()
if result.status == 0:
    same_bytes(collector.result(), data, "pipe -> pipe")
    matches(result.err, hashlib.sha256(data).hexdigest(), "the checksum of pipe -> pipe")
else:
    result.refused(result.status, r"checksum")
    within(result.status, 1, 3, "status of a checksum that cannot be had")

copy("--checksum", "md5", path, out).refused(2, r"md5", r"xxh3|sha256")
PY
