# SPDX-License-Identifier: MIT
# The stream can be made and checked from anywhere, and no wrong byte passes.
. "${SOURCE_ROOT:?}/tests/lib.sh"

noise=$HELPERS/noise
"$noise" 7 1000003 >"$T/whole"
"$noise" 7 500001 499999 | cmp - <(tail -c +500000 "$T/whole" | head -c 500001) ||
    fail "a part differs from the whole"
"$noise" 8 1000003 | cmp -s - "$T/whole" && fail "two seeds give one stream"
"$noise" --check 7 1000003 <"$T/whole"
"$noise" --check 7 900000 100003 < <(tail -c +100004 "$T/whole")

expect_status 1 "$noise" --check 7 1000004 <"$T/whole"
expect_match "ends at byte 1000003" "$T/stderr"
expect_status 1 "$noise" --check 7 1000002 <"$T/whole"
expect_match "goes on after byte 1000002" "$T/stderr"
printf X | dd of="$T/whole" bs=1 seek=777777 conv=notrunc 2>/dev/null
expect_status 1 "$noise" --check 7 1000003 <"$T/whole"
expect_match "byte 777777 is 0x58" "$T/stderr"
