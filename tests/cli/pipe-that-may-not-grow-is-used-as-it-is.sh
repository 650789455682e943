#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# F_SETPIPE_SZ fails with EPERM, as past the user's budget: the transfer goes on with the pipe as it
# is, and the ledger says what was asked for and what was got.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

random_file 2M "$T/in"
"$SLUICE" copy --method=splice tcp-listen:0 "$T/whole" 2>"$T/listen" & listener=$!
port=$(port_from_log "$T/listen")
sluice copy "$T/in" "tcp:127.0.0.1:$port"
expect_exit 0 "$listener"
expect_same "$T/in" "$T/whole"

for action in EPERM EBUSY EINVAL; do
    with_shim "F_SETPIPE_SZ=$action" \
        "$SLUICE" copy --json --method=splice "$T/in" "$T/out" >"$T/ledger"
    [ "$(shim_applied F_SETPIPE_SZ)" -gt 0 ] || fail "no pipe was enlarged: nothing was tested"
    expect_same "$T/in" "$T/out"
    "$PYTHON" - "$T/ledger" <<'PY' || fail "$action: $(cat "$T/ledger")"
import json, sys
pipe = json.load(open(sys.argv[1]))["pipe"]
sys.exit(not 0 < pipe["got"] < pipe["asked"])
PY
    rm "$T/out"
done

# The size that was asked for is asked for.
sluice copy --json --method=splice --pipe-size=128K "$T/in" "$T/out" >"$T/ledger"
expect_match '"asked": ?131072' "$T/ledger"
expect_match '"got": ?131072' "$T/ledger"
