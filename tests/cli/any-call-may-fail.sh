#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each system call that the command makes is made to fail in turn, whatever it is for: the bytes
# are right or the failure is told, an atomic sink is whole or absent, no byte of a pipe is
# unaccounted for, and nothing crashes, hangs or stays behind.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import integrity

skip_under_sanitizer("it makes calls of its own")
DATA = random_bytes(300000)
OLD = b"\xa5" * 400000
# Their failure is no failure, cannot be told, or ends the test and not the command.
NEVER = {"exit_group", "exit", "rt_sigreturn", "restart_syscall", "brk", "execve"}
KINDS = ("new", "existing", "atomic", "append", "pipe", "to-tcp", "from-tcp", "to-pipe", "checksum", "durable",
         "resume")


class Faulty:
    """One kind of transfer with one call failing (or none, to see the calls)."""

    def __init__(self, kind, call=None, count=0, error=None):
        self.kind, self.call, self.count, self.error = kind, call, count, error

    def __str__(self):
        return f"{self.kind}, {self.error} from {self.call} number {self.count}"

    def go(self, place):
        """Runs it; sets what is to be judged."""
        self.place = scratch(place)
        self.path, self.out = file_with(DATA, f"{self.place}/in"), f"{self.place}/out"
        self.saved = f"{self.place}/saved"
        source, sink, options, extra = self.path, self.out, {}, []
        self.collector = self.rest = listener = None
        if self.kind in ("existing", "atomic", "append"):
            file_with(OLD, self.out)
        if self.kind in ("atomic", "append"):
            extra = [f"--{self.kind}"]
        elif self.kind == "checksum":
            extra = ["--checksum=sha256"]
        elif self.kind == "durable":
            extra = ["--sync", "--verify"]
        elif self.kind == "resume":
            file_with(DATA[:100001], self.out + ".partial")
            extra = ["--resume"]
        elif self.kind == "pipe":
            options["stdin"], write_end = os.pipe()
            source, extra = "-", ["--salvage", self.saved]
        elif self.kind == "from-tcp":
            listener = tcp_listener()
            source = tcp_address(listener)
        elif self.kind == "to-tcp":
            sink_listener = tcp_listener()
            sink, self.collector = tcp_address(sink_listener), Collector(sink_listener, True)
        elif self.kind == "to-pipe":
            read_end, options["stdout"] = os.pipe()
            sink, self.collector = "-", Collector(read_end)
        rules = [f"{self.call}:error={self.error}:when={self.count}"] if self.call else []
        running = Traced(["copy", "--json", *extra, source, sink], trace="all", inject=rules,
                         **options)
        if self.kind == "pipe":
            Feeder(write_end, DATA)
        elif self.kind == "to-pipe":
            os.close(options["stdout"])
        elif listener:
            listener.settimeout(0.05)
            while running.running():
                try:
                    Feeder(listener.accept()[0], DATA)
                    break
                except socket.timeout:
                    continue
        self.result = running.finish(15)
        self.calls = running.calls()
        if self.kind == "pipe":
            self.rest = Collector(options["stdin"]).result()

    def run(self, place):
        self.go(place)
        if not any(call.injected for call in self.calls):
            return  # the calls came in another order
        result, body = self.result, content(self.out) if os.path.exists(self.out) else None
        check(result.status in (0, 1, 2, 3), f"{self}: {result}")
        if result.status:
            check(re.search(r"^sluice: ", result.err, re.M), f"{self}: says nothing: {result}")
        same_bytes(content(self.path), DATA, f"the source, {self}")
        whole = {"append": OLD + DATA}.get(self.kind, DATA)
        if result.status == 0:
            if self.collector:
                same_bytes(self.collector.result(), whole, f"{self}: success")
            else:
                same_bytes(body or b"", whole, f"{self}: success")
        if self.kind == "resume":
            kept = content(self.out + ".partial") if os.path.exists(self.out + ".partial") else DATA
            check(len(kept) > 100000, f"{self}: only {len(kept)} bytes are kept: {result}")
            same_bytes(kept, DATA[:len(kept)], f"{self}: what is kept")
        if self.kind in ("new", "checksum", "durable", "resume"):
            check(body in (None, DATA), f"{self}: half a sink: {result}")
        elif self.kind == "atomic":
            check(body in (OLD, DATA), f"{self}: half a sink: {result}")
        elif self.kind == "append":
            check((body or b"").startswith(OLD), f"{self}: what was there is gone: {result}")
            check((OLD + DATA).startswith(body), f"{self}: wrong bytes were appended: {result}")
        elif self.kind == "pipe":
            self._nothing_lost(body or b"")
        if not self.call.startswith("unlink"):
            no_leftovers(self.place, "in", "out", "saved", "out.partial")

    def _nothing_lost(self, body):
        salvaged = content(self.saved) if os.path.exists(self.saved) else b""
        if self.result.status == 0 and os.path.exists(self.saved):  # it could not be removed
            check(self.saved in self.result.err and not salvaged, f"{self}: a salvage file of "
                  f"{len(salvaged)} bytes after a success: {self.result}")
        elif self.result.status == 0 or '"lost":0' in self.result.out.decode():
            same_bytes(body + salvaged + self.rest, DATA, f"sink, salvaged and rest, {self}")


def faults_of(kind):
    """Every call of its main program, with the count that --inject wants."""
    plain = Faulty(kind)
    plain.go(None)
    plain.result.expect(0)
    names = [call.name for call in plain.calls]
    loader = names.index("munmap") + 1 if "munmap" in names else 1  # those before are the loader's
    counts = {}
    for number, call in enumerate(plain.calls):
        counts[call.name] = counts.get(call.name, 0) + 1
        messages = re.match(r"[12]<", call.arguments) and call.name == "write"
        if number < loader or call.name in NEVER or messages:
            continue
        for error in ("EIO", "ENOMEM", "EINTR") if ALL else ("EIO",):
            yield Faulty(kind, call.name, counts[call.name], error)


def share(cases, worker, workers):
    return cases[worker::workers]


chosen = KINDS if ALL else ("new", "atomic", "pipe", "from-tcp", "to-tcp", "durable", "resume")
count = integrity.run_cases([fault for kind in chosen for fault in faults_of(kind)], share)
note(f"{count} faults")
check(count > 150, f"only {count} faults were made")
PY
