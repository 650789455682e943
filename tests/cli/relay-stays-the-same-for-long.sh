#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Connections churn at full rate, of every kind, for a while: the relay's memory and descriptors stay
# what they were. Ten minutes by `make soak` (SOAK seconds), some seconds here.
# timeout: 900
. "${SOURCE_ROOT:?}/tests/lib.sh"
. "${SOURCE_ROOT:?}/tests/helpers/relay.sh"
seconds=${SOAK:-8}
count=1500
[ -z "${SLUICE_SANITIZER:-}" ] || count=150

# At rest: within two seconds it gives back what so many connections needed.
memory() {
    sleep 3
    anonymous
}
descriptors() { find "/proc/$RELAY/fd" -mindepth 1 | wc -l; }

rm -f "$T/target"
start_relay -q -t 2 :0 "unix:$T/target"
relay_address=$ADDRESS
until=$(($(date +%s) + seconds))
rounds=0
while [ "$(date +%s)" -lt "$until" ] || [ "$rounds" -lt 4 ]; do
    rm -f "$T/target"
    start_peers "$T/target" limit=120 count="$count" at_once=100 seed="$((100 + rounds))" \
        bulk=2 slow=2 pauses=2 resets=40
    ADDRESS=$relay_address
    talk
    rounds=$((rounds + 1))
    none() { relay_status | grep -q '^sluice: 0 connections now'; }
    wait_until 10 none || fail "connections are left: $(relay_status)"
    if [ "$rounds" = 2 ]; then
        warm_memory=$(memory) warm_descriptors=$(descriptors)
    fi
done
memory=$(memory) descriptors=$(descriptors)
echo "$rounds rounds of $count connections; memory $warm_memory -> $memory KiB," \
    "descriptors $warm_descriptors -> $descriptors"
[ -n "${SLUICE_SANITIZER:-}" ] || [ "$memory" -le $((warm_memory + 1024)) ] ||
    fail "memory grows: $warm_memory -> $memory KiB"
# Pipes and what comes with them are kept for the next; no more than a bounded number.
[ "$descriptors" -le $((warm_descriptors + 80)) ] || fail "descriptors grow"
stop_relay
