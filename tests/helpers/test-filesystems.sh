# SPDX-License-Identifier: MIT
# On the machines that count, every file system is there, is what it says, and is anybody's.
. "${SOURCE_ROOT:?}/tests/lib.sh"

# name and the type that the kernel gives it
table=(
    "ext4        ext2/ext3"
    "xfs         xfs"
    "btrfs       btrfs"
    "tmpfs       tmpfs"
    "fuse        fuseblk"
    "fuse-direct fuseblk"
    "small       ext2/ext3"
)
random_file 1000001 "$T/in"
for row in "${table[@]}"; do
    read -r name type <<<"$row"
    need_fs "$name"
    found=$(stat -f -c %T "$DIR")
    [ "$found" = "$type" ] || fail "$name is $found"
    cp "$T/in" "$DIR/file"
    expect_same "$T/in" "$DIR/file"
    [ "$(stat -c %U "$DIR/file")" = "$(id -un)" ] || fail "$name: not the file of who made it"
    mv "$DIR/file" "$DIR/moved"
    truncate -s 5 "$DIR/moved"
    expect_size 5 "$DIR/moved"
    expect_only "$DIR" moved
done
expect_status 1 dd if=/dev/zero of="$DIR/full" bs=1M count=20
expect_match "No space left on device" "$T/stderr"

# Page cached or not shows in what mmap is allowed.
need_fs fuse-direct
cp "$T/in" "$DIR/file"
need_command /usr/bin/python3
shared='import mmap, sys
with open(sys.argv[1], "r+b") as file:
    mmap.mmap(file.fileno(), 4096, mmap.MAP_SHARED)'
expect_status 1 /usr/bin/python3 -c "$shared" "$DIR/file"
expect_match "No such device" "$T/stderr"
need_fs fuse
cp "$T/in" "$DIR/file"
expect_status 0 /usr/bin/python3 -c "$shared" "$DIR/file"
