#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Bad input to `sluice relay`: each a clear error, the documented status, and nothing left behind.
. "${SOURCE_ROOT:?}/tests/lib.sh"
. "${SOURCE_ROOT:?}/tests/helpers/relay.sh"

#     refused STATUS PATTERN ARGUMENTS…
refused() {
    local status=$1 pattern=$2
    shift 2
    expect_status "$status" sluice relay "$@"
    expect_match "$pattern" "$T/stderr"
    ! grep -q '^listening' "$T/stderr" || fail "it says that it listens, and then that it cannot: $(cat "$T/stderr")"
}

# ---- words ----
refused 2 'a LISTEN and a TARGET are wanted'
refused 2 'a TARGET is wanted' :0
refused 2 "unknown option '--treads'; did you mean '--threads'" --treads 2 :0 :1
refused 2 '--threads=0: a number above 0' --threads 0 :0 :1
refused 2 '--threads=9999: it is too large' --threads 9999 :0 :1
refused 2 '--rate=x: a size is wanted' --rate x :0 :1
refused 2 '--balance=any: round-robin or least' --balance any :0 :1
refused 2 "'80': an address is HOST:PORT" 80 :1
refused 2 "'::1:80': an IPv6 address stands in brackets" ::1:80 :1
refused 2 "':65536': a port is a number from 0" :65536 :1
refused 2 "target ':0': a port is a number from 1" :0 :0
refused 2 "target ':x/y': a port is a number or" :0 :x/y
refused 2 "target 'unix:': a path follows" :0 unix:
refused 2 "'fd:x': a descriptor is a number" fd:x :1
refused 2 "target 'no.such.host.invalid:80': " :0 no.such.host.invalid:80
no_service='no service has that name: a port is a number, or a name of /etc/services'
refused 2 "target 'tcp:127.0.0.1:nosuchport': $no_service" :0 tcp:127.0.0.1:nosuchport
refused 2 "target 'localhost:nosuchport': $no_service" :0 localhost:nosuchport
refused 1 "cannot look up ':nosuchport': $no_service" :nosuchport :1
refused 2 "--metrics=:nosuchport: $no_service" --metrics :nosuchport :0 :1
SLUICE_TIMEOUT=10
long=$T/$(printf 'x%.0s' {1..120})
refused 2 'at most 107 bytes' "unix:$long" :1
refused 2 'at most 107 bytes' :0 "unix:$long"
refused 2 "cannot read '$T/none': No such file" --targets "$T/none" :0
printf '# nothing\n\n' >"$T/empty"
refused 2 "'$T/empty' has no target" --targets "$T/empty" :0

# ---- places that are taken or forbidden ----
start_relay -q :0 :1
refused 1 "cannot listen on '$ADDRESS': Address already in use" "$ADDRESS" :1
refused 1 "cannot listen on '$ADDRESS' .--metrics.: Address already in use" --metrics "$ADDRESS" :0 :1
stop_relay
: >"$T/file"
refused 1 'Address already in use .the path exists' "unix:$T/file" :1
[ -e "$T/file" ] || fail "what was there is gone"
refused 1 'No such file or directory' "unix:$T/no/where" :1
low=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)
if [ "$low" -gt 80 ]; then
    as_nobody "$SLUICE" relay :80 :1 2>"$T/stderr" && fail "nobody listens on port 80"
    expect_match "cannot listen on ':80': Permission denied .*CAP_NET_BIND_SERVICE" "$T/stderr"
fi

# ---- descriptors that were passed ----
refused 1 "descriptor 9: Bad file descriptor" fd:9 :1
refused 1 "descriptor 8: it is not a socket" fd:8 :1 8</dev/null
refused 1 'LISTEN_PID and LISTEN_FDS are not set' listen-fds :1
LISTEN_PID=1 LISTEN_FDS=1 refused 1 'LISTEN_PID is of another process' listen-fds :1
python3 - "$SLUICE" <<'PY' 2>"$T/stderr"
import os, socket, subprocess, sys
def refused(fds, word, **more):
    return subprocess.run([sys.argv[1], "relay", word, ":1"], pass_fds=fds, **more)
pair = socket.socketpair()
assert refused([pair[0].fileno()], f"fd:{pair[0].fileno()}").returncode == 1
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
assert refused([datagram.fileno()], f"fd:{datagram.fileno()}").returncode == 1
PY
expect_match 'it is a socket that does not listen' "$T/stderr"
expect_match 'it is not a stream socket' "$T/stderr"
