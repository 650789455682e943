#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file on a file system that does not answer has a thread of its own: the other sinks get everything.
. "${SOURCE_ROOT:?}/tests/lib.sh"

fuse_mount delay_ms=3000,direct_io
random_file 8M "$T/in"
begin=$SECONDS
status=0
sluice tee --json --linger=0.1 "$MOUNT/slow,slow=drop,lag=64K" "$T/out" <"$T/in" 2>"$T/ledger" | cmp - "$T/in" || status=$?
[ "$status" = 0 ] || fail "standard output beside a hung file system"
expect_same "$T/in" "$T/out"
grep -q '"isolated":true' "$T/ledger" || fail "it has no thread of its own: $(cat "$T/ledger")"
[ $((SECONDS - begin)) -lt 40 ] || fail "it took $((SECONDS - begin)) s"
