#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Random kinds, flags, pieces, pauses, chunks, pipe sizes, rates and signals, the same in every
# run: nothing is lost, nothing hangs, and when the sink breaks at a random moment every byte is
# accounted for.
# timeout: 200
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import integrity

STREAMS = {"pipe": os.pipe, "tcp": lambda: tcp_pair(8192, 8192), "tcp-large": tcp_pair,
           "unix": unix_pair, "terminal": raw_terminal}


def catches(pid, number):
    """Whether the process has a handler for this signal by now."""
    return int(status_of(pid, "SigCgt") or "0", 16) >> (number - 1) & 1


class Weather:
    """One transfer under random conditions."""

    def __init__(self, number):
        self.number, rng = number, random.Random(number)
        self.rng = rng
        self.source = rng.choice(["pipe", "tcp", "tcp-large", "unix", "file"])
        self.sink = rng.choice(["pipe", "tcp", "tcp-large", "unix", "terminal", "file"])
        self.method = rng.choice(["auto", "auto", "splice", "read-write"])
        self.size = rng.choice([0, 1, 4096, 65536, rng.randrange(1, 5000),
                                rng.randrange(1, 400000), rng.randrange(1, 400000)])
        self.breaks = self.sink in ("pipe", "tcp", "unix") and self.source != "file" and \
            rng.random() < 0.4
        self.options = ["--json", f"--method={self.method}"]
        if rng.random() < 0.4:
            self.options.append(f"--chunk={rng.choice([1, 7, 512, 4096, 5000, 65536])}")
            if self.options[-1] in ("--chunk=1", "--chunk=7"):
                self.size = min(self.size, 3000)
        if rng.random() < 0.3:
            self.options.append(f"--pipe-size={rng.choice([4096, 8192, 65536])}")
        if rng.random() < 0.2:
            self.options.append("--rate=4M")
        if rng.random() < 0.3:
            self.options.append("--idle-timeout=20")
        self.signals = rng.random() < 0.3
        self.name = f"number {number}: {self.source} -> {self.sink}, {self.size} bytes, " + \
            f"{' '.join(self.options)}{', breaks' if self.breaks else ''}"

    def __str__(self):
        return self.name

    def _piece(self):
        return self.rng.choice([1, 100, 1460, 4096, 20000, 70000])

    def _pace(self, longest):
        """How a peer goes about it: bytes at a time, and a pause after each."""
        piece, pause = self._piece(), self.rng.choice([0, 0, longest])
        return {"piece": piece, "pause": pause if self.size // piece < 300 else 0}

    def run(self, directory):
        rng, data, fds = self.rng, random_bytes(self.size, 7), []
        saved = os.path.join(directory, f"saved.{self.number}")
        out = os.path.join(directory, f"out.{self.number}")
        feeding = reading = keep = None

        def flag(end):
            if rng.random() < 0.5:
                os.set_blocking(fd_of(end), False)

        if self.source == "file":
            taking = os.open(file_with(data, out + ".in"), os.O_RDONLY)
        elif self.source == "pipe":
            taking, feeding = os.pipe()
            if rng.random() < 0.3:
                fcntl.fcntl(taking, F_SETPIPE_SZ, 4096)
            flag(taking)
        else:
            feeding, taking = STREAMS[self.source]()
            flag(taking)
        if self.sink == "file":
            giving = os.open(out, os.O_RDWR | os.O_CREAT, 0o600)
        else:
            reading, giving = STREAMS[self.sink]()
            if self.sink == "terminal":
                keep = os.dup(giving)
            flag(giving)
        running = start("copy", *self.options, "--salvage", saved, f"fd:{fd_of(taking)}",
                        f"fd:{fd_of(giving)}", pass_fds=[fd_of(taking), fd_of(giving)])
        close(giving)
        if not self.breaks:
            close(taking)
        # The source pauses once, and what it said so far must come through meanwhile.
        silent_at = rng.randrange(self.size + 1) if not self.breaks and rng.random() < 0.6 else None
        if feeding is not None and silent_at is None:
            Feeder(feeding, data, **self._pace(0.002))
        elif feeding is not None:
            Feeder(feeding, data[:silent_at], end_it=False, **self._pace(0.002))
        if self.breaks:
            got, most = bytearray(), rng.randrange(0, self.size + 1)
            end = time.monotonic() + rng.choice([0.01, 0.05, 0.1])
            os.set_blocking(fd_of(reading), False)
            while len(got) < most and time.monotonic() < end:
                try:
                    piece = os.read(fd_of(reading), self._piece())
                    if not piece:
                        break
                    got += piece
                except BlockingIOError:
                    time.sleep(0.001)
            close(reading)
            self._account(running, data, got, saved, taking)
            return
        collector, late = None, threading.Event()
        if reading is not None:
            collector = Collector(reading, hold=late, **self._pace(0.001))
        if rng.random() < 0.5:
            time.sleep(0.03)  # the sink gets full
        late.set()
        if feeding is not None and silent_at is not None:
            self._wait_for(silent_at, running, collector, out)
            Feeder(feeding, data[silent_at:], **self._pace(0.002))
        while self.signals and running.running():
            if not catches(running.pid, signal.SIGUSR1):
                continue
            running.signal(signal.SIGUSR1)
            time.sleep(0.003)
        if keep is not None:
            wait_for(lambda: len(collector.data) == len(data) or not running.running(),
                     self.name, 20)
            time.sleep(0.01)
            os.close(keep)
        result = running.finish()
        if result.status and self.method == "splice" and result.ledger()["delivered"] == 0:
            return  # by name it may refuse an inherited descriptor
        if not check(result.status == 0, f"{self}: {result}"):
            return
        same_bytes(collector.result() if collector else content(out), data, self.name)
        check(not os.path.exists(saved), f"{self}: a salvage file after a success")
        equal(result.ledger()["delivered"], len(data), f"delivered, {self}")

    def _wait_for(self, count, running, collector, out):
        def arrived():
            found = len(collector.data) if collector else os.path.getsize(out)
            return found >= count or not running.running()
        wait_for(arrived, f"{count} bytes, while the source is silent; {self}", 10)

    def _account(self, running, data, got, saved, taking):
        result = running.finish()
        ledger = result.ledger()
        check(result.status in (0, 1), f"{self}: {result}")
        os.set_blocking(fd_of(taking), True)
        rest = Collector(taking).result()
        salvaged = content(saved) if os.path.exists(saved) else b""
        delivered, taken = ledger["delivered"], ledger["taken"]
        same_bytes(bytes(got), data[:len(got)], f"what was read, {self}")
        check(delivered >= len(got), f"{self}: {len(got)} were read, but {delivered} delivered")
        same_bytes(salvaged, data[delivered:taken], f"salvaged, {self}")
        same_bytes(rest, data[taken:], f"the rest, {self}")
        equal(ledger["lost"], 0, f"lost, {self}")


def share(cases, worker, workers):
    return cases[worker::workers]


first = int(os.environ.get("SEED", "0")) * 100000
count = integrity.run_cases([Weather(first + number) for number in range(6000 if ALL else 250)],
                            share)
note(f"{count} transfers")
PY
