#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Loans under a seccomp filter that forbids what they would like to use: the bytes are the same, by
# the ways that are left.
. "${SOURCE_ROOT:?}/tests/lib.sh"

generate=$BUILD_ROOT/examples/example-generate
"$generate" 'some line' | head -c 20000000 | sha256sum >"$T/wanted"

for missing in vmsplice vmsplice=EPERM vmsplice=EINVAL vmsplice,memfd_create \
    vmsplice,splice=EACCES vmsplice,memfd_create=EMFILE madvise; do
    without_calls "$missing" "$generate" 'some line' | head -c 20000000 | sha256sum >"$T/got"
    expect_same "$T/wanted" "$T/got"
done

# The library's own test of zero-copy sends, without io_uring: it goes on by the others.
if [ -x "$BUILD_ROOT/tests/unit-loan" ] && [ -z "${SLUICE_SANITIZER:-}" ]; then
    for missing in io_uring_setup=EPERM io_uring_setup=EMFILE,mlockall; do
        without_calls "$missing" "$BUILD_ROOT/tests/unit-loan" >"$T/log" 2>&1 || {
            cat "$T/log"
            fail "without $missing"
        }
    done
fi
