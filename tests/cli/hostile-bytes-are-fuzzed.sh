#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What parses bytes of strangers is given bytes that libFuzzer makes up, under ASan and UBSan: each
# tests/fuzz/fuzz_NAME.c, with the files it says it links, from the corpus of that name. Some thousand inputs
# here; for two minutes each with TEST_ALL=1.
#
# timeout: 400
. "${SOURCE_ROOT:?}/tests/lib.sh"

need_command clang
[ -z "${SLUICE_SANITIZER:-}" ] || skip "it brings its sanitizers along"
cd "$SOURCE_ROOT"

seconds=40 runs=20000
[ -z "${TEST_ALL:-}" ] || seconds=120 runs=-1

fuzz() {
    local name=$1 sources
    sources=$(sed -n 's,^/\* links: \(.*\) \*/,\1,p' "tests/fuzz/fuzz_$name.c")
    [ -n "$sources" ] || fail "tests/fuzz/fuzz_$name.c does not say what it links"
    # shellcheck disable=SC2086 # words on purpose
    clang -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=all -I. -Iinclude "tests/fuzz/fuzz_$name.c" $sources -o "$T/$name"
    mkdir "$T/corpus-$name"
    (cd "$T" && "./$name" -seed="$SEED" -runs="$runs" -max_total_time="$seconds" -max_len=700 \
        -print_final_stats=1 "$T/corpus-$name" "$SOURCE_ROOT/tests/fuzz/corpus/$name") \
        >"$T/log" 2>&1 || {
        cat "$T/log" >&2
        fail "$name: see above"
    }
    # It did run, and found ways that the corpus does not have.
    sed -n 's/^stat::number_of_executed_units: *\(.*\)/\1/p' "$T/log" >"$T/units"
    [ "$(cat "$T/units")" -ge 2000 ] || fail "$name: only $(cat "$T/units") inputs in $seconds s"
    [ -n "$(ls -A "$T/corpus-$name")" ] || fail "$name: nothing new was found: is it instrumented?"
    echo "$name: $(cat "$T/units") inputs"
}

for path in tests/fuzz/fuzz_*.c; do
    name=${path##*/fuzz_}
    fuzz "${name%.c}"
done
