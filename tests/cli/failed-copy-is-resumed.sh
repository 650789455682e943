#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --resume: a copy that fails keeps its delivered prefix as SINK.partial, and only then; the next
# run compares that with the source and goes on. Killed at any moment, resumed until it is done, the
# sink is the source. Another source is refused, and a stream goes on only where that is said.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import random

SIZE = 6 * MIB + 4321
data = random_bytes(SIZE)
source = file_with(data)


def prefix(path, what):
    """What was kept is a beginning of the data, and not all of it."""
    kept = content(path)
    same_bytes(kept, data[:len(kept)], what)
    check(0 < len(kept) < SIZE, f"{what}: {len(kept)} bytes were kept")
    return len(kept)


for name, directory in file_systems().items():
    if name == "fuse-direct":
        continue
    sink = f"{directory}/sink"
    partial = sink + ".partial"
    # Stopped by a signal, several times, at other places each time.
    rng = random.Random(name)
    last = 0
    for turn in range(3):
        running = start("copy", "--resume", "--json", "--rate=8M", source, sink)
        time.sleep(0.12 + 0.1 * rng.random())
        running.signal(signal.SIGTERM)
        result = running.finish().expect(143)
        check(not os.path.exists(sink), f"{name}: half a sink has the sink's name")
        kept = prefix(partial, f"{name}: turn {turn}")
        check(kept >= last, f"{name}: {kept} bytes after {last}")
        equal(json.loads(result.out)["kept"], {"name": partial, "bytes": kept}, "the ledger")
        last = kept
    # Another source, a changed one, a shorter one: nothing is touched.
    for other, words in ((random_bytes(SIZE, 2), "has another byte 0"),
                         (data[:kept - 1] + bytes([data[kept - 1] ^ 1]) + data[kept:],
                          f"has another byte {kept - 1}"),
                         (data[:kept - 5], "ends before")):
        result = copy("--resume", file_with(other), sink).expect(1)
        matches(result.err, words, f"{name}: another source")
        equal(prefix(partial, f"{name}: untouched"), kept, f"{name}: untouched")
        check(not os.path.exists(sink), f"{name}: a refused copy made a sink")
    ledger = copy("--resume", "--json", source, sink).expect(0).ledger()
    same_bytes(content(sink), data, f"{name}: whole")
    equal(ledger["delivered"], SIZE - kept, f"{name}: what was left")
    check(not os.path.exists(partial), f"{name}: the partial file stays")
    # Over an existing sink, whose mode is kept; and nothing is kept of what does not fail.
    os.chmod(sink, 0o640)
    copy("--resume", source, sink).expect(0)
    equal(os.stat(sink).st_mode & 0o7777, 0o640, f"{name}: the mode")
    equal(sorted(os.listdir(directory)), ["sink"], f"{name}: names")
    os.unlink(sink)
    # A part of the source, stopped and resumed with the same words.
    words = ("--offset=source=4099", f"--length={5 * MIB}")
    running = start("copy", "--resume", "--rate=8M", *words, source, sink)
    time.sleep(0.15)
    running.signal(signal.SIGTERM)
    running.finish().expect(143)
    copy("--resume", *words, source, sink).expect(0)
    same_bytes(content(sink), data[4099:4099 + 5 * MIB], f"{name}: a part")
    os.unlink(sink)
    equal(os.listdir(directory), [], f"{name}: names")

# Where a file has one name only, as on vfat: it has a temporary name, and that becomes SINK.partial. What
# has this name by then is not replaced.
if shutil.which("strace"):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, resource.RLIM_INFINITY))

    directory = on("fuse")
    sink, partial = f"{directory}/sink", f"{directory}/sink.partial"
    for taken in (b"", b"another's"):
        running = Traced(["copy", "--resume", "--rate=2M", source, sink], trace="?link,?linkat",
                         inject=["?link,?linkat:error=EPERM"], before=limited)
        wait_for(lambda: os.listdir(directory), "a temporary name")
        if taken:
            file_with(taken, partial)
        result = running.finish().expect(1)
        equal(os.listdir(directory), ["sink.partial"], "without links: names")
        if taken:
            result.says("cannot keep .*exists")
            equal(content(partial), taken, "without links: another's")
            os.unlink(partial)
        else:
            prefix(partial, "without links")
            copy("--resume", source, sink).expect(0)
            same_bytes(content(sink), data, "without links: resumed")
            os.unlink(sink)

# kill -9 at any moment, again and again.
directory = on("ext4")
sink, partial = f"{directory}/sink", f"{directory}/sink.partial"
for seed in range(12 if ALL else 4):
    rng = random.Random(seed)
    running = start("copy", "--resume", "--rate=10M", source, sink)
    time.sleep(0.15)
    running.signal(signal.SIGTERM)
    running.finish()
    for _ in range(4):
        running = start("copy", "--resume", "--rate=10M", source, sink)
        time.sleep(rng.random() * 0.25)
        running.signal(signal.SIGKILL)
        running.finish()
        if os.path.exists(partial):
            kept = content(partial)
            same_bytes(kept, data[:len(kept)], f"seed {seed}: after kill -9")
    copy("--resume", source, sink).expect(0)
    same_bytes(content(sink), data, f"seed {seed}: whole")
    check(not os.path.exists(partial), f"seed {seed}: the partial file stays")
    os.unlink(sink)

# Killed while several writes were under way: a hole where one had not come. What is before it is gone on
# with; but what is no hole, or is long over, belongs to another source.
for name, directory in file_systems().items():
    if name.startswith("fuse"):
        continue
    sink, partial = f"{directory}/sink", f"{directory}/sink.partial"
    file_with(data[:3 * MIB], partial)
    with open(partial, "r+b") as file:
        file.truncate(4 * MIB)
        file.seek(4 * MIB)
        file.write(data[4 * MIB:5 * MIB])
    result = copy("--resume", "--json", source, sink).expect(0)
    result.says(f"not written from byte {3 * MIB} on")
    equal(result.ledger()["delivered"], SIZE - 3 * MIB, f"{name}: what was left after a hole")
    same_bytes(content(sink), data, f"{name}: after a hole")
    check(not os.path.exists(partial), f"{name}: the partial file stays")
    os.unlink(sink)
    file_with(b"", partial)
    os.truncate(partial, 20 * MIB)
    copy("--resume", source, sink).expect(1).says("has another byte 0")
    equal(os.path.getsize(partial), 20 * MIB, f"{name}: a long hole is no write that did not come")
    # Killed between the last block, written whole, and its being cut.
    for words, wanted in (((), data), ((f"--length={5 * MIB + 3}",), data[:5 * MIB + 3])):
        file_with(wanted + bytes(4093), partial)
        copy("--resume", *words, source, sink).expect(0)
        same_bytes(content(sink), wanted, f"{name}: after a whole last block")
        os.unlink(sink)
    file_with(data + b"\0" * 4000 + b"x", partial)
    copy("--resume", source, sink).expect(1).says("ends before")
    os.unlink(partial)

# A checksum is of the whole sink, and so is what is verified.
directory = on("ext4")
sink, partial = f"{directory}/sink", f"{directory}/sink.partial"
file_with(data[:MIB + 5], partial)
result = copy("--resume", "--checksum=sha256", "--json", source, sink).expect(0)
equal(result.ledger()["checksum"]["value"], hashlib.sha256(data).hexdigest(), "of the whole sink")
os.unlink(sink)
if shutil.which("strace"):
    file_with(data[:MIB + 5], partial)
    calls = traced("copy", "--resume", "--verify", source, sink, trace="pread64,fsync").expect(0).calls
    synced = max(i for i, call in enumerate(calls) if call.name == "fsync")
    first = [call for call in calls[synced:] if call.name == "pread64" and call.value == MIB
             and "/sink" in call.arguments and call.arguments.endswith(", 0")]
    check(first, "the first bytes were not read back from the device")
    os.unlink(sink)

# Past the page cache, killed at any moment.
directory = on("ext4")
sink, partial = f"{directory}/sink", f"{directory}/sink.partial"
for seed in range(40 if ALL else 12):
    rng = random.Random(seed)
    file_with(data[:rng.randrange(1, MIB)], partial)
    for _ in range(2):
        running = start("copy", "--resume", "--cache=bypass", "--chunk=256K",
                        *rng.choice(((), ("--rate=20M",))), source, sink)
        time.sleep(rng.random() * 0.06)
        running.signal(signal.SIGKILL)
        running.finish()
        # Killed while it replaces a sink that the run before it made, it leaves the name that was to be renamed.
        for name in leftovers(directory, "sink", "sink.partial"):
            check(re.fullmatch(r"\.sink\.sluice-\w{6}", name), f"seed {seed}: {name}")
            same_bytes(content(f"{directory}/{name}"), data, f"seed {seed}: {name}")
            os.unlink(f"{directory}/{name}")
    copy("--resume", "--cache=bypass", source, sink).expect(0)
    same_bytes(content(sink), data, f"seed {seed}: past the page cache")
    os.unlink(sink)

# Errors of the sink at any call.
if shutil.which("strace"):
    for error in ("EIO", "ENOSPC", "EDQUOT"):
        for when in (2, 5, 9):
            command = ["strace", "-f", "-o", "/dev/null", "-e", "trace=splice",
                       "-e", f"inject=splice:error={error}:when={when}", os.environ["SLUICE"],
                       "copy", "--resume", "--method=splice", source, sink]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=TRACEABLE)
            equal(done.returncode, 1, f"{error} at {when}: {done.stderr}")
            check(not os.path.exists(sink), f"{error} at {when}: a sink")
            if os.path.exists(partial):
                prefix(partial, f"{error} at {when}")
            copy("--resume", source, sink).expect(0)
            same_bytes(content(sink), data, f"{error} at {when}: resumed")
            os.unlink(sink)

# A name takes room as well, at a quota or on a full disk: then it is made of the last bytes.
if shutil.which("strace"):
    result = traced("copy", "--resume", "--method=splice", "--pipe-size=64K", source, sink,
                    trace="splice,linkat", inject=["splice:error=EDQUOT:when=81", "linkat:error=EDQUOT:when=1"])
    result.expect(1)
    kept = prefix(partial, "without room for a name")
    matches(result.err, f"keeps {kept} bytes", "what was kept")
    equal((result.err.count("keeps"), kept % 4096), (1, 0), "what was kept")
    check(kept < 40 * 65536, f"no room was made: {kept} bytes")
    copy("--resume", source, sink).expect(0)
    same_bytes(content(sink), data, "resumed after making room")
    # All is delivered, but the name cannot be had: nothing is lost.
    os.unlink(sink)
    for before in (None, b"old"):
        if before:
            file_with(before, sink)
        result = traced("copy", "--resume", source, sink, trace="linkat,renameat,rename,renameat2",
                        inject=["renameat,rename,renameat2:error=EBUSY" if before else "linkat:error=EACCES:when=1"])
        result.expect(1).says("give its name")
        same_bytes(content(partial), data, "the whole file is kept")
        equal(os.path.exists(sink) and content(sink), before or False, "the sink")
        copy("--resume", source, sink).expect(0)
        same_bytes(content(sink), data, "and gets its name")
        equal(sorted(os.listdir(directory)), ["sink"], "names")
        os.unlink(sink)

# A full disk; a stream, whose parked bytes are delivered first.
small = os.environ.get("SLUICE_SMALLFS")
if small:
    full = scratch(small)
    large = random_bytes(24 * MIB, 5)
    long_source, saved = file_with(large), f"{scratch()}/saved"
    result = copy("--resume", long_source, f"{full}/sink").expect(1)
    kept = content(f"{full}/sink.partial")
    same_bytes(kept, large[:len(kept)], "a full disk")
    check(len(kept) > MIB, f"only {len(kept)} bytes were kept")
    os.unlink(f"{full}/sink.partial")
    reader = subprocess.Popen([os.environ["SLUICE"], "copy", "--resume=continue", "--salvage", saved,
                               "-", f"{full}/sink"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    pipe = reader.stdin.fileno()
    fed = 0
    try:
        while fed < len(large):
            fed += os.write(pipe, large[fed:fed + 65536])
    except BrokenPipeError:
        pass
    try:
        reader.stdin.close()
    except BrokenPipeError:
        pass
    err = reader.stderr.read().decode()
    equal(reader.wait(60), 1, err)
    kept = content(f"{full}/sink.partial")
    parked = content(saved) if os.path.exists(saved) else b""
    same_bytes(kept + parked, large[:len(kept) + len(parked)], "kept and salvaged")
    # There is room elsewhere: the same names, on a larger disk.
    with open(f"{directory}/sink.partial", "wb") as file:
        file.write(kept)
    copy("--resume=continue", "--salvage", saved, "-", sink,
         input=large[len(kept) + len(parked):]).expect(0)
    same_bytes(content(sink), large, "a stream, gone on with")
    check(not os.path.exists(saved), "the salvage file stays")
    os.unlink(sink)
    shutil.rmtree(full)

# What cannot be resumed is said, and nothing is touched.
result = copy("--resume", "-", sink, input=b"bytes").expect(1)
matches(result.err, "continue", "a stream")
no_leftovers(directory)
result = copy("--resume", source, "null:").expect(1)
for words in (("--append",), ("--offset=sink=5",), ("--atomic=no",)):
    copy("--resume", *words, source, sink).expect(2)
copy("--resume=never", source, sink).expect(2)
if ROOT:  # in a directory that is anybody's
    with open(partial, "wb") as file:
        file.write(data[:1000])
    os.chown(partial, 65534, 65534)
    result = copy("--resume", source, sink).expect(1)
    matches(result.err, "not permitted", "another user's")
    # Of the user whose the sink is that is replaced: what was kept has been given to him.
    file_with(b"old", sink)
    os.chown(sink, 65534, 65534)
    copy("--resume", source, sink).expect(0)
    same_bytes(content(sink), data, "over another user's sink")
    equal(os.stat(sink).st_uid, 65534, "whose the sink is")
    os.unlink(sink)
    # What was kept is the directory's owner's, who is trusted; but it cannot be given what the sink has.
    theirs = scratch()
    os.chmod(theirs, 0o777)
    file_with(b"old", f"{theirs}/sink")
    os.chown(f"{theirs}/sink", 65534, 65534)
    file_with(data[:1000], f"{theirs}/sink.partial")
    os.chmod(f"{theirs}/sink.partial", 0o666)
    result = copy("--resume=continue", "-", f"{theirs}/sink", input=data[1000:], before=as_nobody)
    result.refused(1, "cannot pass on the owner and permissions of '.*/sink': .*not permitted")
    equal(content(f"{theirs}/sink.partial"), data[:1000], "what cannot be given to the sink's owner")
    equal(content(f"{theirs}/sink"), b"old", "the sink")
file_with(data, partial)
os.link(partial, f"{directory}/link")
for own in (partial, f"{directory}/link"):
    copy("--resume", own, sink).expect(1).says("same file")
    same_bytes(content(partial), data, "the source is the partial file")
os.unlink(f"{directory}/link")
os.unlink(partial)
os.symlink(source, partial)
copy("--resume", source, sink).expect(1)
os.unlink(partial)
os.mkfifo(partial)
copy("--resume", source, sink).expect(1)
os.unlink(partial)
with open(partial, "wb") as file:
    file.write(data[:1000])
    file.flush()
    fcntl.flock(file, fcntl.LOCK_EX)
    result = copy("--resume", source, sink).expect(1)
    matches(result.err, "lock", "another run has it")
    equal(content(partial), data[:1000], "untouched")
copy("--resume", "--verify", source, sink).expect(0)
same_bytes(content(sink), data, "in the end")

# Another run makes the sink of it, between our opening it and our lock: what is the sink by then is not touched.
if shutil.which("strace"):
    os.unlink(sink)
    file_with(data[:-1000] + b"x" * 1000, partial)
    running = Traced(["copy", "--resume", source, sink], trace="openat,flock",
                     inject=["flock:delay_enter=500000"])
    running.until_returned("sink.partial")
    other = f"{directory}/other"
    os.rename(partial, other)
    running.finish().expect(0)
    same_bytes(content(other), data[:-1000] + b"x" * 1000, "the other run's sink")
    same_bytes(content(sink), data, "our own sink")
PY
