#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# While the command connects to a peer that does not answer, a signal ends it at once, SIGUSR1 does
# not, and the timeout holds all the same.
# serial: time is measured
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
path = file_with(random_bytes(1000))
deaf = socket.socket()
deaf.bind(("127.0.0.1", 0))
deaf.listen(0)
fillers = []
for _ in range(4):  # its backlog is full, so that further calls get no answer
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(deaf.getsockname())
    fillers.append(filler)
address = "tcp:127.0.0.1:%d" % deaf.getsockname()[1]


def ended_by(case):
    number, status = case
    running = start("copy", path, address)
    time.sleep(0.2)
    running.signal(signal.SIGUSR1)
    time.sleep(0.1)
    check(running.running(), f"SIGUSR1 ended a connect: {running.err()}")
    began = time.monotonic()
    running.signal(number)
    running.finish(5).expect(status)
    check(time.monotonic() - began < 5, f"signal {number} ended it late")


def timed_out(signals):
    running = start("copy", path, f"{address},connect-timeout=0.8")
    for _ in range(signals):
        time.sleep(0.15)
        running.signal(signal.SIGUSR1)
    result = running.finish(6).refused(1, r"timed out|timeout")
    within(result.seconds, 0.7, 6, f"seconds until the timeout, with {signals} signals")


each(ended_by, ((signal.SIGINT, 130), (signal.SIGTERM, 143)))
each(timed_out, (0, 1, 3))

# Names with several addresses are tried in turn; IPv6 in brackets.
listener = tcp_listener()
collector = Collector(listener, True)
copy(path, "tcp:localhost:%d" % listener.getsockname()[1]).expect(0)
same_bytes(collector.result(), content(path), "tcp:localhost")
if os.path.exists("/proc/net/if_inet6"):
    listener = socket.socket(socket.AF_INET6)
    listener.bind(("::1", 0))
    listener.listen(1)
    collector = Collector(listener, True)
    copy(path, "tcp:[::1]:%d" % listener.getsockname()[1]).expect(0)
    same_bytes(collector.result(), content(path), "tcp:[::1]")
PY
