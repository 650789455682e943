# SPDX-License-Identifier: MIT
# The FUSE file system keeps what is written to it, is slow when told to be, and fails at the byte
# it was told, with and without the page cache.
. "${SOURCE_ROOT:?}/tests/lib.sh"

random_file 1M "$T/in"
fuse_mount delay_ms=300
cp "$T/in" "$MOUNT/file"
expect_same "$T/in" "$BEHIND/file"
begin=$(date +%s%N)
expect_same "$T/in" "$MOUNT/file"
[ $(($(date +%s%N) - begin)) -ge 300000000 ] || fail "reading was not slow"

fuse_mount fail_read_at=100000
cp "$T/in" "$BEHIND/file"
expect_status 0 dd if="$MOUNT/file" of="$T/out" bs=98304 count=1
expect_status 1 dd if="$MOUNT/file" of="$T/out" bs=4096 skip=24 count=1
expect_match "Input/output error" "$T/stderr"

fuse_mount fail_read_at=100000,direct_io
cp "$T/in" "$BEHIND/file"
expect_status 1 dd if="$MOUNT/file" of="$T/out" bs=65536
expect_size 100000 "$T/out"
cmp -n 100000 "$T/in" "$T/out" || fail "the bytes before the fault are not right"

fuse_mount fail_write_at=100000,fail_with=28,direct_io
expect_status 1 dd if="$T/in" of="$MOUNT/file" bs=4096
expect_match "No space left" "$T/stderr"
expect_size 98304 "$BEHIND/file"

fuse_mount fail_fsync=1
expect_status 1 dd if="$T/in" of="$MOUNT/file" bs=4096 conv=fsync
expect_match "Input/output error" "$T/stderr"
