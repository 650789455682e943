#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file system whose reads take long: a process that shares the user's pipe can do all it wants
# while the command waits for such a read.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

for options in delay_ms=4000 delay_ms=4000,direct_io; do
    fuse_mount "$options"
    head -c 4096 /dev/zero >"$BEHIND/slow"
    mkfifo "$T/pipe"
    exec 7<>"$T/pipe"
    background "$SLUICE" copy "$MOUNT/slow" - >&7
    sleep 0.5
    "$PYTHON" "$SOURCE_ROOT/tests/helpers/neighbour.py" 7 reader >"$T/said" &
    wait_until 2 grep -q '^exit$' "$T/said" || fail "$options: the reader hangs: $(cat "$T/said")"
    wait_until 1 ended $! || fail "$options: the reader cannot exit"
    ! ended "$PID" || fail "$options: the command did not wait for the slow read"
    expect_exit 0 "$PID" 30
    exec 7>&-
    rm "$T/pipe"
done
