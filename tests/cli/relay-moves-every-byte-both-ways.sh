#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Thousands of seeded conversations through a relay: random sizes, pauses, half-closes, resets, early
# exits, segments of one byte, slow readers, bulk. Each side receives what the other sent, byte for
# byte; what was cut off by a reset never looks whole; and nothing is left in the relay.
# timeout: 300
. "${SOURCE_ROOT:?}/tests/lib.sh"
. "${SOURCE_ROOT:?}/tests/helpers/relay.sh"

count=700
[ -z "${SLUICE_SANITIZER:-}" ] || count=150
[ -z "${TEST_ALL:-}" ] || count=10000

#     through LISTEN TARGET OPTIONS… -- SETTINGS…
through() {
    local listen=$1 target=$2 options=()
    shift 2
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    start_peers "$target" limit=200 "$@"
    start_relay -q "${options[@]}" "$listen" "$TARGET"
    talk
    expect_match '^sluice: 0 connections now' <(relay_status)
    expect_match ' 0 bytes parked; pipes 0 used' <(relay_status)
    stop_relay
    rm -f "$T/target"
}

through :0 0 -- count="$count" seed=1
through "unix:$T/relay" "$T/target" -- count="$count" seed=2
through :0 "$T/target" -t 2 -- count="$count" seed=3
through "unix:$T/relay" 0 -t 2 -- count="$count" seed=4
[ ! -e "$T/relay" ] || fail "the UNIX socket was left there"
# More connections than are let in at once, few of them gentle.
through :0 0 --max-connections 20 -- count="$((count / 2))" at_once=100 seed=5 resets=60
# Each direction is tapped, by a file of its own and one for all.
mkdir "$T/taps"
through :0 0 -t 2 --tap "$T/taps/%n-%d" --tap "$T/all" -- count="$((count / 4))" seed=7 slow=20 bulk=15
[ "$(find "$T/taps" -type f | wc -l)" -ge "$((count / 4))" ] || fail "few files were tapped into"
[ "$(cat "$T"/taps/* | wc -c)" = "$(wc -c <"$T/all")" ] || fail "taps that do not agree"
# Mostly bulk, mostly slow.
through :0 0 -- count="$((count / 6))" at_once=32 seed=6 bulk=70 slow=40
