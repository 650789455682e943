# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What every scenario begins with:
#
#     . "${SOURCE_ROOT:?}/tests/lib.sh"
#
# The runner gives SLUICE (the command), SOURCE_ROOT, BUILD_ROOT, and what tests/with-filesystems
# exports. After this line the shell stops at the first failure and says where; $T is an empty
# directory of the scenario's own, removed at its end; and what was started in the background is
# killed at its end.
#
# A scenario ends with 0 (passed), 77 (skipped, by `skip`), or anything else (failed).
set -Eeuo pipefail
shopt -s inherit_errexit
export LC_ALL=C

: "${SLUICE:?the command to test}" "${SOURCE_ROOT:?}" "${BUILD_ROOT:?}"
HELPERS=$BUILD_ROOT/tests
TEST_NAME=$(basename "$0" .sh)
T=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-test.XXXXXX")
chmod 755 "$T"
REMOVE_AT_END=("$T")
UNMOUNT_AT_END=()
SEED=${SEED:-1}

# ---- the end -------------------------------------------------------------------------------------

at_end() {
    local status=$? pid
    trap - EXIT ERR
    set +e
    for pid in $(jobs -p); do
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    local point
    for point in ${UNMOUNT_AT_END[@]+"${UNMOUNT_AT_END[@]}"}; do
        fusermount3 -u -q "$point" || umount -l "$point"
    done
    rm -rf "${REMOVE_AT_END[@]}"
    exit "$status"
}
trap at_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'echo "FAIL: ${BASH_SOURCE[0]}:$LINENO: $BASH_COMMAND (status $?)" >&2' ERR

fail() {
    trap - ERR
    echo "FAIL: $0:${BASH_LINENO[${#BASH_LINENO[@]} - 2]}: $*" >&2
    exit 1
}

skip() {
    trap - ERR
    echo "SKIP: $*"
    exit 77
}

# Something that the project's machines have: a skip for lack of it counts as a failure there.
#     skip_missing NAME REASON…      NAME: ext4 xfs btrfs tmpfs fuse fuse-direct small block nobody
skip_missing() {
    local name=$1
    shift
    skip "missing $name: $*"
}

need_root() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
}

need_command() {
    command -v "$1" >/dev/null || skip "needs the command '$1'"
}

# For what a sanitizer makes impossible or meaningless (memory and timing limits, say).
skip_under_sanitizer() {
    [ -z "${SLUICE_SANITIZER:-}" ] || skip "under $SLUICE_SANITIZER: $*"
}

# ---- running -------------------------------------------------------------------------------------

# The command, with a limit in time (SLUICE_TIMEOUT seconds) that ends it with 124. A program that
# gets signals is better started by `background`, which puts nothing between.
sluice() {
    timeout --foreground -k 5 "${SLUICE_TIMEOUT:-60}" "$SLUICE" "$@"
}

# Runs a command (or a function) that must end with this status; its standard error is in $T/stderr.
#     expect_status 2 sluice copy --no-such-option
expect_status() {
    local wanted=$1 status=0
    shift
    "$@" 2>"$T/stderr" || status=$?
    [ "$status" = "$wanted" ] || {
        cat "$T/stderr" >&2
        fail "status $status, not $wanted: $*"
    }
}

# Starts a program; its process is $PID. Unlike a plain `&` it can be interrupted (bash has such a
# program ignore SIGINT) and keeps its standard input.
#     background "$SLUICE" copy tcp-listen:127.0.0.1:0 "$T/out" 2>"$T/listener"
background() {
    env --default-signal=INT,QUIT "$@" <&0 &
    # shellcheck disable=SC2034 # for the scenario
    PID=$!
}

# Waits until a background process has ended, and wants this status of it.
#     expect_exit 0 "$PID" [SECONDS]
expect_exit() {
    local wanted=$1 pid=$2 seconds=${3:-60} status=0
    wait_until "$seconds" ended "$pid" || fail "process $pid did not end in $seconds s"
    wait "$pid" || status=$?
    [ "$status" = "$wanted" ] || fail "background process: status $status, not $wanted"
}

# No longer there, or a zombie that waits for us.
ended() {
    local state
    state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) || return 0
    [ "$state" = Z ]
}

# Tries a command every 20 ms until it succeeds; false after so many seconds.
#     wait_until 5 test -e "$T/ready"
wait_until() {
    local seconds=$1 tries
    shift
    for ((tries = seconds * 50; tries > 0; tries--)); do
        if "$@"; then
            return 0
        fi
        sleep 0.02
    done
    return 1
}

# The address in the line "listening on ADDRESS" of a listener's standard error.
#     address=$(wait_for_listen "$T/listener")
wait_for_listen() {
    wait_until 20 grep -q '^.*listening on ' "$1" 2>/dev/null || {
        cat "$1" >&2
        fail "nobody listens"
    }
    sed -n 's/^.*listening on \([^ ]*\).*/\1/p' "$1" | head -n 1
}

port_from_log() {
    local address
    address=$(wait_for_listen "$1")
    echo "${address##*:}"
}

as_nobody() {
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
        return
    fi
    id nobody >/dev/null 2>&1 || skip_missing nobody "no such user"
    setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all -- "$@"
}

# CPU time of a process so far, user and system, in milliseconds.
cpu_time() {
    local fields
    read -ra fields < <(sed 's/.*) //' "/proc/$1/stat")
    echo $(((fields[11] + fields[12]) * 1000 / $(getconf CLK_TCK)))
}

# Runs strace. (The leak check of a sanitizer cannot work under a tracer.)
#     traced -f -e trace=splice -o "$T/trace" "$SLUICE" copy …
traced() {
    need_command strace
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace "$@"
}

# Runs a program with chosen calls failing or copying: see tests/helpers/shim.c. What was called and
# how often a rule applied is in $T/shim.log.
#     with_shim splice=ENOSYS "$SLUICE" copy …
with_shim() {
    local rules=$1
    shift
    rm -f "$T/shim.log"
    env SLUICE_SHIM="$rules" SLUICE_SHIM_LOG="$T/shim.log" LD_PRELOAD="$HELPERS/libshim.so" \
        ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" "$@"
}

# At how many calls the shim's rules for this call applied, in the last run.
shim_applied() {
    awk -v call="$1" '$1 == call { sum += $3 } END { print sum + 0 }' "$T/shim.log"
}

# Runs a program for which these system calls do not exist: see tests/helpers/seccomp-deny.c.
#     without_calls splice,copy_file_range=EPERM "$SLUICE" copy …
without_calls() {
    local calls=$1
    shift
    "$HELPERS/seccomp-deny" "$calls" -- "$@"
}

# ---- files ---------------------------------------------------------------------------------------

# A size with an IEC suffix, in bytes.
bytes() {
    numfmt --from=iec "${1%iB}"
}

# A file of pseudo-random bytes, each time other ones, the same in every run.
#     random_file 5M "$T/in"
random_file() {
    "$HELPERS/noise" "$SEED" "$(bytes "$1")" >"$2"
    SEED=$((SEED + 1))
}

expect_same() {
    cmp -- "$1" "$2" >&2 || fail "'$1' and '$2' differ"
}

expect_size() {
    local size
    size=$(stat -c %s -- "$2")
    [ "$size" = "$1" ] || fail "'$2' has $size bytes, not $1"
}

# A regular expression as of grep -E.
expect_match() {
    grep -Eq -- "$1" "$2" || {
        sed 's/^/    /' "$2" >&2
        fail "nothing in '$2' matches: $1"
    }
}

expect_no_match() {
    ! grep -E -- "$1" "$2" >&2 || fail "'$2' should not match: $1"
}

# Wants these names, and no others, in a directory: nothing half-made was left there.
#     expect_only "$T/dir" out
expect_only() {
    local directory=$1 found wanted
    shift
    found=$(ls -A -- "$directory")
    wanted=$(printf '%s\n' "$@" | sort)
    [ "$(sort <<<"$found")" = "$wanted" ] || fail "'$directory' has: ${found//$'\n'/ }; wanted: $*"
}

# ---- file systems --------------------------------------------------------------------------------

# An empty directory of the scenario's own on this file system, in $DIR.
#     need_fs xfs; random_file 1M "$DIR/in"
need_fs() {
    local name=$1 entry
    DIR=
    case $name in
    small) DIR=${SLUICE_SMALLFS:-} ;;
    *)
        for entry in ${SLUICE_FS:-}; do
            [ "${entry%%:*}" != "$name" ] || DIR=${entry#*:}
        done
        ;;
    esac
    [ -n "$DIR" ] || skip_missing "$name" "not set up here"
    DIR=$(mktemp -d "$DIR/$TEST_NAME.XXXXXX")
    REMOVE_AT_END+=("$DIR")
}

# The block device of tests/with-filesystems, in $BLOCK. There is one, so the scenario is "serial:".
need_block() {
    BLOCK=${SLUICE_BLOCK:-}
    [ -n "$BLOCK" ] || skip_missing block "not set up here"
}

# Makes a directory on each file system that is there, and lists them in FS_DIRS as NAME:DIRECTORY;
# without any, the one that $T is on.
#     fs_dirs; for fs in "${FS_DIRS[@]}"; do name=${fs%%:*} dir=${fs#*:} …
fs_dirs() {
    local entry
    FS_DIRS=()
    for entry in ${SLUICE_FS:-}; do
        need_fs "${entry%%:*}"
        FS_DIRS+=("${entry%%:*}:$DIR")
    done
    [ ${#FS_DIRS[@]} -gt 0 ] || FS_DIRS=("here:$T")
}

# Mounts the FUSE file system of the tests with options of its own (see tests/helpers/fusefs.c) and
# sets MOUNT, where its files are, and BEHIND, where they are without it.
#     fuse_mount delay_ms=500,direct_io
fuse_mount() {
    [ -x "$HELPERS/fusefs" ] || skip_missing fuse "the helper was not built"
    if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
        skip_missing fuse "may not open /dev/fuse"
    fi
    MOUNT=$(mktemp -d "$T/fuse.XXXXXX")
    BEHIND=$(mktemp -d "$T/behind.XXXXXX")
    background "$HELPERS/fusefs" -f -o "$1" "$BEHIND" "$MOUNT" 2>"$T/fusefs" </dev/null
    wait_until 10 mountpoint -q "$MOUNT" || {
        cat "$T/fusefs" >&2
        fail "cannot mount the FUSE file system"
    }
    UNMOUNT_AT_END+=("$MOUNT")
}
