#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `sluice bench` is interrupted at random moments: whatever it was at, no file, no process, no socket and no
# cgroup is left, nothing is shown, and the status says by which signal it ended.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import glob

directory = scratch()
seed = random.SystemRandom().randrange(1 << 32)
print(f"moments by {seed}")
moments = random.Random(seed)
BENCH = [*SLUICE, "bench"]
peer = subprocess.Popen([*BENCH, "--peer", "127.0.0.1:0"], stderr=subprocess.PIPE)
started.append(peer)
to = "127.0.0.1:" + peer.stderr.readline().decode().strip().rsplit(":", 1)[1]


def marked(mark):
    """Processes that come of that command, in whatever session they are."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            if mark.encode() in content(path) and state_of(path.split("/")[2])[0] not in "ZXg":
                found.append(int(path.split("/")[2]))
        except OSError:
            pass  # it has gone, or is not ours
    return found


def sockets(processes):
    links = []
    for pid in processes:
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                links.append(os.readlink(path))
            except OSError:
                pass
    return {link[8:-1] for link in links if link.startswith("socket:")}


def open_sockets():
    """Inodes of those that somebody has; who is in TIME-WAIT has none."""
    tables = {"tcp": 9, "tcp6": 9, "unix": 6, "udp": 9}
    return {line.split()[place] for table, place in tables.items()
            for line in proc("self", f"net/{table}").splitlines()[1:]}


def groups(pid):
    return [path for part in ("", "/memory")
            for path in glob.glob(f"/sys/fs/cgroup{part}/**/sluice-bench.{pid}", recursive=True)]


KINDS = {"paths": ["--time=30", "--size=16M"],
         "every path": ["--full", "--time=60", "--size=1M", "--rounds=9"],
         "broker": ["--only=broker", "--size=16M", "--time=30"],
         "network": [f"--to={to}", "--size=4M", "--time=30"]}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


def interrupt(kind, number, whole_group):
    mark = f"SLUICE_TEST_MARK={seed}.{kind}.{number}.{whole_group}"
    what = f"{kind}, {signal.Signals(number).name}{' to all' if whole_group else ''}"
    name, value = mark.split("=")
    process = subprocess.Popen([*BENCH, "--json", "-q", "--disk", directory, *KINDS[kind]],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                               env={**os.environ, name: value})
    started.append(process)
    wait_for(lambda: int(status_of(process.pid, "SigCgt") or "0", 16) >> (signal.SIGTERM - 1) & 1
             or process.poll() is not None, f"{what}: that it catches signals")
    time.sleep(moments.random() * 2)
    had = sockets(marked(mark))
    os.killpg(process.pid, number) if whole_group else process.send_signal(number)
    out, err = process.communicate(timeout=30)
    wanted = -number if number == signal.SIGKILL else 128 + number
    equal(process.returncode, wanted, f"{what}: status: {err}")
    equal(out, b"", f"{what}: shown when it was interrupted")
    wait_for(lambda: not marked(mark), f"{what}: that all processes end, of which there are still {marked(mark)}")
    equal(had & open_sockets(), set(), f"{what}: sockets left")
    equal(groups(process.pid), [], f"{what}: cgroups left")
    no_leftovers(directory)


for kind in KINDS:
    for number in SIGNALS:
        interrupt(kind, number, whole_group=moments.random() < 0.5)
equal(peer.poll(), None, "the peer has gone with who left it")
peer.terminate()
equal(peer.wait(10), 128 + signal.SIGTERM, "status of the peer")
PY
