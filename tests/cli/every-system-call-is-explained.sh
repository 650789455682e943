#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A copy from a file to TCP makes no system call that docs/strace.md does not name, and few of them.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_command strace
skip_under_sanitizer "a sanitizer makes calls of its own"

truncate -s 1G "$T/data"
"$SLUICE" copy tcp-listen:0 null: 2>"$T/listen" &
address=$(wait_for_listen "$T/listen")
strace -o "$T/trace" "$SLUICE" copy "$T/data" "tcp:$address"

sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' "$T/trace" | sort | uniq -c >"$T/calls"
while read -r _ call; do
    grep -q "\`$call\`" "$SOURCE_ROOT/docs/strace.md" || fail "docs/strace.md does not name '$call'"
done <"$T/calls"

moves=$(sed -n 's/^splice(.*= \([0-9]*\)$/\1/p' "$T/trace")
calls=$(wc -l <<<"$moves")
[ "$calls" -le 2100 ] || fail "$calls splice calls for 1 GiB"
moved=$(awk '{ all += $1 } END { printf "%.0f\n", all }' <<<"$moves")
[ "$moved" -eq $((2 << 30)) ] || fail "splice moved $moved bytes"
