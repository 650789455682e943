#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A process that shares the user's pipe can always read, poll, ask and exit while the command waits
# for an idle source, or for a sink that is full. (A splice that waits on its far side holds the
# pipe's mutex, and then nobody who touches the pipe can be killed.)
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
def neighbour_leaves(fd, role, what):
    """Whether a process that shares the pipe gets through all it does, and ends."""
    with tempfile.TemporaryFile() as steps:
        process = subprocess.Popen([sys.executable, f"{HELPERS}/neighbour.py", str(fd), role],
                                   pass_fds=[fd], stdout=steps)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            said = os.pread(steps.fileno(), 1000, 0).decode().split("\n")
            problem(f"{what}: a {role} hangs in {said[-2]} (state {state_of(process.pid)})")
            return False
        said = os.pread(steps.fileno(), 1000, 0).decode()
        return check(process.returncode == 0 and said.endswith("exit\n"), f"{what}: {said!r}")


def release(running, *ends):
    """Ends the command that holds the pipe, so that whoever hangs can go on."""
    running.process.kill()
    running.process.wait()
    for end in ends:
        close(end)


def idle_sources():
    left, right = tcp_pair()
    yield "tcp", left, right, []
    left, right = unix_pair()
    yield "unix", left, right, []
    left, right = unix_pair(socket.SOCK_DGRAM)
    yield "unix-dgram", left, right, ["--length", "8"]
    master, slave = raw_terminal()
    yield "terminal", master, slave, ["--length", "8"]


def full_sinks():
    yield "tcp", *tcp_pair(send_buffer=16384, receive_buffer=16384)
    yield "unix", *unix_pair()
    yield "terminal", *raw_terminal()


for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    for how in ("standard output", "descriptor"):
        for name, feeding, taking, length in idle_sources():
            what = f"idle {name} -> the user's pipe as {how}, {method}"
            read_end, write_end = os.pipe()
            ours = os.dup(fd_of(taking))
            options = {"stdout": write_end} if how == "standard output" else {}
            running = start("copy", *extra, *length, f"fd:{ours}",
                            "-" if options else f"fd:{write_end}",
                            pass_fds=[ours, write_end], **options)
            os.close(ours)
            if not settles(running):  # a method that was named may not serve the pair
                running.finish().expect(*((1, 3) if method == "splice" else (0,)))
                os.close(read_end)
                os.close(write_end)
                continue
            fine = neighbour_leaves(read_end, "reader", what)
            fine = fine and neighbour_leaves(write_end, "writer", what)
            if not fine:  # nor could we touch the pipe now
                release(running, feeding, taking, read_end, write_end)
                continue
            os.write(fd_of(feeding), b"some")  # now the far side was busy once
            equal(os.read(read_end, 10), b"some", what)
            settle(running)
            if not neighbour_leaves(read_end, "reader", what + ", later"):
                release(running, feeding, taking, read_end, write_end)
                continue
            os.close(write_end)
            # The last reader but the neighbour goes: its exit closes the pipe for good.
            holder = subprocess.Popen(["sleep", "0.05"], pass_fds=[read_end])
            os.close(read_end)
            try:
                holder.wait(3)
            except subprocess.TimeoutExpired:
                problem(f"{what}: the last reader cannot exit (state {state_of(holder.pid)})")
            os.write(fd_of(feeding), b"more")  # releases whoever hangs, and ends the command
            if not length:
                running.signal(signal.SIGTERM)
            running.finish(10)
            close(feeding)
            close(taking)

    for name, reading, writing in full_sinks():
        what = f"the user's pipe -> full {name}, {method}"
        read_end, write_end = os.pipe()
        running = start("copy", *extra, "-", f"fd:{fd_of(writing)}", stdin=read_end,
                        pass_fds=[fd_of(writing)])
        feeder = Feeder(os.dup(write_end), bytes(8 * MIB))
        if not settles(running):
            running.finish().expect(*((1, 3) if method == "splice" else (0,)))
            continue
        if not (neighbour_leaves(write_end, "writer", what) and
                neighbour_leaves(read_end, "reader", what)):
            release(running, reading, writing, read_end, write_end)
            continue
        running.signal(signal.SIGTERM)
        running.finish(10).expect(143)
        close(writing)
        os.close(read_end)
        os.close(write_end)
        close(reading)

    # The user's pipe is idle, or was drained a moment ago.
    for sink in ("file", "tcp", "pipe"):
        what = f"the user's idle pipe -> {sink}, {method}"
        read_end, write_end = os.pipe()
        options, target = {}, os.path.join(scratch(), "out")
        if sink == "tcp":
            listener = tcp_listener()
            target = tcp_address(listener)
        elif sink == "pipe":
            far, near = os.pipe()
            target, options["stdout"] = "-", near
        running = start("copy", *extra, "-", target, stdin=read_end, **options)
        settle(running)
        fine = neighbour_leaves(write_end, "writer", what) and \
            neighbour_leaves(read_end, "reader", what)
        if fine:
            os.write(write_end, b"some")
            settle(running)
            fine = neighbour_leaves(read_end, "reader", what + ", later")
        release(running, read_end, write_end)
PY
