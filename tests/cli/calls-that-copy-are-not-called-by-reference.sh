#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Calls that fail in the middle, fall short, or silently copy: the bytes are right whatever they do,
# and the ledger tells what happened rather than what was planned.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

random_file 1M "$T/in"

# What the ledger says, as a Python expression of `l`.
ledger() {
    "$PYTHON" -c 'import json, sys; l = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' \
        "$T/ledger" "$1"
}

# Short counts from every call.
for short in 1000 4096 65535; do
    rules=splice=short=$short,sendfile=short=$short,copy_file_range=short=$short
    rules+=,read=short=$short,write=short=$short,send=short=$short,recv=short=$short
    for method in auto copy-range sendfile splice mmap-write read-write; do
        with_shim "$rules" "$SLUICE" copy "--method=$method" "$T/in" "$T/out" ||
            fail "--method=$method with short calls of $short bytes"
        expect_same "$T/in" "$T/out"
        rm "$T/out"
    done
    with_shim "$rules" "$SLUICE" copy - "$T/out" < <(cat "$T/in")
    expect_same "$T/in" "$T/out"
    with_shim "$rules" "$SLUICE" copy "$T/in" - | cmp - "$T/in" || fail "file -> pipe, short calls"
done

# A call that is refused from some point on.
for rule in splice=ENOSYS@3+ splice=EINVAL@2+ splice=EINVAL; do
    cat <"$T/in" | with_shim "$rule" "$SLUICE" copy --json --chunk=64K - "$T/out" >"$T/ledger"
    [ "$(shim_applied splice)" -gt 0 ] || continue
    expect_same "$T/in" "$T/out"
    error=${rule#splice=}
    [ "$(ledger 'l["fallbacks"][0]["error"]')" = "${error%@*}" ] || fail "$rule: $(cat "$T/ledger")"
    [ "$(ledger 'l["fallbacks"][0]["call"]')" = splice ] || fail "$rule: $(cat "$T/ledger")"
    [ "$(ledger 'l["method"]')" != splice ] || fail "$rule: $(cat "$T/ledger")"
done
[ "$(shim_applied splice)" -gt 0 ] || fail "splice is never used from a pipe to a file"

# A splice that copies behind our back: the thread's own I/O accounting gives it away, and the
# ledger says so. (The kernel accounts sendfile and copy_file_range as it does read and write.)
classes() {
    ledger '" ".join(sorted({x["class"] for x in l["legs"]}))'
}
for sink in "$T/out" -; do
    with_shim splice=copy "$SLUICE" copy --json --method=splice "$T/in" "$sink" 2>"$T/err" |
        cat >"$T/said"
    [ "$(shim_applied splice)" -gt 0 ] || fail "splice was never called"
    if [ "$sink" = - ]; then
        expect_same "$T/in" "$T/said"
        cp "$T/err" "$T/ledger"
    else
        expect_same "$T/in" "$T/out"
        cp "$T/said" "$T/ledger"
    fi
    [ "$(classes)" = user-copy ] ||
        fail "splice copied through memory, and the ledger says: $(cat "$T/ledger")"
done
sluice copy --json --method=splice "$T/in" "$T/out" >"$T/ledger"
[ "$(classes)" = "kernel-copy reference" ] ||
    fail "splice did not copy through memory, but the ledger says: $(cat "$T/ledger")"
