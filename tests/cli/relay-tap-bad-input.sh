#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Words of --tap that are wrong, and places where nothing can be written: refused at the start, with the word and
# the reason, and nothing is made.
. "${SOURCE_ROOT:?}/tests/lib.sh"

#     refused STATUS PATTERN TAP [OPTIONS…]
refused() {
    local status=$1 pattern=$2 tap=$3
    shift 3
    expect_status "$status" sluice relay --tap "$tap" "$@" :0 :1
    expect_match "^sluice: .*$pattern" "$T/stderr"
    ! grep -q '^listening' "$T/stderr" || fail "it says that it listens, and then that it cannot: $(cat "$T/stderr")"
}
cd "$T"

refused 2 "--tap=: " ''
refused 2 '--tap=a%x: after a % stands n, c, t, d, T or %' a%x
refused 2 '--tap=a%: after a %' a%
refused 2 '--tap=unix:/x/%q: after a %' unix:/x/%q
refused 2 'from=client, from=target or from=both is wanted' 'a,from=me'
refused 2 'wait, drop, detach or spill=' 'a,slow=never'
refused 2 'a size is wanted' 'a,lag=x'
refused 2 '0 is too little' 'a,lag=0'
refused 2 'a number of pipes from 1' 'a,lag-pipes=0'
refused 2 'PATH, file:NAME, tcp:HOST:PORT, unix:PATH, fd:N or null: is wanted' tcp-listen:9
refused 2 'is wanted' unix-listen:/x
refused 2 'is wanted' zero:
refused 2 'it is only a kind' tcp:
refused 2 'HOST:PORT is wanted' tcp:host
refused 2 'it has no such option' tcp:127.0.0.1:9,connect-timeout=3
refused 2 'a descriptor is a number' fd:x
refused 2 'at most 107 bytes' "unix:/$(printf 'x%.0s' {1..120})"

refused 1 'descriptor 9: Bad file descriptor' fd:9
refused 1 'descriptor 8: it is neither a pipe nor a file' fd:8 8</dev/null
: >"$T/file"
refused 1 'descriptor 8: it is not open for writing' fd:8 8<"$T/file"
refused 1 'no.such.host.invalid' tcp:no.such.host.invalid:9
refused 1 "--tap=tcp:127.0.0.1:nosuchport: no service has that name: a port is a number, or a name of /etc/services" \
    tcp:127.0.0.1:nosuchport
refused 1 "cannot tap into '/nowhere/%n': /nowhere/: No such file or directory" /nowhere/%n
refused 1 "cannot tap into '/nowhere/%n': /nowhere/: No such file or directory" /nowhere/%n --metrics=:0
refused 1 "cannot tap into 'no/%n': no/: No such file or directory" no/%n
refused 1 "cannot tap into 'file/%n': file/: Not a directory" file/%n
refused 1 "cannot tap into '$T': $T: Is a directory" "$T"
refused 1 "cannot tap into 'x,slow=spill=no': no: No such file" x,slow=spill=no
refused 1 "cannot tap into 'x,slow=spill=file': file: Not a directory" x,slow=spill=file
refused 1 "cannot tap into 'x,slow=spill=/proc': /proc: " x,slow=spill=/proc
mkdir "$T/closed"
chmod 555 "$T/closed"
if [ "$(id -u)" -eq 0 ]; then
    chmod 755 "$T"
    refused 1 "cannot tap into '$T/closed/%n': $T/closed/: Permission denied" "$T/closed/%n" --user=nobody
else
    refused 1 "cannot tap into 'closed/%n': closed/: Permission denied" closed/%n
fi
rm "$T/stderr"
expect_only "$T" file closed
[ -z "$(ls -A "$T/closed")" ] || fail "something was made"
