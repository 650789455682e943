#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every kind of source into every kind of sink, by every method, with every size and offset, byte
# for byte: each pair of these meets at least once, and with TEST_ALL all combinations do.
# serial: there is one block device
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import integrity

places = file_systems()
for name in ("ext4", "xfs", "btrfs", "tmpfs", "fuse", "fuse-direct"):
    if name not in places:
        note(f"SKIP: missing {name}: not set up here")
device = os.environ.get("SLUICE_BLOCK")
if not device:
    note("SKIP: missing block: not set up here")
sources, sinks = integrity.sources(places, device), integrity.sinks(places, device)
cases = integrity.every_case if ALL else integrity.pairwise_cases
count = integrity.run_cases(cases(sources, sinks))
note(f"{count} cases: {len(sources)} kinds of source, {len(sinks)} of sink")
check(count > 300, f"only {count} cases were run")
PY
