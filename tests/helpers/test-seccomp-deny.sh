# SPDX-License-Identifier: MIT
# The named system calls give ENOSYS, or the errno that was named; the others go on as ever.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_command /usr/bin/python3

random_file 64K "$T/in"
cat >"$T/call.py" <<'PY'
import errno, os, sys
source = os.open(sys.argv[1], os.O_RDONLY)
reader, writer = os.pipe()
def outcome(call):
    try:
        return str(call())
    except OSError as error:
        return errno.errorcode[error.errno]
print(outcome(lambda: os.splice(source, writer, 4096)),
      outcome(lambda: os.sendfile(writer, source, 0, 4096)))
PY
calls() {
    without_calls "$1" /usr/bin/python3 "$T/call.py" "$T/in"
}
[ "$(calls tee)" = "4096 4096" ] || fail "others are hurt: $(calls tee)"
[ "$(calls splice)" = "ENOSYS 4096" ] || fail "no ENOSYS: $(calls splice)"
[ "$(calls splice=EPERM,sendfile)" = "EPERM ENOSYS" ] || fail "$(calls splice=EPERM,sendfile)"
expect_status 2 calls nosuchcall
expect_match "no such system call: 'nosuchcall'" "$T/stderr"
expect_status 2 calls splice=EWHAT
expect_status 7 without_calls splice sh -c 'exit 7'
