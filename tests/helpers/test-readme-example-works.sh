#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The README's C example compiles without a warning against the library that was built, and copies.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_command cc

sed -n '/^```c$/,/^```$/p' "$SOURCE_ROOT/README.md" | sed '1d;$d' >"$T/copy.c"
[ -s "$T/copy.c" ] || fail "README.md has no C example"
cat >>"$T/copy.c" <<'C'

int main(void)
{
    return copy_all(0, 1) < 0;
}
C
cc -std=c17 -Wall -Wextra -Wno-missing-prototypes -Werror -I "$SOURCE_ROOT/include" \
    -o "$T/copy" "$T/copy.c" "$BUILD_ROOT/lib/libsluice.so" -Wl,-rpath,"$BUILD_ROOT/lib" \
    ${SLUICE_SANITIZER:+-fsanitize=address,undefined}
random_file 300000 "$T/in"
"$T/copy" <"$T/in" >"$T/out"
expect_same "$T/in" "$T/out"
