#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# docs/scale-out.md, for real: a client, HAProxy, three relays and a service, each in a network namespace
# of its own on one virtual wire, with the configuration and the command of that page as they stand. Under
# load one relay is killed and one is drained: no new connection fails, what is drained ends whole, and
# the counters are HAProxy's.
#
# timeout: 180
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"
need_root
need_command haproxy
need_command ip
need_command nsenter

scenario <<'PY'
import csv
import shutil
from relays import Metrics, read_to_end

PAGE = os.path.join(os.environ["SOURCE_ROOT"], "docs/scale-out.md")
CLIENT, HAPROXY, SERVICE = "10.0.0.2", "10.0.0.1", "10.0.0.20"
RELAYS = ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
BIND, PORT = "10.0.0.1:8080", 8080


def block(language):
    found = re.search(rf"^```{language}\n(.*?)^```$", content(PAGE).decode(), re.M | re.S)
    return found.group(1) if found else fail(f"no block of {language} in {PAGE}")


# ---- the wire: namespaces that live as long as a process, so that nothing can be left behind ----

class Space:
    """A network namespace, held by a process that sleeps in it."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        started.append(self.holder)
        own = os.readlink("/proc/self/ns/net")

        def is_apart():
            try:
                return os.readlink(f"/proc/{self.holder.pid}/ns/net") != own
            except OSError:
                return False
        wait_for(is_apart, "a network namespace")
        self.inside = ["nsenter", "-t", str(self.holder.pid), "-n", "--"]

    def run(self, *words):
        done = subprocess.run([*self.inside, *words], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else fail(f"{words}: {done.stderr}")

    def start(self, *words, out=None):
        process = subprocess.Popen([*self.inside, *words], stdin=subprocess.DEVNULL,
                                   stdout=out or subprocess.DEVNULL, stderr=out)
        started.append(process)
        return process


def wire():
    """The bridge is where HAProxy is; everybody else has a cable to it."""
    middle = Space()
    middle.run("ip", "link", "add", "wire", "type", "bridge", "forward_delay", "0")
    middle.run("ip", "addr", "add", f"{HAPROXY}/24", "dev", "wire")
    middle.run("ip", "link", "set", "wire", "up")
    middle.run("ip", "link", "set", "lo", "up")
    spaces = {HAPROXY: middle}
    for number, address in enumerate([CLIENT, SERVICE, *RELAYS]):
        space = spaces[address] = Space()
        middle.run("ip", "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0",
                   "netns", str(space.holder.pid))
        middle.run("ip", "link", "set", f"to{number}", "master", "wire")
        middle.run("ip", "link", "set", f"to{number}", "up")
        space.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        space.run("ip", "link", "set", "eth0", "up")
        space.run("ip", "link", "set", "lo", "up")
    return spaces


# ---- the service, and its clients: programs of their own, in their namespaces ----

# Wants a PROXY header (version 2) that names the client; answers with the relay's address (4 bytes), and
# then with what it is sent.
SERVICE_PROGRAM = f"""
import asyncio, socket
async def serve(reader, writer):
    try:
        head = await reader.readexactly(16)
        rest = await reader.readexactly(int.from_bytes(head[14:], "big"))
        assert head[:14] == b"\\r\\n\\r\\n\\0\\r\\nQUIT\\n\\x21\\x11", head
        assert socket.inet_ntoa(rest[:4]) == "{CLIENT}", rest
        assert socket.inet_ntoa(rest[4:8]) == "{HAPROXY}", rest
        writer.write(socket.inet_aton(writer.get_extra_info("peername")[0]))
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except (OSError, asyncio.IncompleteReadError) as error:
        print(repr(error), flush=True)
    except AssertionError as error:
        print("no such header:", error, flush=True)
    writer.close()
async def main():
    await (await asyncio.start_server(serve, "{SERVICE}", {PORT}, backlog=512)).serve_forever()
asyncio.run(main())
"""

# Short conversations from eight threads, and long ones, which standard input ends or makes pause. A line of JSON for each: when it began, ended, by which relay, and what went wrong.
CLIENT_PROGRAM = f"""
import json, os, random, socket, sys, threading, time
stop, end_all, pause = threading.Event(), {{}}, {{}}
lock = threading.Lock()
def say(**what):
    with lock:
        print(json.dumps(what), flush=True)
def take(peer, wanted):
    data = bytearray()
    while len(data) < wanted:
        piece = peer.recv(wanted - len(data))
        if not piece:
            raise OSError(f"ended after {{len(data)}} of {{wanted}}")
        data += piece
    return bytes(data)
def converse(kind, number, work):
    began, via, sent = time.monotonic(), "", 0
    try:
        with socket.create_connection(("{HAPROXY}", {PORT}), timeout=20) as peer:
            via = socket.inet_ntoa(take(peer, 4))
            if kind == "long":
                say(kind="held", number=number, via=via)
            for data in work():
                peer.sendall(data)
                sent += len(data)
                if take(peer, len(data)) != data:
                    raise OSError("other bytes came back")
            peer.shutdown(socket.SHUT_WR)
            if peer.recv(1):
                raise OSError("more came back than was sent")
        error = ""
    except OSError as problem:
        error = repr(problem)
    say(kind=kind, number=number, began=began, ended=time.monotonic(), via=via, sent=sent,
        error=error)
def shorts(number):
    dice = random.Random(number)
    while not stop.is_set():
        converse("short", number, lambda: [dice.randbytes(dice.randint(1, 60000))])
        time.sleep(0.01)
def long_work(number):
    dice = random.Random(1000 + number)
    while not end_all[number].is_set():
        yield dice.randbytes(20000)
        end_all[number].wait(60 if pause[number].is_set() else 0.05)
threads = [threading.Thread(target=shorts, args=(i,)) for i in range(8)]
for i in range(9):
    end_all[i], pause[i] = threading.Event(), threading.Event()
    threads.append(threading.Thread(target=lambda i=i: converse("long", i, lambda: long_work(i))))
for thread in threads:
    thread.start()
for line in sys.stdin:
    word, *numbers = line.split()
    if word in ("end", "pause"):
        for number in numbers:
            (end_all if word == "end" else pause)[int(number)].set()
    elif word == "stop":
        stop.set()
for thread in threads:
    thread.join()
"""


class Clients:
    def __init__(self, space):
        self.out = tempfile.TemporaryFile()
        self.process = subprocess.Popen([*space.inside, "/usr/bin/python3", "-c", CLIENT_PROGRAM],
                                        stdin=subprocess.PIPE, stdout=self.out, text=True)
        started.append(self.process)

    def said(self, **wanted):
        text = os.pread(self.out.fileno(), 1 << 26, 0).decode()
        lines = [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]
        return [line for line in lines if all(line.get(k) == v for k, v in wanted.items())]

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def held_by(self, relay):
        return [line["number"] for line in self.said(kind="held", via=relay)]


# ---- the relays ----

def start_relays(spaces):
    words = shlex.split(block("sh").replace("\\\n", " "))
    equal(words[:2], ["sluice", "relay"], "the command of the page")
    relays = {}
    for address in RELAYS:
        own = [word.replace(RELAYS[0], address) for word in words[1:]]
        relays[address] = start(*own, prefix=spaces[address].inside, cwd="/")
    for relay in relays.values():
        relay.address()
    return relays


def fetch(spaces, address, path):
    program = f"import urllib.request as u; print(u.urlopen('http://{address}:9100{path}', " \
        "timeout=10).read().decode(), end='')"
    return spaces[HAPROXY].run("/usr/bin/python3", "-c", program)


# ---- HAProxy ----

class HAProxy:
    def __init__(self, space):
        self.socket = os.path.join(scratch("/tmp"), "admin.sock")
        text = block("haproxy")
        check("/run/haproxy/admin.sock" in text, "the socket's path stands in the page")
        path = file_with(text.replace("/run/haproxy/admin.sock", self.socket).encode())
        self.log = tempfile.TemporaryFile()
        self.process = space.start("haproxy", "-db", "-f", path, out=self.log)
        wait_for(lambda: os.path.exists(self.socket), "HAProxy's socket")

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(LIMIT)
            peer.connect(self.socket)
            peer.sendall(command.encode() + b"\n")
            return read_to_end(peer).decode()

    def servers(self):
        """The row of each server, by its address."""
        rows = csv.DictReader(self.ask("show stat relays 4 -1").removeprefix("# ").splitlines())
        return {row["addr"].split(":")[0]: row for row in rows}

    def status(self, address):
        return self.servers()[address]["status"]


# ---- the scenario ----

def conversations(clients, **wanted):
    return [line for line in clients.said(**wanted) if line["kind"] in ("short", "long")]


def no_new_failures(clients, since, what, but_in_flight=False):
    """Of those that began later. (Those that were in flight when a relay was killed may be cut.)"""
    failed = [line for line in conversations(clients) if line["error"]]
    later = [line for line in failed if line["began"] >= since]
    check(not later, f"{what}: {len(later)} new connections failed: {later[:3]}")
    if not but_in_flight:
        check(not failed, f"{what}: {failed[:3]}")


def agree(spaces, haproxy, address, what):
    """HAProxy's counters of a server, and the relay's own. Nothing must be moving there."""
    def equals():
        row = haproxy.servers()[address]
        mine = Metrics(fetch(spaces, address, "/metrics"))
        theirs = tuple(int(row[key]) for key in ("stot", "bin", "bout"))
        ours = (int(mine["connections_accepted_total"]),
                int(mine['bytes_total{direction="to_target"}']),
                int(mine['bytes_total{direction="to_client"}']))
        found.append((theirs, ours))
        return theirs == ours
    found = []
    try:
        wait_for(equals, f"the counters to agree, {what}", 15)
    except Fatal:
        problem(f"{what}: HAProxy counts {found[-1][0]} (connections, bytes in, bytes out), the "
                f"relay {found[-1][1]}")
    note(f"{what}: connections, bytes in and out: {found[-1][1]}, as HAProxy counts them")


spaces = wire()
service_log = tempfile.TemporaryFile()
spaces[SERVICE].start("/usr/bin/python3", "-c", SERVICE_PROGRAM, out=service_log)
relays = start_relays(spaces)
haproxy = HAProxy(spaces[HAPROXY])
killed, drained, stays = RELAYS
wait_for(lambda: all(row["status"] == "UP" and row["agent_status"] == "CHECKED" and
                     row["weight"] == "1" for row in haproxy.servers().values()), "all relays up", 20)

clients = Clients(spaces[CLIENT])
wait_for(lambda: len(clients.said(kind="held")) == 9, "nine long conversations", 20)
wait_for(lambda: len(conversations(clients)) >= 100, "a hundred short conversations", 30)
check(all(clients.held_by(relay) for relay in RELAYS), "each relay holds long conversations")
no_new_failures(clients, 0, "before anything happened")

# One is killed: what went by it is cut, and nothing else.
asked = time.monotonic()
relays[killed].signal(signal.SIGKILL)
relays[killed].process.wait()
moment = time.monotonic()  # until now its kernel may have accepted what nobody took
wait_for(lambda: haproxy.status(killed).startswith("DOWN"), "the killed relay to be down", 20)
count = len(conversations(clients))
wait_for(lambda: len(conversations(clients)) >= count + 50, "50 conversations more", 30)
no_new_failures(clients, moment, "one relay killed", but_in_flight=True)
cut = [line for line in conversations(clients) if line["error"]]
check(all(line["via"] in (killed, "") and line["ended"] >= asked for line in cut),
      f"only what went by the killed relay is cut: {cut[:3]}")
equal(sorted(line["number"] for line in cut if line["kind"] == "long"),
      sorted(clients.held_by(killed)), "long conversations that were cut")

# One is drained: it gets nothing new, and what it has goes on to its end.
kept = clients.held_by(drained)
moment = time.monotonic()
relays[drained].signal(signal.SIGTERM)
# (By the agent's word; a moment later its health check says 503, too.)
wait_for(lambda: haproxy.status(drained).startswith(("DRAIN", "DOWN")), "it to be left out")
wait_for(lambda: "sluice_relay_draining 1" in fetch(spaces, drained, "/metrics"), "it to drain", 20)
count = len(conversations(clients))
wait_for(lambda: len(conversations(clients)) >= count + 100, "100 conversations more", 30)
no_new_failures(clients, moment, "one relay drained", but_in_flight=True)
failed = [line for line in conversations(clients) if line["error"] and line not in cut]
check(not failed, f"while one is drained nothing fails: {failed[:3]}")
check(relays[drained].running(), "the drained relay waits for its connections")
late = [line for line in conversations(clients, via=drained) if line["began"] > moment + 6]
check(not late, f"new connections by the drained relay: {late[:3]}")

# All end but one of its own, which is silent while the counters are compared; and then that, too.
for number in kept[:-1]:
    clients.tell("end", number)
wait_for(lambda: all(clients.said(kind="long", number=number) for number in kept[:-1]),
         "the long conversations of the drained relay to end")
clients.tell("stop")
clients.tell("end", *[number for number in range(9) if number not in kept[-1:]])
clients.tell("pause", *kept[-1:])
wait_for(lambda: len(clients.said(kind="long")) == 8, "all but one to end")
agree(spaces, haproxy, stays, "the relay that stays")
agree(spaces, haproxy, drained, "the drained relay")
clients.tell("end", *kept[-1:])
wait_for(lambda: len(clients.said(kind="long")) == 9, "the last one to end")
relays[drained].finish(20).expect(0)
clients.process.stdin.close()
equal(clients.process.wait(30), 0, "the clients' end")

done = conversations(clients)
whole = [line for line in done if not line["error"]]
check(all(not line["error"] for line in clients.said(kind="long") if line["via"] != killed),
      "long conversations that were not by the killed relay are whole")
equal(os.pread(service_log.fileno(), 4096, 0).decode().count("no such header"), 0,
      "wrong headers at the service")
relays[stays].signal(signal.SIGTERM)
relays[stays].finish(20).expect(0)
note(f"{len(whole)} conversations whole, {len(cut)} cut by the kill, "
     f"{len(conversations(clients, via=drained))} by the drained relay")
PY
