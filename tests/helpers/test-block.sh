# SPDX-License-Identifier: MIT
# serial: there is one block device
# The block device is anybody's to read and write.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_block

[ -b "$BLOCK" ] || fail "'$BLOCK' is not a block device"
random_file 1M "$T/in"
dd if="$T/in" of="$BLOCK" bs=1M conv=fsync,notrunc 2>/dev/null
dd if="$BLOCK" of="$T/out" bs=1M count=1 2>/dev/null
expect_same "$T/in" "$T/out"
