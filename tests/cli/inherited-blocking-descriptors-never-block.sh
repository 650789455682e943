#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sockets, pipes and terminals that the command inherits are blocking. Readiness is not room there,
# so a call could wait inside the kernel: a signal must still end the command at once, with what it
# had delivered, and the flags of the descriptors must not have changed meanwhile.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(4 * MIB)
path = file_with(data)


def sinks():
    yield "tcp with a small buffer", *tcp_pair(send_buffer=16384, receive_buffer=16384)
    yield "unix", *unix_pair()
    yield "pipe", *os.pipe()
    yield "terminal", *raw_terminal()


for feed in ("file", "pipe", "tcp"):
    for name, ours, theirs in sinks():
        what = f"{feed} -> {name}"
        source, options, fds = path, {}, [fd_of(theirs)]
        if feed == "pipe":
            options["stdin"], write_end = os.pipe()
            source = "-"
        elif feed == "tcp":
            left, right = tcp_pair()
            fds.append(right.fileno())
            source = f"fd:{right.fileno()}"
        running = start("copy", source, f"fd:{fd_of(theirs)}", pass_fds=fds, **options)
        if feed == "pipe":
            os.close(options["stdin"])
            feeder = Feeder(write_end, data, end_it=False)
        elif feed == "tcp":
            right.close()
            feeder = Feeder(left, data, end_it=False)
        settle(running)
        check(running.running(), f"{what}: ended with a full sink: {running.err()}")
        check(os.get_blocking(fd_of(theirs)), f"{what}: O_NONBLOCK was set on an inherited sink")
        began = time.monotonic()
        running.signal(signal.SIGTERM)
        result = running.finish(5).expect(143)
        check(time.monotonic() - began < 4,
              f"{what}: took {time.monotonic() - began:.1f} s to stop")
        result.says(r"delivered")
        close(theirs)
        close(ours)
        if feed == "pipe":
            os.close(write_end)
        elif feed == "tcp":
            left.close()
PY
