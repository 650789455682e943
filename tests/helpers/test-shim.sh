# SPDX-License-Identifier: MIT
# timeout: 30
# The shim makes the call fail that it was told to, at the count it was told to, and copies
# honestly: what stands on it can only be believed then.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_command /usr/bin/python3
python=/usr/bin/python3

# Prints what each of four splices from a file into a pipe gave.
cat >"$T/four.py" <<'PY'
import errno, os, sys
source = os.open(sys.argv[1], os.O_RDONLY)
reader, writer = os.pipe()
for _ in range(4):
    try:
        print(os.splice(source, writer, 4096))
    except OSError as error:
        print(errno.errorcode[error.errno])
PY
random_file 64K "$T/in"
four() {
    with_shim "$1" "$python" "$T/four.py" "$T/in" | tr '\n' ' '
}
results() {
    local found
    found=$(four "$1")
    [ "$found" = "$2 " ] || fail "$1: $found, not $2"
}
results "splice=EIO@9" "4096 4096 4096 4096"
[ "$(shim_applied splice)" = 0 ] || fail "a rule that never applied was counted"
results "splice=ENOSYS" "ENOSYS ENOSYS ENOSYS ENOSYS"
[ "$(shim_applied splice)" = 4 ] || fail "counted $(shim_applied splice) of 4"
results "splice=EBUSY@2" "4096 EBUSY 4096 4096"
results "splice=ENOMEM@3+" "4096 4096 ENOMEM ENOMEM"
results "splice=short=100@2,splice=EAGAIN@4" "4096 100 4096 EAGAIN"
results "splice=copy" "4096 4096 4096 4096"

for wrong in splice splice= splice=EWHAT nosuch=EIO splice=EIO@0 poll=copy pipe2=short=1; do
    expect_status 99 with_shim "$wrong" true
    expect_match "cannot understand" "$T/stderr"
done

# By reference, a later write to the file shows in the pipe; a copy keeps what it took.
cat >"$T/alias.py" <<'PY'
import os, sys
source = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(source, b"A" * 4096, 0)
reader, writer = os.pipe()
os.splice(source, writer, 4096, offset_src=0)
os.pwrite(source, b"B" * 4096, 0)
print(os.read(reader, 4096)[:1].decode())
PY
[ "$(with_shim poll=EIO@999999 "$python" "$T/alias.py" "$T/in")" = B ] ||
    skip "splice does not pass references on this kernel"
[ "$(with_shim splice=copy "$python" "$T/alias.py" "$T/in")" = A ] ||
    fail "splice=copy did not copy"

# Copying moves the same bytes as the call would, over every kind of pair.
cat >"$T/pairs.py" <<'PY'
import os, socket, sys, threading
data = open(sys.argv[1], "rb").read()

def drain(fd, into):
    while chunk := os.read(fd, 65536):
        into.append(chunk)

def through(name, make_source, move, make_sink):
    got = []
    source, feed = make_source()
    reader, sink = make_sink()
    threads = [threading.Thread(target=drain, args=(reader, got), daemon=True)]
    if feed is not None:
        def write():
            view = memoryview(data)
            while view:
                view = view[os.write(feed, view):]
            os.close(feed)
        threads.append(threading.Thread(target=write, daemon=True))
    for thread in threads:
        thread.start()
    while move(source, sink) > 0:
        pass
    os.close(sink)
    for thread in threads:
        thread.join()
    assert b"".join(got) == data, name
    os.close(source)
    os.close(reader)

def file():
    return os.open(sys.argv[1], os.O_RDONLY), None

def pipe_source():
    return os.pipe()

def socket_source():
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()

def socket_sink():
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()

splice = lambda source, sink: os.splice(source, sink, 100000)
sendfile = lambda source, sink: os.sendfile(sink, source, None, 100000)
through("file-pipe", file, splice, os.pipe)
through("pipe-pipe", pipe_source, splice, os.pipe)
through("pipe-socket", pipe_source, splice, socket_sink)
through("socket-pipe", socket_source, splice, os.pipe)
through("sendfile-socket", file, sendfile, socket_sink)
through("sendfile-pipe", file, sendfile, os.pipe)

out = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
source, _ = file()
while os.copy_file_range(source, out, 100000) > 0:
    pass
assert os.pread(out, len(data) + 1, 0) == data, "copy_file_range"
PY
random_file 3000001 "$T/big"
with_shim "splice=copy,sendfile=copy,copy_file_range=copy" "$python" "$T/pairs.py" "$T/big" "$T/out"
for call in splice sendfile copy_file_range; do
    [ "$(shim_applied "$call")" -gt 10 ] || fail "$call was not copied"
done
