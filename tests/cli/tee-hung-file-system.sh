#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file on a file system that does not answer has a thread of its own: the other sinks get everything.
. "${SOURCE_ROOT:?}/tests/lib.sh"

fuse_mount write_delay_ms=6000,direct_io
random_file 8M "$T/in"
# The others have everything before the hung one has taken a second piece.
mkfifo "$T/fifo"
sluice tee --json --linger=0.1 "$MOUNT/slow,slow=drop,lag=64K" "$T/out" <"$T/in" 2>"$T/ledger" >"$T/fifo" &
begin=$(date +%s%N)
cmp "$T/fifo" "$T/in" >&2 &
reader=$!
wait_until 20 cmp -s "$T/in" "$T/out" || fail "the file beside a hung file system is not complete"
took=$((($(date +%s%N) - begin) / 1000000))
[ "$took" -lt 5000 ] || fail "the others waited $took ms"
wait "$reader" || fail "standard output beside a hung file system"
wait_until 30 grep -q '"version"' "$T/ledger" || fail "it has not ended"
grep -q '"isolated":true' "$T/ledger" || fail "it has no thread of its own: $(cat "$T/ledger")"
grep -q '"state":"detached"' "$T/ledger" || fail "it was not detached: $(cat "$T/ledger")"
