#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --resume keeps what was delivered also when something fails, or a signal comes, after the last byte: while the
# sink is flushed, read back or hashed. And what a salvage file held is in a file with a name before it goes.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(300000)
directory = on("ext4")
sink, partial, saved = (f"{directory}/{name}" for name in ("sink", "sink.partial", "saved"))
file_with(data, source := f"{scratch()}/source")


def kept(wanted, what):
    check(not os.path.exists(sink), f"{what}: half a sink")
    same_bytes(content(partial), wanted, what)


# After the last byte: nothing but the file has what the stream gave. (To be read back, it is opened by its number.)
again = ["-P", "/proc/self/fd/3"]
if shutil.which("strace"):
    for options, first, injected, prefix, status in (
            (["--sync"], "-", "fsync:error=EIO:when=1", [], 1), (["--verify"], source, "fsync:error=EIO:when=1", [], 1),
            (["--checksum=sha256"], "-", "openat:error=EMFILE", again, 1),
            (["--checksum=sha256"], "-", "openat:signal=SIGTERM", again, 143),
            (["--verify"], source, "openat:signal=SIGTERM", again, 143)):
        result = traced("copy", "--resume" if first == source else "--resume=continue", *options, first, sink,
                        trace="fsync,openat", inject=[injected], prefix=prefix, input=data)
        result.expect(status).says(f"keeps {len(data)} bytes")
        kept(data, f"{options}, {injected}")
        copy("--resume=continue", "-", sink, input=b"more").expect(0)
        same_bytes(content(sink), data + b"more", f"gone on with after {injected}")
        os.unlink(sink)

# The salvage file's bytes, where the run is refused, or cannot even begin.
limited = ["bash", "-c", 'ulimit -f 100; exec "$0" "$@"', *SLUICE]
for words, status in ((["--method=reflink"], 1), (["--require=zero-copy"], 3), (None, 1)):
    file_with(data[:8], saved)
    command = (limited if words is None else SLUICE) + ["copy", "--resume=continue", "--salvage", saved, *(words or []), "-", sink]
    done = subprocess.run(command, input=b"more", capture_output=True, timeout=LIMIT)
    equal(done.returncode, status, done.stderr)
    everything = (content(partial) if os.path.exists(partial) else b"") + (content(saved) if os.path.exists(saved) else b"")
    same_bytes(everything, data[:8], f"{words}: what was salvaged")
    copy("--resume=continue", "--salvage", saved, "-", sink, input=b"more").expect(0)
    same_bytes(content(sink), data[:8] + b"more", f"{words}: gone on with")
    equal(os.listdir(directory), ["sink"], f"{words}: names")
    os.unlink(sink)

# One name cannot keep both.
for name in (sink, partial):
    copy("--resume=continue", "--salvage", name, "-", sink, input=b"more").expect(2).says("both the sink and the salvage file")
    equal(os.listdir(directory), [], "names")
file_with(data[:8], partial)
copy("--resume=continue", "--salvage", partial, "-", sink, input=b"more").expect(1)
equal((os.listdir(directory), content(partial)), (["sink.partial"], data[:8]), "what was kept, as salvage")
PY
