#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every call that serves /metrics and the agent-check fails, again and again, with every errno that
# matters: a request may end without an answer, the relay goes on, keeps no descriptor, and drains in the end.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"
need_command strace

scenario <<'PY'
from relays import *

FAULTS = [(call, error) for call, errors in (
    ("recvfrom", ("ECONNRESET", "EINTR", "EAGAIN", "ENOMEM")),
    ("sendto", ("ECONNRESET", "EPIPE", "EINTR", "EAGAIN", "ENOBUFS")),
    ("shutdown", ("ENOTCONN", "ENOBUFS")),
    ("epoll_ctl", ("ENOMEM", "ENOSPC")),
    ("accept4", ("ECONNABORTED", "EMFILE", "ENFILE", "ENOMEM", "EINTR")),
    ("getrusage", ("EFAULT",)),
) for error in errors]


def under(fault):
    call, error = fault
    # The first calls are those of the start; from then on every third one fails.
    first = {"epoll_ctl": 8}.get(call, 1)
    relay = Relay("-v", "--metrics=:0", "--agent-check=:0", target=":1", env=TRACEABLE,
                  prefix=["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                          "-e", f"inject={call}:error={error}:when={first}+3"])
    ports = [relay.port("metrics"), relay.port("agent-check")]
    answers = 0
    for i in range(18):
        peer = socket.create_connection(("127.0.0.1", ports[i % 2]))
        peer.settimeout(LIMIT)
        try:
            if i % 2 == 0:
                peer.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        except OSError:
            pass
        data = read_to_end(peer)
        peer.close()
        whole = data.endswith(b"\r\n\r\nok\n") or re.fullmatch(rb"(ready )?100%\n", data)
        check(whole or not data or b"%" not in data, f"{call}={error}: a part of a line: {data!r}")
        answers += bool(whole)
    check(answers >= 6, f"{call}={error}: {answers} answers of 18")
    note(f"{call}={error}: {answers} answers of 18")
    check(relay.running(), f"{call}={error}: it has ended: {relay.err()}")
    relay_pid = int(proc(relay.pid, f"task/{relay.pid}/children").split()[0])
    wait_for(lambda: len(os.listdir(f"/proc/{relay_pid}/fd")) <= 16,
             f"{call}={error}: the descriptors to be closed", 15)
    os.kill(relay_pid, signal.SIGTERM)
    result = relay.finish()
    if call != "epoll_ctl":
        result.expect(0)
    result.never_says("Sanitizer|assert|core dumped")


for some in range(0, len(FAULTS), 6):
    each(under, FAULTS[some:some + 6])
PY
