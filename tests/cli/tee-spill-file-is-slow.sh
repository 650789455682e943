#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A spill file that hangs, when it is written or when it is read back, holds up nobody, as far as the sink may
# lag; one that is slow is waited for beyond that, and nothing is lost.
. "${SOURCE_ROOT:?}/tests/lib.sh"

hangs=100000 # milliseconds: until the file system is killed
is_detached() { grep -q 'is detached' "$T/ledger"; }

fuse_mount write_delay_ms=$hangs,direct_io
daemon=$PID
random_file 700K "$T/in"
mkfifo "$T/hung" "$T/fifo"
exec 7<>"$T/hung" # nobody reads it
sluice tee --json --linger=0.1 "$T/fifo" "$T/out,slow=wait" "fd:7,slow=spill=$MOUNT/spill,lag=512K" \
    <"$T/in" >"$T/standard" 2>"$T/ledger" &
tee=$!
cmp "$T/fifo" "$T/in" >&2 &
reader=$!
wait_until 60 cmp -s "$T/in" "$T/out" || fail "the file beside a hung spill is not complete"
wait "$reader" || fail "the pipe beside a hung spill"
wait_until 60 is_detached || fail "it was not detached: $(cat "$T/ledger")"
[ "$(stat -c %s "$BEHIND/spill")" -eq 0 ] || fail "the spill was not hung"
kill -9 "$daemon"
wait "$tee" || fail "exit status $?"
grep -q '"state":"detached"' "$T/ledger" || fail "it was not detached: $(cat "$T/ledger")"
exec 7>&-

# What it has spilled cannot be read back: the others get what comes meanwhile.
fuse_mount delay_ms=$hangs,direct_io
daemon=$PID
random_file 900K "$T/in"
mkfifo "$T/late" "$T/input"
exec 7<>"$T/late" 8<>"$T/input"
sluice tee --json --linger=0.1 "$T/out" "fd:7,slow=spill=$MOUNT/spill,lag=512K" \
    <"$T/input" >"$T/standard" 2>"$T/ledger" 8>&- &
tee=$!
exec 9>"$T/input" 8>&-
head -c 700K "$T/in" >&9
wait_until 60 cmp -s -n 716800 "$T/in" "$T/out" || fail "the file has not got the beginning"
cat <&7 >"$T/got" 9>&- & # the spill file is what comes next
cat=$!
wait_until 60 test -s "$T/got" || fail "nothing has come to the late reader"
sleep 0.2
tail -c +716801 "$T/in" >&9
exec 9>&-
wait_until 60 cmp -s "$T/in" "$T/out" || fail "the file beside a spill that cannot be read is not complete"
cmp -s "$T/in" "$T/standard" || fail "standard output beside a spill that cannot be read is not complete"
wait_until 60 is_detached || fail "it was not detached: $(cat "$T/ledger")"
kill -9 "$daemon"
wait "$tee" || fail "exit status $?"
exec 7>&-
kill "$cat"
wait "$cat" || true
got=$(stat -c %s "$T/got")
cmp -n "$got" "$T/got" "$T/in" >&2 || fail "what came before the spill differs"
rm "$T/late"

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
