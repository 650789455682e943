#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The loop of tee(2)'s manual page, written anew in bench/ceilings/textbook-tee.c: the same bytes; but it spins while
# nothing comes, and fails where standard output is no pipe.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_command "${CC:-cc}"

"${CC:-cc}" -O2 -D_GNU_SOURCE -o "$T/textbook" "$SOURCE_ROOT/bench/ceilings/textbook-tee.c"
random_file 5M "$T/in"
textbook() { "$T/textbook" "$@"; }
own() { sluice tee "$@"; }

for which in textbook own; do
    "$which" "$T/$which.file" < <(cat "$T/in") | cat >"$T/$which.out"
    expect_same "$T/in" "$T/$which.out"
    expect_same "$T/in" "$T/$which.file"
done

# CPU time, in milliseconds, of half a second without input.
mkfifo "$T/idle"
exec 3<>"$T/idle"
idle_cost() {
    local before
    background "$@" "$T/idle.file" <&3 > >(cat >/dev/null)
    sleep 0.2
    before=$(cpu_time "$PID")
    sleep 0.5
    COST=$(($(cpu_time "$PID") - before))
    kill -KILL "$PID"
    wait "$PID" 2>/dev/null || true
}
idle_cost "$T/textbook"
spun=$COST
idle_cost "$SLUICE" tee
[ "$COST" -le 30 ] || fail "sluice tee used $COST ms of CPU in 500 ms without input"
[ "$spun" -gt "$COST" ] || fail "the textbook loop used $spun ms of CPU and does not spin: what is compared here?"

# Standard output is a file.
expect_status 1 textbook "$T/second" < <(cat "$T/in") >"$T/out"
own "$T/second" < <(cat "$T/in") >"$T/out"
expect_same "$T/in" "$T/out"
expect_same "$T/in" "$T/second"
