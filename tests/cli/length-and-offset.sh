#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --length moves exactly so many bytes and --offset begins where it says; a source that ends before
# is an error, before a byte moves where that is known.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(200000)
directory = scratch()
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
for method in ("auto",) + METHODS:
    extra = [] if method == "auto" else [f"--method={method}"]
    copy(*extra, "--length", "100K", path, out).expect(0)
    same_bytes(content(out), data[:102400], f"--length 100K, {method}")
    copy(*extra, "--offset", "1000", path, out).expect(0)
    same_bytes(content(out), data[1000:], f"--offset 1000, {method}")
    copy(*extra, "--offset=source=5000", "--length=7", path, out).expect(0)
    same_bytes(content(out), data[5000:5007], f"--offset=source=5000 --length=7, {method}")
    file_with(b"\xa5" * 300000, out)
    if method == "sendfile":  # it has no offset of the sink: refused, or moved right
        result = copy(*extra, "--offset", "sink=10", path, out)
        if result.status:
            result.refused(1, "sendfile", "offset")
            equal(content(out), b"\xa5" * 300000, "the sink after that refusal")
            continue
    copy(*extra, "--offset", "sink=10", "--offset", "source=3", "--length", "70000", path,
         out).expect(0)
    same_bytes(content(out), b"\xa5" * 10 + data[3:70003] + b"\xa5" * 229990,
               f"both offsets, {method}")
    os.unlink(out)
    copy(*extra, "--offset", "sink=5000", path, out).expect(0)
    same_bytes(content(out), bytes(5000) + data, f"a hole before the sink's offset, {method}")
    copy(*extra, "--length", "0", path, out).expect(0)
    equal(content(out), b"", f"--length 0, {method}")
    copy(*extra, "--length", "200000", path, out).expect(0)
    same_bytes(content(out), data, f"the whole length, {method}")
    copy(*extra, "--offset", "200000", path, out).expect(0)
    equal(content(out), b"", f"an offset at the end, {method}")

    # Beyond the end: known before, so nothing is touched.
    file_with(b"precious", out)
    copy(*extra, "--length", "200001", path, out).refused(1, r"200000|200001")
    equal(content(out), b"precious", f"the sink after a length beyond the end, {method}")
    copy(*extra, "--offset", "100000", "--length", "100001", path, out).refused(1)
    equal(content(out), b"precious", f"the sink after offset and length beyond the end, {method}")
    copy(*extra, "--offset", "200001", path, out).refused(1, r"from byte 200001 of .*: it has 200000")
    equal(content(out), b"precious", f"the sink after an offset beyond the end, {method}")
    copy(*extra, "--length", "200001", path, f"{directory}/new").refused(1)
    no_leftovers(directory, "in", "out")

# From a pipe and a socket the rest stays where it was, byte for byte.
for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    for kind in ("pipe", "unix", "tcp"):
        theirs, ours = {"pipe": os.pipe, "unix": unix_pair, "tcp": tcp_pair}[kind]()
        what = f"{kind}, {method}"
        os.write(fd_of(ours), data[:30000])
        copy(*extra, "--length", "12345", f"fd:{fd_of(theirs)}", out,
             pass_fds=[fd_of(theirs)]).expect(0)
        same_bytes(content(out), data[:12345], f"--length 12345 from a stream, {what}")
        close(ours)
        same_bytes(Collector(theirs).result(), data[12345:30000], f"what was not asked for, {what}")

    # One that ends too soon: an error, with what came delivered.
    result = copy("--json", *extra, "--length", "50000", "-", out, input=data[:40000])
    result.refused(1, r"40000|50000")
    equal(result.ledger()["delivered"], 40000, f"delivered before the early end, {method}")
    equal(result.ledger()["error"]["side"], "source", "whose fault the early end is")
PY
