#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples/generate.c: the lines are right, a reader that leaves is no error, and a pipe gets
# references: nothing is written into it.
. "${SOURCE_ROOT:?}/tests/lib.sh"

generate=$BUILD_ROOT/examples/example-generate
[ -x "$generate" ] || fail "the example is not built"

# `head` leaves early; yes is the specification, 100 MB of it.
"$generate" 'a line' | head -c 100000000 | sha256sum >"$T/ours"
{ yes 'a line' || true; } | head -c 100000000 | sha256sum >"$T/yes"
expect_same "$T/yes" "$T/ours"

# Into a file until the file may not grow any further, and into a socket by way of socat.
( ulimit -f 2048 && trap '' XFSZ && expect_status 1 "$generate" y >"$T/file" )
grep -q 'File too large' "$T/stderr" || fail "not said: $(cat "$T/stderr")"
[ "$(tr -d 'y\n' <"$T/file" | wc -c)" -eq 0 ] || fail "the file has other bytes"

status=0
expect_status 1 "$generate" </dev/null >/dev/full || status=$?
grep -q 'No space left' "$T/stderr" || fail "not said: $(cat "$T/stderr")"

if command -v strace >/dev/null && [ -z "${SLUICE_SANITIZER:-}" ]; then
    strace -f -o "$T/trace" -e trace=write,vmsplice,splice,sendfile "$generate" | head -c 10000000 >"$T/out"
    grep -q '^[0-9 ]*vmsplice(' "$T/trace" || fail "no vmsplice"
    ! grep -q '^[0-9 ]*write(1' "$T/trace" || fail "it writes"
fi
