#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every public function has a manual page that agrees with the header; and what would hide that it
# does not, tools/check-man finds.
. "${SOURCE_ROOT:?}/tests/lib.sh"

check() {
    "$SOURCE_ROOT/tools/check-man" "$1"
}

check "$SOURCE_ROOT" || fail "the manual pages and sluice.h disagree"

# Changes one file of a copy, which must then be complained about in these words.
#     complains 'PATTERN' FILE COMMAND…       COMMAND: reads the file, writes what replaces it
complains() {
    local pattern=$1 file=$2
    shift 2
    rm -rf "$T/tree"
    mkdir -p "$T/tree"
    cp -r "$SOURCE_ROOT/man" "$SOURCE_ROOT/include" "$T/tree"
    "$@" <"$SOURCE_ROOT/$file" >"$T/tree/$file"
    ! cmp -s "$SOURCE_ROOT/$file" "$T/tree/$file" || fail "'$*' changed nothing in $file"
    expect_status 1 check "$T/tree"
    grep -q -- "$pattern" "$T/stderr" || {
        cat "$T/stderr" >&2
        fail "'$*' on $file: nothing like '$pattern' was said"
    }
}

page=man/sluice_transfer_row.3.scd
complains 'sluice_new_thing: no page' include/sluice.h \
    sed 's/^#define SLUICE_OPTIONS_INIT.*/&\nSLUICE_PUBLIC int sluice_new_thing(int one);/'
complains 'its prototype is not' include/sluice.h \
    sed 's/sluice_transfer_row(const sluice_transfer \*/sluice_transfer_row(sluice_transfer */'
complains 'struct sluice_row is not' include/sluice.h sed 's/uint64_t eagain;/uint32_t eagain;/'
complains 'struct sluice_leg is not' include/sluice.h sed 's/const char \*path_out;/int path_out;/'
complains 'there is no such public function' include/sluice.h \
    sed 's/\(SLUICE_PUBLIC .*\)sluice_version(void)/\1sluice_release(void)/'
complains "no section 'THREAD SAFETY'" $page sed 's/^# THREAD SAFETY/# THREADS/'
complains 'no line .sluice_transfer_row - ' $page sed 's/^sluice_transfer_row - .*/about rows/'
complains "its first line is not" $page sed '1s/row/rows/'
complains 'names sluice_transfer_rows()' $page \
    sed 's/sluice_transfer_row(tr/sluice_transfer_rows(tr/'
complains 'names sluice_gone()' $page sed 's/^# NOTES/See *sluice_gone*(3).\n\n&/'
complains 'names SLUICE_GONE,' $page sed 's/^# NOTES/*SLUICE_GONE*\n\n&/'
complains 'refers to sluice-gone.1' $page sed 's/^# NOTES/See *sluice-gone*(1).\n\n&/'
complains 'does not list sluice_version' man/libsluice.3.scd sed 's/, \*sluice_version\*(3)//'
if command -v "${CC:-cc}" >/dev/null; then
    complains 'its example does not compile' $page sed 's/row\.bytes/row.octets/'
fi
if command -v scdoc >/dev/null; then
    complains 'scdoc:' $page sed 's/^# NOTES/*bold\n\n&/'
fi
