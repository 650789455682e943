#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --scratch-device: the verdicts on a block device, which loses its beginning; what is no device, or
# is in use, is refused.
# serial: there is one device
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
skip_under_sanitizer("it times loads")
directory = scratch()
sluice("probe", "--no-cache", "--scratch-device", directory, directory).refused(2, "block device")
sluice("probe", "--no-cache", "--scratch-device", f"{directory}/none", directory).refused(
    2, "block device")

device = os.environ.get("SLUICE_BLOCK")
if not device:
    skip("missing block: not set up here")
wanted = {
    ("block -> pipe", "splice", ""): "reference",
    ("block -> pipe", "splice", "SPLICE_F_MOVE"): "reference",
    ("block -> pipe", "sendfile", ""): "reference",
    ("block -> memory", "read", ""): "copied",
    ("pipe -> block", "splice", ""): "copied",
    ("pipe -> block", "splice", "SPLICE_F_MOVE"): "copied",
    ("memory -> block", "write", ""): "copied",
    ("block -> tcp", "sendfile", ""): "reference",
    ("block -> unix", "sendfile", ""): "reference",
    ("pipe -> block", "splice", "O_DIRECT"): "unknown",  # a loop device
    ("block -> pipe", "splice", "O_DIRECT"): "unknown",
}
found = json.loads(sluice("probe", "--json", "--no-cache", "--scratch-device", device,
                          directory, seconds=60).expect(0).out)
measured = {(f"{leg['from']} -> {leg['to']}", leg["call"], leg["variant"]): leg
            for leg in found["legs"]}
for key, verdict in wanted.items():
    leg = measured[key]
    equal(leg["error"] or leg["verdict"], verdict, f"{key}: {leg['evidence']}")

# One that somebody has open for himself is not touched.
held = os.open(device, os.O_RDONLY | os.O_EXCL)
before = os.pread(held, 65536, 0)
found = json.loads(sluice("probe", "--json", "--no-cache", "--scratch-device", device,
                          directory, seconds=60).expect(0).out)
check(not any("block" in (leg["from"], leg["to"]) for leg in found["legs"]), "it was measured")
check(any(fact["error"] == "EBUSY" for fact in found["facts"]), "nothing says EBUSY")
equal(os.pread(held, 65536, 0), before, "what is on it")
os.close(held)
PY
