#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# splice(2) says "end" before TCP's urgent data: it is none, and what follows arrives.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data, out = random_bytes(300000), os.path.join(scratch(), "out")
for inline in (0, 1):
    for sink in ("file", "pipe"):
        for last in (False, True):  # whether anything follows the urgent byte
            ours, theirs = tcp_pair()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, inline)
            options, target = {}, out
            if sink == "pipe":
                reading, options["stdout"] = os.pipe()
                target, collector = "-", Collector(reading)
            running = start("copy", "--json", f"fd:{theirs.fileno()}", target,
                            pass_fds=[theirs.fileno()], **options)
            if sink == "pipe":
                os.close(options["stdout"])
            ours.sendall(data[:200000])
            ours.send(b"!", socket.MSG_OOB)
            time.sleep(0.05)
            if not last:
                ours.sendall(data[200000:])
            ours.close()
            running.finish().expect(0)
            expected = data[:200000] + b"!" * inline + (b"" if last else data[200000:])
            got = collector.result() if sink == "pipe" else content(out)
            same_bytes(got, expected, f"inline {inline}, {sink}, last {last}")

ours, theirs = tcp_pair()
running = start("copy", "--method=splice", f"fd:{theirs.fileno()}", out,
                pass_fds=[theirs.fileno()])
ours.sendall(data[:1000])
ours.send(b"!", socket.MSG_OOB)
ours.sendall(data[1000:])
ours.close()
running.finish().refused(1, "said end where there was none")

# While the connection lasts it says EAGAIN: what follows does not wait for the end.
ours, theirs = tcp_pair()
reading, writing = os.pipe()
running = start("copy", f"fd:{theirs.fileno()}", "-", pass_fds=[theirs.fileno()], stdout=writing)
os.close(writing)
ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
ours.sendall(data[:40000])
ours.send(b"!", socket.MSG_OOB)
ours.sendall(b"after")
got, timer = b"", threading.Timer(LIMIT, ours.close)
timer.start()
while len(got) < 40005 and (piece := os.read(reading, 100000)):
    got += piece
check(timer.is_alive(), "it comes before the end")
same_bytes(got, data[:40000] + b"after", "what comes while the connection lasts")
timer.cancel()
ours.close()
running.finish().expect(0)
PY
