#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What runs out: descriptors, the pipe budget of the user, connections that may be accepted. It slows
# down, says so, spins on nothing and loses nothing. And a SYN that nobody answers.
# serial: nobody's pipes are used up for a while
. "${SOURCE_ROOT:?}/tests/lib.sh"
. "${SOURCE_ROOT:?}/tests/helpers/relay.sh"
count=120
[ -z "${SLUICE_SANITIZER:-}" ] || count=40

# ---- descriptors: more clients than there are descriptors for ----
start_peers 0 limit=100 count="$count" at_once=100 seed=11 resets=0
RELAY_AS=(prlimit --nofile=64:64 --)
start_relay :0 "$TARGET"
talk
stop_relay
RELAY_AS=(env)
# Other users of the table leave none for it: accept neither spins nor dies.
need_command prlimit
start_peers 0 limit=100 count=40 at_once=10 seed=12 resets=0
start_relay :0 "$TARGET"
held=$(find "/proc/$RELAY/fd" -mindepth 1 | wc -l)
prlimit --pid "$RELAY" --nofile="$held:$(ulimit -Hn)"
echo "${ADDRESS##*:}" >&"$PEERS_IN"
wait_until 10 grep -q 'cannot accept' "$T/relay.log" || fail "nothing is said of accept's failure"
before=$(cpu_time "$RELAY")
sleep 1
used=$(($(cpu_time "$RELAY") - before))
[ "$used" -le 200 ] || fail "it spins: $used ms of CPU time in a second"
[ "$(grep -c 'cannot accept' "$T/relay.log")" -le 3 ] || fail "the log is flooded"
prlimit --pid "$RELAY" --nofile="$(ulimit -Hn):$(ulimit -Hn)"
await_peers
stop_relay

# ---- the pipe budget of a user, nearly spent by somebody else ----
if [ "$(id -u)" -eq 0 ] || [ "$(id -un)" = nobody ]; then
    cat >"$T/hog.py" <<'PY'
import fcntl, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
pipes = []
while True:
    ends = os.pipe()
    pipes.append(ends)
    if fcntl.fcntl(ends[0], 1032) < 65536 or len(pipes) > 3000:
        break
print("spent", len(pipes), flush=True)
sys.stdin.read()
PY
    chmod 755 "$T"
    mkfifo "$T/hog.in"
    as_nobody /usr/bin/python3 "$T/hog.py" <"$T/hog.in" >"$T/hog.out" &
    exec {HOG}>"$T/hog.in"
    wait_until 20 grep -q '^spent' "$T/hog.out" || fail "the budget was not spent"
    start_peers 0 limit=100 count="$count" at_once=40 seed=13 resets=0 bulk=60 slow=30
    if [ "$(id -u)" -eq 0 ]; then
        RELAY_AS=(setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --)
    fi
    start_relay :0 "$TARGET"
    RELAY_AS=(env)
    talk
    relay_status >"$T/status"
    expect_match ' [1-9][0-9]* small' "$T/status"
    stop_relay
    exec {HOG}>&-
fi

# ---- a SYN into a black hole ----
if [ "$(id -u)" -eq 0 ]; then
    cat >"$T/hole.sh" <<'SH'
ip link set lo up
ip link add hole type dummy && ip address add 198.51.100.1/24 dev hole && ip link set hole up
"$SLUICE" relay --connect-timeout 0.5 127.0.0.1:7000 198.51.100.9:80 2>"$T/hole.log" &
for ((i = 0; i < 250; i++)); do
    ! grep -q listening "$T/hole.log" || break
    sleep 0.02
done
begun=$(date +%s%N)
timeout 20 socat -u TCP:127.0.0.1:7000 OPEN:"$T/hole.got",creat </dev/null
echo $((($(date +%s%N) - begun) / 1000000)) >"$T/hole.took"
kill -TERM %1
wait %1
SH
    export T
    if unshare -n true 2>/dev/null && unshare -n ip link add hole type dummy 2>/dev/null; then
        unshare -n bash "$T/hole.sh" || fail "the black hole: $(cat "$T/hole.log")"
        expect_match 'cannot connect.*ETIMEDOUT' "$T/hole.log"
        [ "$(cat "$T/hole.took")" -ge 400 ] || fail "it gave up too early"
        [ "$(cat "$T/hole.took")" -le 8000 ] || fail "it took $(cat "$T/hole.took") ms"
        expect_size 0 "$T/hole.got"
    fi
fi
