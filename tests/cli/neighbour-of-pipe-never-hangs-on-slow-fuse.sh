#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file system whose reads take long: a process that shares the user's pipe can do all it wants
# while the command waits for such a read.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

commands=()
for number in 0 1; do
    options=(delay_ms=3000 delay_ms=3000,direct_io)
    fuse_mount "${options[number]}"
    head -c 4096 /dev/zero >"$BEHIND/slow"
    mkfifo "$T/pipe.$number"
    exec {pipe[number]}<>"$T/pipe.$number"
    background "$SLUICE" copy "$MOUNT/slow" - >&"${pipe[number]}"
    commands[number]=$PID
done
sleep 0.5

neighbours=()
for number in 0 1; do
    "$PYTHON" "$SOURCE_ROOT/tests/helpers/neighbour.py" "${pipe[number]}" reader \
        >"$T/said.$number" &
    neighbours[number]=$!
done
for number in 0 1; do
    wait_until 2 grep -q '^exit$' "$T/said.$number" ||
        fail "${options[number]}: the reader hangs: $(cat "$T/said.$number")"
    wait_until 1 ended "${neighbours[number]}" || fail "${options[number]}: it cannot exit"
    ! ended "${commands[number]}" || fail "${options[number]}: the command did not wait"
done
for number in 0 1; do
    expect_exit 0 "${commands[number]}" 30
done
