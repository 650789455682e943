#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sluice relay against the hand-written ceiling, HAProxy, nginx, socat and Go, in turn.

    bench/relay                 everything, some hours
    bench/relay --quick         small, few rounds: a look, not a result
    bench/relay --only 'bulk-*' some loads, by name
    bench/relay --list          their names

One worker each, and then two (--workers). Each run starts a relay anew, loads it from one process that
is both its clients and its target, and reads the CPU time of the relay's threads (schedstat). The runs
of a round come in random order; a figure is a median, and a ratio the median of the rounds' ratios
with a bootstrap interval of 95 %."""

import argparse
import fnmatch
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from statistics import median

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import network  # noqa: E402
from harness.intervals import interval  # noqa: E402
from harness.report import table  # noqa: E402

GIB = 1 << 30
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))



def raise_limit():
    """Both ends of ten thousand connections are in one process. Returns how many descriptors it may have; above the
    hard limit only who has CAP_SYS_RESOURCE."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open("/proc/sys/fs/nr_open", encoding="ascii") as file:
        most = int(file.read())
    for limit in (max(hard, min(40000, most)), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit
        except (ValueError, OSError):
            pass
    return hard


DESCRIPTORS = raise_limit()
BESIDE = 2150  # descriptors: pipes, most of them
# Two descriptors a connection, in the relay and in who loads it: ten thousand, or what there is room for.
MOST = max(100, min(10000, (DESCRIPTORS - BESIDE - 32) // 200 * 100))
MANY = (*(many for many in (100, 1000) if many < MOST), MOST)
# name: (mode, connections, size, amount, idle)
LOADS = {
    "bulk-1": ("bulk", 1, 2 * GIB, 0, 0),
    "bulk-16": ("bulk", 16, 2 * GIB, 0, 0),
    "bulk-256": ("bulk", 256, 2 * GIB, 0, 0),
    **{f"ask-{size}-{connections}": ("ask", connections, size, amount, 0)
       for size in (64, 1024, 16384)
       for connections, amount in ((1, 30000), (16, 60000), (256, 60000))},
    "open-1": ("open", 1, 64, 8000, 0),
    "open-16": ("open", 16, 64, 10000, 0),
    "open-256": ("open", 256, 64, 10000, 0),
    # What many connections cost: all of them at work, and some among many that are idle.
    **{f"bulk-{many}": ("bulk", many, 2 * GIB, 0, 0) for many in MANY},
    **{f"ask-{size}-{many}": ("ask", many, size, amount, 0)
       for size, amount in ((64, 100000), (16384, 50000)) for many in MANY},
    **{f"ask-64-16-idle-{many}": ("ask", 16, 64, 60000, many) for many in MANY},
    **{f"open-16-idle-{many}": ("open", 16, 64, 10000, many) for many in MANY},
}
# A cost that is to be the same however many connections there are: of an exchange, a byte, a connection.
FLAT = {"bulk-{}": "cpu_per_gib", "ask-64-{}": "cpu_us_each", "ask-16384-{}": "cpu_us_each",
        "ask-64-16-idle-{}": "cpu_us_each", "open-16-idle-{}": "cpu_us_each"}


def free_port():
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]


def haproxy(splices):
    def command(options, port, target, scratch):
        path = os.path.join(scratch, "haproxy.cfg")
        splice = "option splice-request\n option splice-response\n" if splices else ""
        with open(path, "w", encoding="ascii") as file:
            file.write(f"""global
 nbthread {options.workers}
 maxconn {options.haproxy_most}
 maxpipes 1000
defaults
 mode tcp
 timeout connect 5s
 timeout client 60s
 timeout server 60s
 {splice}
listen all
 bind 127.0.0.1:{port} backlog 4096
 server one 127.0.0.1:{target}
""")
        return ["haproxy", "-db", "-q", "-f", path]
    return command


def nginx(options, port, target, scratch):
    path = os.path.join(scratch, "nginx.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; worker_processes {options.workers}; pid {scratch}/nginx.pid; error_log /dev/null;
worker_rlimit_nofile 30000;
events {{ worker_connections 24000; }}
stream {{ server {{ listen 127.0.0.1:{port} backlog=4096{' reuseport' if options.workers > 1 else ''};
 proxy_pass 127.0.0.1:{target}; tcp_nodelay on; }} }}
""")
    return ["nginx", "-c", path, "-p", scratch, "-e", "/dev/null"]


def go_relay(options, port, target, _):
    return ["env", f"GOMAXPROCS={options.workers}", os.path.join(options.build, "bench/go-relay"),
            f"127.0.0.1:{port}", f"127.0.0.1:{target}"]


CONTENDERS = {
    "sluice": lambda o, p, t, _: [o.sluice, "relay", "-q", "-t", str(o.workers), f":{p}", f":{t}"],
    "ceiling": lambda o, p, t, _: [f"{o.build}/bench/relay-ceiling", o.how, str(p), str(t)],
    "ceiling again": lambda o, p, t, _: [f"{o.build}/bench/relay-ceiling", o.how, str(p), str(t)],
    "haproxy splicing": haproxy(True),
    "haproxy": haproxy(False),
    "nginx": nginx,
    "go": go_relay,
    "socat": lambda o, p, t, _: ["socat", "-b", "262144",
                                 f"TCP-LISTEN:{p},reuseaddr,fork,nodelay,backlog=4096",
                                 f"TCP:127.0.0.1:{t},nodelay"],
}
def keeps_too_many_pipes(load):
    return LOADS[load][0] == "bulk" and LOADS[load][1] > 1000


# Socat's process a connection would take the machine from the others; a ceiling keeps two pipes for each
# connection, and has no descriptors left.
LEFT_OUT = {"socat": lambda load: LOADS[load][0] == "open" or LOADS[load][1] + LOADS[load][4] > 16,
            "ceiling": keeps_too_many_pipes, "ceiling again": keeps_too_many_pipes}


def instances(name, options):
    """A ceiling has one thread: two of them share the port."""
    return options.workers if name.startswith("ceiling") else 1


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def wait_for_children(pid):
    until = time.monotonic() + 5
    while children_of(pid) and time.monotonic() < until:
        time.sleep(0.01)


def wait_for_listen(port, process):
    wanted = f":{port:04X} "
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with open("/proc/net/tcp", encoding="ascii") as file:
            if any(wanted in line.split("rem")[0][:30] and " 0A " in line for line in file):
                return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError("the relay does not listen")


def run_once(name, load, options, scratch):
    mode, connections, size, amount, idle = LOADS[load]
    size, amount = (size // options.less, amount) if mode == "bulk" else (size, amount // options.less)
    words = [f"{options.build}/bench/relay-load", mode, connections, size, amount, idle]
    port = free_port()
    forks = name == "socat"
    loader = subprocess.Popen(
        [str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    options.how = "splice" if mode == "bulk" else "copy"
    target = int(loader.stdout.readline().split()[1])
    relays = [
        subprocess.Popen(CONTENDERS[name](options, port, target, scratch),
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(instances(name, options))
    ]
    try:
        for relay in relays:
            wait_for_listen(port, relay)
        time.sleep(0.05)
        pids = [relay.pid for relay in relays]
        pids += [child for pid in pids for child in children_of(pid)]
        loader.stdin.write(" ".join(map(str, [port, *pids])) + "\n")
        loader.stdin.flush()
        try:
            said = loader.communicate(timeout=120)[0].split()
        except subprocess.TimeoutExpired as late:
            raise RuntimeError(f"{name}, {load}: it did not end") from late
    finally:
        loader.kill()
        usage = 0.0
        if forks:  # what its processes used is known when it has waited for them
            wait_for_children(relays[0].pid)
        for relay in relays:
            relay.send_signal(signal.SIGTERM)
            try:
                _, _, used = os.wait4(relay.pid, 0)
                usage += used.ru_utime + used.ru_stime
                relay.returncode = 0
            except ChildProcessError:
                pass
    if loader.returncode != 0 or len(said) < 4:
        raise RuntimeError(f"{name}, {load}: the load failed")
    found = {key: float(value) for key, value in zip(said[::2], said[1::2])}
    if forks:
        found["cpu"] = usage
    if mode == "bulk":
        found["cpu_per_gib"] = found["cpu"] / (size / GIB)
        found["gib_per_s"] = size / GIB / found["seconds"]
    else:
        found["cpu_us_each"] = found["cpu"] / amount * 1e6
        found["per_s"] = amount / found["seconds"]
    return found


MEASURES = {"bulk": ("cpu_per_gib", "gib_per_s"), "ask": ("p50", "p99", "cpu_us_each", "per_s"),
            "open": ("per_s", "p50", "p99", "cpu_us_each")}


def measure(load, names, options):
    chance = random.Random(options.seed)
    names = [name for name in names if not LEFT_OUT.get(name, lambda _: False)(load)]
    runs, failures = {name: [] for name in names}, []
    for number in range(options.rounds + 1):  # the first is not counted
        order = names[:]
        chance.shuffle(order)
        for name in order:
            if sys.stderr.isatty():
                print(f"\r\033[K{load} {number} {name}", end="", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix="relay-bench.", dir="/dev/shm") as scratch:
                os.chmod(scratch, 0o755)
                try:
                    found = run_once(name, load, options, scratch)
                except RuntimeError as failure:
                    failures.append(str(failure))
                    continue
            if number > 0:
                runs[name].append(found)
    return {"load": load, "workers": options.workers, "runs": runs, "failures": failures}


def show(result):
    measures = MEASURES[LOADS[result["load"]][0]]
    base = result["runs"].get("sluice")
    rows = []
    for name, runs in result["runs"].items():
        if not runs:
            continue
        row = [name]
        for one in measures:
            row.append(f"{median(run[one] for run in runs):.3f}")
            pairs = [ours[one] / theirs[one] for ours, theirs in zip(base, runs) if theirs[one]]
            row.append("" if name == "sluice" or not pairs else str(interval(pairs)))
        rows.append(row)
    header = [f"{result['load']}, {result['workers']} workers"]
    for one in measures:
        header += [one, "sluice / it"]
    print(table(header, rows))
    for failure in sorted(set(result["failures"])):
        print(f"    failed: {failure}, {result['failures'].count(failure)} times")
    print(flush=True)


def show_flatness(results):
    """What each costs with few connections and with many, and how many times more that is."""
    found = {result["load"]: result["runs"] for result in results}
    rows = []
    for pattern, measured in FLAT.items():
        for name in found.get(pattern.format(MANY[0]), {}):
            costs = {}
            for many in MANY:
                runs = found.get(pattern.format(many), {}).get(name)
                if runs:
                    costs[many] = median(run[measured] for run in runs)
            if len(costs) > 1:
                cells = [f"{costs[many]:.3f}" if many in costs else "" for many in MANY]
                rows.append([name, pattern.format("N"), measured, *cells,
                             f"{costs[max(costs)] / costs[min(costs)]:.2f}"])
    if rows:
        print(table(["connections: N", "load", "measure", *map(str, MANY), "most / least"], rows))
        print(flush=True)


def versions(options):
    asked = {"sluice": [options.sluice, "--version"], "haproxy": ["haproxy", "-v"],
             "nginx": ["nginx", "-v"], "socat": ["socat", "-V"], "go": ["go", "version"],
             "kernel": ["uname", "-sr"], "cc": ["cc", "--version"]}
    found = {}
    for name, command in asked.items():
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = (done.stdout + done.stderr).strip().splitlines()
            found[name] = lines[1 if name == "socat" and len(lines) > 1 else 0]
    return found


def main():
    parser = argparse.ArgumentParser(
        prog="bench/relay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--build", default=os.environ.get("BUILD", os.path.join(ROOT, "build")), metavar="DIR")
    add("--sluice", metavar="PROGRAM", help="the command (DIR/cli/sluice)")
    add("--quick", action="store_true", help="small and few rounds")
    add("--only", action="append", metavar="LOAD", help="loads by name, * and ? allowed")
    add("--against", metavar="NAMES", help="contenders, separated by commas")
    add("--rounds", type=int, metavar="N", help="rounds of each load (9)")
    add("--workers", type=int, default=1, metavar="N", help="threads of each (%(default)s)")
    add("--json", metavar="FILE", help="everything measured (DIR/bench-relay.json)")
    add("--seed", type=int, default=1)
    add("--list", action="store_true", help="the names of the loads")
    options = parser.parse_args()
    if options.list:
        print("\n".join(LOADS))
        return
    options.sluice = options.sluice or os.path.join(options.build, "cli", "sluice")
    options.json = options.json or os.path.join(options.build, "bench-relay.json")
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.less = 8 if options.quick else 1
    options.haproxy_most = min(12000, (DESCRIPTORS - BESIDE) // 2)
    loads = [load for load in LOADS
             if any(fnmatch.fnmatch(load, pattern) for pattern in options.only or ["*"])]
    names = options.against.split(",") if options.against else list(CONTENDERS)
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        parser.error(f"no contender is named {unknown[0]!r}: {', '.join(CONTENDERS)}")
    if not loads:
        parser.error("no load is named so; --list names them")
    names = ["sluice", *(name for name in names if name != "sluice")]
    build = subprocess.run(["ninja", "-C", options.build, "bench-programs"], check=False,
                           stdout=subprocess.PIPE, text=True)
    if build.returncode != 0:
        sys.exit(f"bench/relay: cannot build what is measured with:\n{build.stdout}")
    names = [name for name in names
             if name != "go" or os.path.exists(os.path.join(options.build, "bench/go-relay"))]
    for load in loads[:]:
        if 2 * (LOADS[load][1] + LOADS[load][4]) + BESIDE > DESCRIPTORS:
            print(f"{load}: left out, a process may have {DESCRIPTORS} descriptors only")
            loads.remove(load)
    found = {"versions": versions(options), "network": network.enter(), "results": []}
    print("  ".join(f"{name}: {what}" for name, what in found["versions"].items()))
    print(f"network: {found['network']}\n")
    if MOST < 10000:
        print(f"{MOST} connections are the most: a process may have {DESCRIPTORS} descriptors only\n")
    for load in loads:
        result = measure(load, names, options)
        found["results"].append(result)
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
        show(result)
    show_flatness(found["results"])
    print(f"every run is in {options.json}")


if __name__ == "__main__":
    main()
