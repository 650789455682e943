# SPDX-License-Identifier: MIT
# The runner believes nobody: a failure, a crash, a hang, a skip without a reason, a skip for what
# is there, a test that was not built and a sanitizer's report all fail the run, and are counted.
. "${SOURCE_ROOT:?}/tests/lib.sh"

# A tree with the real runner and invented tests; the file systems are said to be absent.
tree=$T/tree
mkdir -p "$tree/tests/cli" "$tree/tests/unit" "$tree/tests/fault" "$tree/tools" \
    "$tree/build/cli" "$tree/build/tests"
cp "$SOURCE_ROOT/tests/run" "$SOURCE_ROOT/tests/run-one" "$SOURCE_ROOT/tests/lib.sh" "$tree/tests/"
cp "$SOURCE_ROOT/tools/found-by-name" "$tree/tools/"
chmod -R a+rX "$tree"
touch "$tree/build/tests/noise"
ln -s /bin/true "$tree/build/cli/sluice"

scenario() {
    cat >"$tree/tests/cli/$1.sh"
}

# Runs the invented tests in one round; the output is $T/output.
#     run_all STATUS "SUMMARY" [VARIABLE=VALUE…]
run_all() {
    local wanted=$1 summary=$2 status=0
    shift 2
    env -u TEST_ALL -u SLUICE_FS BUILD=build TMPDIR="$T" SLUICE_FS_ABSENT= "$@" \
        "$tree/tests/run" --round plain cli unit fault >"$T/output" 2>&1 || status=$?
    [ "$(tail -n 1 "$T/output")" = "$summary" ] && [ "$status" = "$wanted" ] || {
        cat "$T/output" >&2
        fail "status $status and not $wanted, or the last line is not '$summary'"
    }
}

run_all 1 "0 passed, 1 failed, 0 skipped"
expect_match "no test matched" "$T/output"

scenario passes <<<'. "$SOURCE_ROOT/tests/lib.sh"; sluice'
scenario skips <<<'. "$SOURCE_ROOT/tests/lib.sh"; skip "the moon is not full"'
run_all 0 "1 passed, 0 failed, 1 skipped"
expect_match "plain cli/skips: the moon is not full" "$T/output"

# What a machine has cannot be missing on it; only root's machine has everything.
scenario wants <<<'. "$SOURCE_ROOT/tests/lib.sh"; need_fs xfs'
if [ "$(id -u)" -eq 0 ]; then
    run_all 1 "1 passed, 1 failed, 1 skipped"
    expect_match "should have it: missing xfs" "$T/output"
fi
run_all 0 "1 passed, 0 failed, 3 skipped" SLUICE_FS_ABSENT=xfs:not-in-this-kernel
expect_match "file systems: xfs: not-in-this-kernel" "$T/output"
rm "$tree/tests/cli/wants.sh"

# name and body of a scenario that must fail, and what the output must say
failing=(
    "says-so|fail 'the reason'|the reason"
    "breaks|cat /nonexistent/file|FAIL: .*cat /nonexistent/file"
    "in-a-function|f() { false; true; }; f|FAIL: .*false"
    "in-a-pipe|false \| cat|status 1"
    "dies|kill -SEGV \$\$|status 139"
    "reasonless|exit 77|skipped without a reason"
    "hangs|# timeout: 1\nsleep 100|not done after 1 s"
    "hears-nothing|# timeout: 1\ntrap '' TERM; sleep 100|not done after 1 s"
    "wrong-status|expect_status 3 sh -c 'exit 4'|status 4, not 3"
    "differs|echo a >\$T/a; echo b >\$T/b; expect_same \$T/a \$T/b|differ"
    "no-match|echo a >\$T/a; expect_match b \$T/a|nothing in .* matches: b"
    "left-over|touch \$T/a \$T/b; mkdir \$T/d; touch \$T/d/x; expect_only \$T/d y|has: x; wanted: y"
    "no-listener|wait_until 0 false; false|status 1"
    "reported|r=\${ASAN_OPTIONS##*log_path=}; echo OVERFLOW >\$r.1|OVERFLOW"
)
for row in "${failing[@]}"; do
    IFS='|' read -r name body message <<<"${row//\\|/$'\x01'}"
    printf '. "$SOURCE_ROOT/tests/lib.sh"\n%b\n' "${body//$'\x01'/|}" | scenario "fails-$name"
    run_all 1 "1 passed, 1 failed, 1 skipped"
    expect_match "$message" "$T/output"
    expect_match "^FAIL plain +cli/fails-$name" "$T/output"
    rm "$tree/tests/cli/fails-$name.sh"
done

# A process that was killed while its leaks were looked for is no error, and hides none.
notice='==2==Unable to get registers from thread 1.'
row='r=${ASAN_OPTIONS##*log_path=}; '
scenario killed <<<"${row}echo '$notice' >\$r.1"
run_all 0 "2 passed, 0 failed, 1 skipped"
scenario killed <<<"${row}printf '%s\n' '$notice' OVERFLOW >\$r.1"
run_all 1 "1 passed, 1 failed, 1 skipped"
expect_match OVERFLOW "$T/output"
rm "$tree/tests/cli/killed.sh"

# A C test that is in the tree and not in the build.
touch "$tree/tests/unit/test_unbuilt.c"
run_all 1 "1 passed, 1 failed, 1 skipped"
expect_match "test_unbuilt.c was not built" "$T/output"

# One that skips a case says so and is counted twice: the rest of it passed.
printf '#!/bin/sh\necho "SKIP: no pipes today"\n' >"$tree/build/tests/unit-unbuilt"
chmod +x "$tree/build/tests/unit-unbuilt"
run_all 0 "2 passed, 0 failed, 2 skipped"
expect_match "plain unit/unbuilt: no pipes today" "$T/output"

printf '#!/bin/sh\necho "[  SKIPPED ] a_case"\n' >"$tree/build/tests/unit-unbuilt"
run_all 1 "1 passed, 1 failed, 1 skipped"
expect_match "a case was skipped without a reason" "$T/output"

# Serial tests run with nothing beside them, and what a test leaves running is ended.
rm "$tree/tests/unit/test_unbuilt.c"
for name in a b c; do
    scenario "beside-$name" <<<"echo + >>$T/running; sleep 0.3; echo - >>$T/running"
done
printf '# serial: for this test\necho alone >>%s\nsleep 60 & echo $! >%s\n' "$T/running" "$T/left" |
    scenario aaa-alone
run_all 0 "5 passed, 0 failed, 1 skipped"
[ "$(tail -n 1 "$T/running")" = alone ] || fail "a serial test ran beside others"
expect_match '^\+$' <(sed -n 2p "$T/running")
wait_until 5 ended "$(cat "$T/left")" || fail "a test's process was left running"

# Its files go with it, also where it does not end by itself.
scenario fails-untidily <<<"$(printf '# timeout: 1\nmktemp >%s; sleep 100' "$T/file")"
run_all 1 "5 passed, 1 failed, 1 skipped"
[ -s "$T/file" ] && [ ! -e "$(cat "$T/file")" ] || fail "'$(cat "$T/file")' was left behind"
