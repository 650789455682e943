#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What cannot be done is said before a byte moves, or the rest is done as GNU tee has it; never a hang, never a
# silent loss.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = scratch()
data = random_bytes(100000)
path = file_with(data, f"{directory}/in")
kept = file_with(b"precious", f"{directory}/kept")

WRONG = [
    (["--slow=fast", kept], [r"fast", r"wait, drop"]),
    (["--slow=spill", kept], [r"spill"]),
    (["--slow=spill=", kept], [r"spill"]),
    (["--lag=0", kept], [r"0 is too little"]),
    (["--lag=-1", kept], [r"-1"]),
    (["--lag=10X", kept], [r"10X"]),
    (["--lag=99999999999999999999P", kept], [r"too large"]),
    (["--lag-pipes=0", kept], [r"1 to 1024"]),
    (["--spill-slow=spill=x", kept], [r"wait, drop or detach"]),
    (["--spill-most=0", kept], [r"0 is too little"]),
    (["--rate=0", kept], [r"0 is too little"]),
    (["--rate=fast", kept], [r"fast"]),
    (["--pipe-size=2G", kept], [r"1G"]),
    (["--linger=soon", kept], [r"soon"]),
    (["--require=magic", kept], [r"magic"]),
    (["--checksum=md5", kept], [r"md5"]),
    (["--output-error=maybe", kept], [r"maybe", r"warn-nopipe"]),
    (["--from=tcp:", kept], [r"tcp:"]),
    (["--from"], [r"argument"]),
    (["--sloww=drop", kept], [r"--slow"]),
    (["-Z", kept], [r"-Z"]),
    ([kept, "-"], [r"'-'"]),
    ([f"{kept},lag=0"], [r"0 is too little"]),
    ([f"{kept},slow=maybe"], [r"maybe|wait, drop"]),
    ([f"{kept},rate="], [r"size"]),
    ([f"{kept},spill-slow=drop"], [r"need slow=spill=FILE"]),
    ([f"{kept},slow=drop,spill-most=1M"], [r"need slow=spill=FILE"]),
    ([kept, "tcp:nowhere"], [r"HOST:PORT|port"]),
    ([kept, "tcp:127.0.0.1:1,frob=1"], [r"no such option"]),
    ([kept, "fd:x"], [r"number"]),
    ([kept, "tcp:"], [r"kind"]),
    (["--slow=spill=one", kept, f"{directory}/other"], [r"both spill"]),
]
for arguments, patterns in WRONG:
    sluice("tee", *arguments, input=b"x").refused(2, *patterns)
    same_bytes(content(kept), b"precious", f"a sink of {arguments}")
no_leftovers(directory, "in", "kept")

# A sink that is the source is not emptied.
with open(path, "rb") as f:
    result = sluice("tee", path, f"{directory}/copy", stdin=f).refused(1, r"it is the source")
same_bytes(result.out, data, "standard output beside it")
same_bytes(content(path), data, "the source")
same_bytes(content(f"{directory}/copy"), data, "the other sink")
sluice("tee", "--from", path, "-a", path).refused(1, r"it is the source")
same_bytes(content(path), data, "the source, appending")
os.symlink(path, f"{directory}/link")
sluice("tee", "--from", path, f"{directory}/link").refused(1, r"it is the source")
same_bytes(content(path), data, "the source, by a link")

# Nor is a FIFO that is the source written into.
os.mkfifo(f"{directory}/fifo")
fifo, into = os.open(f"{directory}/fifo", os.O_RDONLY | os.O_NONBLOCK), os.open(f"{directory}/fifo", os.O_WRONLY)
running = start("tee", f"{directory}/fifo", f"{directory}/copy", stdin=fifo, stdout=subprocess.DEVNULL)
os.close(fifo)
os.write(into, data[:1000])
os.close(into)
running.finish().refused(1, r"fifo.*it is the source")
same_bytes(content(f"{directory}/copy"), data[:1000], "a file beside a FIFO that is the source")

# A spill file is one sink's alone, under whatever name.
with open(f"{directory}/spill", "wb") as f:
    f.write(data)
os.link(f"{directory}/spill", f"{directory}/spill-too")
for one, two in [(f"{directory}/one,slow=spill={directory}/spill", f"{directory}/two,slow=spill={directory}/spill-too"),
                 (f"{directory}/one,slow=spill={directory}/spill", f"{directory}/spill-too"),
                 (f"{directory}/spill-too", f"{directory}/one,slow=spill={directory}/spill"),
                 (f"{directory}/spill-too,slow=spill={directory}/spill", f"{directory}/two")]:
    result = sluice("tee", one, two, f"{directory}/copy", input=data).refused(1, r"a spill file is one sink's alone")
    same_bytes(result.out, data, "standard output beside a spill file of two")
    same_bytes(content(f"{directory}/copy"), data, "a file beside a spill file of two")

# A spill file that cannot be had: it is the one that is named, for standard output, too; and its sink is as it was.
with open(f"{directory}/one", "wb") as f:
    f.write(data[:100])
result = sluice("tee", f"{directory}/one,slow=spill={directory}/none/spill", f"{directory}/copy", input=data)
result.refused(1, r"cannot spill for .* into '[^']*none/spill': No such file")
same_bytes(result.out, data, "standard output beside a spill file that cannot be had")
same_bytes(content(f"{directory}/copy"), data, "a file beside a spill file that cannot be had")
same_bytes(content(f"{directory}/one"), data[:100], "the sink whose spill file cannot be had")
with open(f"{directory}/old", "wb") as f:
    f.write(data[:200])
for spill, why in [("/dev/null", "Invalid argument"), (f"{directory}/one", "one sink's alone"),
                   (f"{directory}/copy", "one sink's alone"), (f"{directory}/old", "source")]:
    result = sluice("tee", f"--from={directory}/old", f"{directory}/copy", f"{directory}/one,slow=spill={spill}")
    result.refused(1, f"cannot spill for .*{why}|{why}")
    same_bytes(content(f"{directory}/one"), data[:100], f"the sink that cannot spill into {spill}")
    same_bytes(content(f"{directory}/old"), data[:200], f"the source beside a spill file {spill}")
sluice("tee", f"--slow=spill={directory}/none/spill", input=data).refused(
    1, r"cannot spill for '-' into '[^']*none/spill': No such file")

# Interrupted while it waits for a FIFO's reader: it was stopped, and no file is to blame.
os.mkfifo(f"{directory}/unread")
running = start("tee", f"{directory}/unread", stdout=subprocess.DEVNULL)
catches(running)
settle(running)
running.signal(signal.SIGINT)
result = running.finish().says(r"stopped by SIGINT before anything was moved").never_says(r"unread", r"Interrupted")
equal(result.killed_by, signal.SIGINT, "the signal that ended it")

# Sinks that cannot be had: said, and the others get everything.
result = sluice("tee", "fd:99", f"{directory}/none/x", directory, "tcp:127.0.0.1:1",
                f"unix:{directory}/no-socket", f"{directory}/copy", input=data)
result.refused(1, r"fd:99.*Bad file descriptor", r"none/x.*No such file", r"Is a directory",
               r"tcp:127\.0\.0\.1:1.*refused", r"no-socket.*No such file")
same_bytes(result.out, data, "standard output")
same_bytes(content(f"{directory}/copy"), data, "the sink that could be had")
sluice("tee", "--output-error=exit", "fd:99", f"{directory}/never", input=data).refused(1, r"fd:99")
check(not os.path.exists(f"{directory}/never"), "it went on to the next sink")

# The same sink twice: each has its own place in it, as with every tee.
sluice("tee", f"{directory}/twice", f"{directory}/twice", input=data).expect(0)
same_bytes(content(f"{directory}/twice"), data, "the same sink twice")

# A comma in a name is a comma.
sluice("tee", f"{directory}/a,b", f"{directory}/c,lag=1M,d", input=data).expect(0)
same_bytes(content(f"{directory}/a,b"), data, "a name with a comma")
same_bytes(content(f"{directory}/c,d"), data, "a name with a comma and an option")

# More sinks than descriptors.
few = [f"{directory}/many-{i}" for i in range(60)]
result = sluice("tee", *few, input=data,
                before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
result.refused(1, r"Too many open files")
same_bytes(result.out, data, "standard output with few descriptors")
same_bytes(content(few[0]), data, "the first of many")

# Sinks that leave at once.
listener = tcp_listener()
gone = threading.Thread(target=lambda: reset(listener.accept()[0]))
gone.start()
result = sluice("tee", tcp_address(listener), f"{directory}/copy", input=data * 50)
gone.join()
result.refused(1, r"tcp:")
same_bytes(result.out, data * 50, "standard output beside a peer that resets")
same_bytes(content(f"{directory}/copy"), data * 50, "a file beside a peer that resets")

# Nothing to read from.
sluice("tee", "--from", f"{directory}/no-such", f"{directory}/fresh").refused(1, r"no-such")
sluice("tee", "--from", directory, f"{directory}/fresh").refused(1, r"directory")
check(not os.path.exists(f"{directory}/fresh"), "a sink was made for no source")

# A requirement that a sink cannot meet: refused before a byte moves.
result = sluice("tee", "--require=no-user-copy", "-a", f"{directory}/fresh", input=data).refused(3, r"no-user-copy")
equal(result.out, b"", "what moved nevertheless")
result = sluice("tee", "--require=zero-copy", f"{directory}/fresh2", input=data).refused(3, r"zero-copy")
read_end, write_end = os.pipe()
collector = Collector(read_end)
out_end, out = os.pipe()
other = Collector(out_end)
running = start("tee", "--require=zero-copy", f"fd:{write_end}", "null:", stdin=open(path, "rb"), stdout=out,
                pass_fds=[write_end])
os.close(write_end)
os.close(out)
running.finish().expect(0)
same_bytes(collector.result(), data, "with zero-copy required")
same_bytes(other.result(), data, "standard output, with zero-copy required")
PY
