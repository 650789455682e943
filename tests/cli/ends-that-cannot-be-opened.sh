#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Missing, unreadable, unwritable and unsuitable ends: the message says what, which and why, status
# 1, and nothing is created, truncated or left behind.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = scratch()
data = random_bytes(5000)
path, out, new = file_with(data, f"{directory}/in"), f"{directory}/out", f"{directory}/new"
file_with(b"precious", out)
absent = f"{directory}/absent"


def refused(arguments, *patterns, status=1, **options):
    result = copy(*arguments, seconds=10, **options)
    result.refused(status, *patterns)
    equal(content(out), b"precious", f"the sink after {result.command}")
    if content(out) != b"precious":
        file_with(b"precious", out)
    no_leftovers(directory, "in", "out", *also)
    return result


also = []
refused([absent, out], re.escape(absent), r"no such file")
refused([absent, new], re.escape(absent), r"no such file")
refused([path, f"{directory}/nowhere/out"], re.escape(f"{directory}/nowhere/out"), r"no such file")
refused([f"{path}/x", out], re.escape(f"{path}/x"), r"not a directory")
refused([path, f"{path}/x"], re.escape(f"{path}/x"), r"not a directory")
refused([directory, out], re.escape(directory), r"directory")
refused([path, directory], re.escape(directory), r"directory")
refused([path, directory + "/"], re.escape(directory), r"directory")
refused([path, new + "/"], re.escape(new), r"directory|no such file")
refused([f"{directory}/" + "x" * 300, out], r"name too long")
refused([path, f"{directory}/" + "x" * 300], r"name too long")

# Loops of links.
os.symlink("loop", f"{directory}/loop")
also = ["loop"]
refused([f"{directory}/loop", out], r"loop")
refused([path, f"{directory}/loop"], r"loop")
os.unlink(f"{directory}/loop")
also = []

# Descriptors that are not there, or not for this.
refused(["fd:9", out], r"fd:9", r"bad file descriptor|not open")
refused([path, "fd:9"], r"fd:9", r"bad file descriptor|not open")
refused(["fd:1000000", out], r"fd:1000000", r"bad file descriptor|not open")
reading, writing = os.open(path, os.O_RDONLY), os.open(out, os.O_WRONLY)
refused([f"fd:{writing}", new], rf"fd:{writing}",
        r"not open for reading|bad file descriptor|writ|read",
        pass_fds=[writing])
refused([path, f"fd:{reading}"], rf"fd:{reading}",
        r"not open for writing|bad file descriptor|writ|read",
        pass_fds=[reading])
dir_fd = os.open(directory, os.O_RDONLY)
refused([f"fd:{dir_fd}", out], r"directory", pass_fds=[dir_fd])
o_path = os.open(path, os.O_PATH)
refused([f"fd:{o_path}", out], rf"fd:{o_path}", pass_fds=[o_path])
event = os.eventfd(0)
refused([f"fd:{event}", out], rf"fd:{event}", pass_fds=[event])
listening = tcp_listener()
copy(f"fd:{listening.fileno()}", out, pass_fds=[listening.fileno()]).refused(
    1, rf"fd:{listening.fileno()}", r"not connected|listen")
file_with(b"precious", out)

# Offsets where there are none.
refused(["--offset", "5", "fd:0", out], r"offset|seek", stdin=os.pipe()[0])
refused(["--offset", "sink=5", path, "-"], r"offset|seek", stdout=os.pipe()[1])

# Standard input or output closed.
for closed, arguments in ((0, ["-", out]), (1, [path, "-"])):
    result = copy(*arguments, before=lambda: os.close(closed),
                  stdin=None if closed else subprocess.DEVNULL)
    result.refused(1, r"standard (in|out)put|'?-'?", r"bad file descriptor|not open|closed")
    equal(content(out), b"precious", "the sink, with a standard descriptor closed")

# Peers that are not there.
vacant = tcp_listener()
port = vacant.getsockname()[1]
vacant.close()
refused([path, f"tcp:127.0.0.1:{port}"], rf"127\.0\.0\.1:{port}", r"refused")
refused([f"tcp:127.0.0.1:{port}", out], rf"127\.0\.0\.1:{port}", r"refused")
refused([path, "tcp:no-such-host.invalid:9"], r"no-such-host\.invalid")
refused([path, f"unix:{absent}"], re.escape(absent), r"no such file")
refused([path, f"unix:{path}"], re.escape(path), r"refused|not a socket")
refused([f"unix-listen:{path}", out], re.escape(path), r"exist|in use")
equal(content(path), data, "the file whose name was to be listened at")
busy = tcp_listener()
refused([path, f"tcp-listen:{busy.getsockname()[1]}"], r"in use")
refused([path, f"unix-listen:{directory}/nowhere/x"], re.escape(f"{directory}/nowhere/x"),
        r"no such file")
# One that never answers: its backlog is full.
deaf = socket.socket()
deaf.bind(("127.0.0.1", 0))
deaf.listen(0)
fillers = []
for _ in range(4):
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(deaf.getsockname())
    fillers.append(filler)
began = time.monotonic()
refused([path, f"tcp:127.0.0.1:{deaf.getsockname()[1]},connect-timeout=0.4"], r"timed out|timeout")
within(time.monotonic() - began, 0.3, 6, "seconds until connect-timeout")

# What this user may not do.
if ROOT:
    note("permissions are tried by the round that runs as nobody")
else:
    os.chmod(path, 0)
    copy(path, new).refused(1, re.escape(path), r"permission denied")
    os.chmod(path, 0o600)
    os.chmod(out, 0o400)
    refused([path, out], re.escape(out), r"permission denied")
    os.chmod(out, 0o600)
    os.chmod(directory, 0o500)
    copy(path, out).expect(0)  # in place needs no right on the directory
    same_bytes(content(out), data, "an existing file in an unwritable directory")
    file_with(b"precious", out)
    copy(path, new).refused(1, re.escape(new), r"permission denied")
    refused(["--atomic", path, out], re.escape(out), r"permission denied")
    os.chmod(directory, 0o700)
    no_leftovers(directory, "in", "out")
    copy(path, "/root-only-sluice-test").refused(1, r"/root-only-sluice-test", r"permission denied")
    if os.path.exists("/etc/shadow"):
        copy("/etc/shadow", new).refused(1, r"/etc/shadow", r"permission denied")
    no_leftovers(directory, "in", "out")
PY
