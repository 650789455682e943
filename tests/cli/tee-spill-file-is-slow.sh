#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A spill file that hangs holds up nobody, as far as the sink may lag; one that is slow is waited for beyond that,
# and nothing is lost.
. "${SOURCE_ROOT:?}/tests/lib.sh"

fuse_mount write_delay_ms=3000,direct_io
random_file 700K "$T/in"
mkfifo "$T/hung" "$T/fifo"
exec 7<>"$T/hung" # nobody reads it
sluice tee --json --linger=0.1 "$T/fifo" "$T/out,slow=wait" "fd:7,slow=spill=$MOUNT/spill,lag=512K" \
    <"$T/in" >"$T/standard" 2>"$T/ledger" &
tee=$!
cmp "$T/fifo" "$T/in" >&2 &
reader=$!
wait_until 30 cmp -s "$T/in" "$T/out" || fail "the file beside a hung spill is not complete"
written=$(stat -c %s "$BEHIND/spill")
[ "$written" -lt 80000 ] || fail "the others came only after $written bytes of the spill"
wait "$reader" || fail "the pipe beside a hung spill"
wait "$tee" || fail "exit status $?"
grep -q '"state":"detached"' "$T/ledger" || fail "it was not detached: $(cat "$T/ledger")"
exec 7>&-

fuse_mount write_delay_ms=20,direct_io
random_file 5M "$T/in"
mkfifo "$T/late"
sluice tee --json "$T/late,slow=spill=$MOUNT/spill,lag=256K" <"$T/in" >"$T/standard" 2>"$T/ledger" &
tee=$!
exec 8<"$T/late"
wait_until 60 cmp -s "$T/in" "$T/standard" || fail "standard output beside a slow spill is not complete"
cmp - "$T/in" <&8 >&2 || fail "what was spilled differs"
wait "$tee" || fail "exit status $?"
grep -q '"dropped":0' "$T/ledger" || fail "something was dropped: $(cat "$T/ledger")"
[ "$(stat -c %s "$BEHIND/spill")" -eq 0 ] || fail "the spill file is not empty at the end"
