#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Ten thousand connections at once, each of which has exchanged a message and is idle: none holds a
# pipe, each takes at most 1 KiB of the relay's memory, and all together no CPU time.
# serial: it takes the machine's descriptors and ports
# timeout: 200
. "${SOURCE_ROOT:?}/tests/lib.sh"
. "${SOURCE_ROOT:?}/tests/helpers/relay.sh"
skip_under_sanitizer "its memory is not the program's"

# A connection has two descriptors in the relay, and its ends two in the peers. Where the limit may not
# be raised so far, two relays share them.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
limit=$(ulimit -n)
relays=1
[ "$limit" -ge 23000 ] || relays=2
count=$((10000 / relays))
[ $((limit - 1200)) -ge $((2 * count)) ] || skip "descriptors: $limit are too few"

says_held() { grep -q '^held' "$1"; }

declare -a relay peers in before
for ((i = 0; i < relays; i++)); do
    start_peers 0 count="$count" at_once="$count" hold=1 limit=150
    start_relay -q :0 "$TARGET"
    relay[i]=$RELAY peers[i]=$PEERS in[i]=$PEERS_IN
    before[i]=$(anonymous)
    mv "$T/peers.out" "$T/peers.out.$i"
    echo "${ADDRESS##*:}" >&"$PEERS_IN"
done
for ((i = 0; i < relays; i++)); do
    wait_until 100 says_held "$T/peers.out.$i" || fail "not all were held: $(cat "$T/peers.err")"
done
for ((i = 0; i < relays; i++)); do
    RELAY=${relay[i]}
    grown=$(($(anonymous) - ${before[i]}))
    echo "$count connections: $grown KiB, $((grown * 1024 / count)) bytes each"
    [ "$grown" -le "$count" ] || fail "more than 1 KiB a connection"
    descriptors=$(find "/proc/$RELAY/fd" -mindepth 1 | wc -l)
    [ "$descriptors" -ge $((2 * count)) ] || fail "only $descriptors descriptors"
    [ "$descriptors" -le $((2 * count + 60)) ] || fail "$descriptors descriptors: idle ones hold some"
done
first=$(cpu_time "${relay[0]}")
sleep 2
[ $(($(cpu_time "${relay[0]}") - first)) -le 20 ] || fail "idle connections cost CPU time"
for ((i = 0; i < relays; i++)); do
    PEERS=${peers[i]} PEERS_IN=${in[i]} RELAY=${relay[i]}
    echo >&"$PEERS_IN"
    await_peers
    few() { [ "$(find "/proc/$RELAY/fd" -mindepth 1 | wc -l)" -le 60 ]; }
    wait_until 20 few || fail "descriptors are left"
    stop_relay
done
