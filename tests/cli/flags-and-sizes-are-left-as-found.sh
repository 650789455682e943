#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Flags, sizes of pipes, socket options and terminal settings of inherited descriptors are as they
# were found, after a success and after SIGTERM, and the offset of a file stands after the last
# delivered byte.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
def portrait(fd, kind):
    """All that a command might have changed."""
    seen = {"flags": fcntl.fcntl(fd, fcntl.F_GETFL)}
    if kind == "pipe":
        seen["capacity"] = fcntl.fcntl(fd, F_GETPIPE_SZ)
    if kind in ("tcp", "unix"):
        with socket.socket(fileno=os.dup(fd)) as end:
            for name in ("SO_RCVTIMEO", "SO_SNDTIMEO"):
                seen[name] = end.getsockopt(socket.SOL_SOCKET, getattr(socket, name), 16)
            for name in ("SO_SNDBUF", "SO_RCVBUF", "SO_RCVLOWAT", "SO_ZEROCOPY", "SO_LINGER"):
                number = {"SO_ZEROCOPY": 60, "SO_LINGER": 13}.get(name)
                seen[name] = end.getsockopt(socket.SOL_SOCKET,
                                            number or getattr(socket, name))
            if kind == "tcp":
                for name in ("TCP_NODELAY", "TCP_CORK"):
                    seen[name] = end.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
    if kind == "terminal":
        import termios
        seen["attributes"] = termios.tcgetattr(fd)
    return seen


def pair(kind, flags):
    if kind == "pipe":
        ours, theirs = os.pipe()
        fcntl.fcntl(theirs, F_SETPIPE_SZ, 16384)
    elif kind == "terminal":
        ours, theirs = raw_terminal()
    else:
        ours, theirs = {"tcp": tcp_pair, "unix": unix_pair}[kind]()
    fcntl.fcntl(fd_of(theirs), fcntl.F_SETFL, fcntl.fcntl(fd_of(theirs), fcntl.F_GETFL) | flags)
    return ours, theirs


data = random_bytes(300000)
for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    for kind in ("pipe", "tcp", "unix", "terminal"):
        for flags in (0, os.O_NONBLOCK):
            for end in ("done", "SIGTERM"):
                what = f"{kind}, {'O_NONBLOCK' if flags else 'blocking'}, {end}, {method}"
                # As a sink: a pipe on the source side too, which stays open for SIGTERM.
                ours, theirs = pair(kind, flags)
                read_end, write_end = os.pipe()
                fcntl.fcntl(read_end, F_SETPIPE_SZ, 8192)
                before = portrait(fd_of(theirs), kind), portrait(read_end, "pipe")
                keep = os.dup(fd_of(theirs))
                running = start("copy", *extra, "-", f"fd:{fd_of(theirs)}", stdin=read_end,
                                pass_fds=[fd_of(theirs)])
                collector = Collector(ours)
                Feeder(write_end, data, end_it=end == "done")
                if end == "done":
                    refused = (1, 3) if method == "splice" and kind != "pipe" else ()
                    result = running.finish().expect(0, *refused)
                else:
                    time.sleep(0.03)
                    if running.running():
                        wait_for(lambda: len(collector.data) == len(data) or not running.running(),
                                 f"the data, {what}")
                        running.signal(signal.SIGTERM)
                        running.finish()
                    else:
                        running.finish()
                equal((portrait(keep, kind), portrait(read_end, "pipe")), before, what)
                os.close(read_end)
                os.close(keep)
                close(theirs)

    # As a source.
    for kind in ("tcp", "unix", "terminal", "pipe"):
        for flags in (0, os.O_NONBLOCK):
            what = f"{kind} as source, {'O_NONBLOCK' if flags else 'blocking'}, {method}"
            if kind == "pipe":
                theirs, ours = os.pipe()
                fcntl.fcntl(theirs, fcntl.F_SETFL, flags)
            else:
                ours, theirs = pair(kind, flags)
            before = portrait(fd_of(theirs), kind)
            out = os.path.join(scratch(), "out")
            running = start("copy", *extra, f"fd:{fd_of(theirs)}", out, pass_fds=[fd_of(theirs)])
            os.write(fd_of(ours), b"x" * 1000)
            time.sleep(0.05)
            running.signal(signal.SIGTERM)
            running.finish()
            equal(portrait(fd_of(theirs), kind), before, what)
            close(theirs)
            close(ours)

# O_APPEND on a shared standard output, and offsets.
path, out = file_with(data), os.path.join(scratch(), "out")
for method in ("auto", "splice", "sendfile", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    source, sink = os.open(path, os.O_RDONLY), os.open(out, os.O_RDWR | os.O_CREAT, 0o600)
    os.lseek(source, 1000, os.SEEK_SET)
    os.lseek(sink, 77, os.SEEK_SET)
    copy(*extra, "--length", "50000", "-", f"fd:{sink}", stdin=source, pass_fds=[sink]).expect(0)
    equal(os.lseek(source, 0, os.SEEK_CUR), 51000, f"the source's offset, {method}")
    equal(os.lseek(sink, 0, os.SEEK_CUR), 50077, f"the sink's offset, {method}")
    same_bytes(os.pread(sink, 50000, 77), data[1000:51000], f"from where it stood, {method}")
    os.close(source)
    os.close(sink)
sink = os.open(out, os.O_WRONLY | os.O_APPEND)
copy(path, "-", stdout=sink).expect(0)
check(fcntl.fcntl(sink, fcntl.F_GETFL) & os.O_APPEND, "O_APPEND was taken from standard output")
PY
