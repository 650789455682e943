# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For scenarios of `sluice relay`: both ends of it are tests/helpers/relay-peers.c, which knows what
# is to arrive.

# Starts the peers, whose targets listen at $1 (a path, or 0: any port), with settings NAME=NUMBER…:
# sets PEERS, TARGET, and PEERS_IN, a descriptor to tell them things.
start_peers() {
    rm -f "$T/peers.in" "$T/peers.out" # not to read what others said
    mkfifo "$T/peers.in"
    "$HELPERS/relay-peers" "$@" <"$T/peers.in" >"$T/peers.out" 2>"$T/peers.err" &
    PEERS=$!
    exec {PEERS_IN}>"$T/peers.in"
    wait_until 10 grep -qs '^target ' "$T/peers.out" || fail "no peers: $(cat "$T/peers.err")"
    TARGET=$(sed -n 's/^target //p' "$T/peers.out")
    case $TARGET in
    /*) TARGET=unix:$TARGET ;;
    *) TARGET=127.0.0.1:$TARGET ;;
    esac
}

# Starts the relay; sets RELAY, its process, and ADDRESS. Its log is $T/relay.log.
start_relay() {
    : >"$T/relay.log"
    "${RELAY_AS[@]}" "$SLUICE" relay "$@" 2>"$T/relay.log" </dev/null &
    RELAY=$!
    ADDRESS=$(wait_for_listen "$T/relay.log")
}
RELAY_AS=(env)

# Lets the peers talk through the relay, and waits for their verdict.
talk() {
    local where=${ADDRESS#unix:}
    echo "${where#*:}" >&"$PEERS_IN"
    await_peers
}

await_peers() {
    local status=0
    wait "$PEERS" || status=$?
    exec {PEERS_IN}>&-
    [ "$status" = 0 ] || {
        head -n 20 "$T/peers.err" >&2
        tail -n 20 "$T/relay.log" >&2
        fail "the peers are not content"
    }
}

# Ends the relay in good order.
stop_relay() {
    kill -TERM "$RELAY"
    expect_exit 0 "$RELAY" 30
}

# The relay's own memory, KiB.
anonymous() { awk '/^RssAnon/ { print $2 }' "/proc/$RELAY/status"; }

# The numbers of the status line that SIGUSR1 prints.
relay_status() {
    local before
    before=$(grep -c 'connections now' "$T/relay.log" || true)
    kill -USR1 "$RELAY"
    more_status() { [ "$(grep -c 'connections now' "$T/relay.log")" -gt "$before" ]; }
    wait_until 10 more_status || fail "no status"
    grep 'connections now' "$T/relay.log" | tail -n 1
}
