# SPDX-License-Identifier: MIT
"""Every kind of source into every kind of sink, by every method, with every size and offset.

Knows what each method can serve (from what the kernel allows, not from what the command says), how
to choose cases that cover every pair of values, and how to run one case.
"""
import copy
import itertools
import os
import random
import re
import subprocess
import threading
import traceback

import scenario as s
from ends import before_of, sinks, sources  # noqa: F401

SIZES = (0, 1, 511, 4095, 4096, 4097, 65535, 65536, 65537, s.MIB - 1, s.MIB, s.MIB + 1)
SOURCE_OFFSETS = (0, 1, 4095, 4096, 65537)
SINK_OFFSETS = (None, 0, 1, 4096, 65537)
BEFORE = ("absent", "shorter", "longer")  # the sink's file before the transfer
UDP_MOST = 65536  # more at once, and loopback may drop what the receiver had no room for


# ---- what can serve what -------------------------------------------------------------------------

def fits(method, source, sink):
    """True: it must move the bytes. False: it must be refused. None: the kernel, or where the bytes
    lie, decides; then either, but never wrong bytes."""
    if method in ("auto", "read-write"):
        return True
    if source.has("message") or sink.has("message"):
        return None if method == "mmap-write" and source.has("page") else False
    if method == "direct":
        return fits_direct(source, sink)
    if method == "copy-range":
        if not (source.has("file") and sink.has("file")):
            return False
        if sink.has("unsure") or "fuse" in source.name + sink.name:
            return None
        if source.name == sink.name and source.name not in ("memfd", "inherited-file"):
            return True
        return None  # depends on which file system the other lies on
    if sink.has("append"):
        return method == "mmap-write" and source.has("page")
    # A read that waits would hold the user's pipe.
    may_wait = source.has("socket") or source.name == "block" or "fuse" in source.name
    if method == "sendfile":
        if source.has("unsure-sendfile"):
            return None
        if may_wait and sink.has("pipe"):
            return None
        if not source.has("sendfile"):
            return False
    elif method == "splice":
        if source.has("unsure-splice"):
            return None
    elif method == "mmap-write":
        if source.has("unsure-mmap") or (may_wait and sink.has("pipe")):
            return None
        if not source.has("page"):
            return False
        return None if sink.has("unsure") else True
    return None if sink.has("unsure") else True


def fits_direct(source, sink):
    """A file on a device at one end at least. Which of them has one, the machine decides."""
    if sink.has("append"):
        return False
    if source.has("unsure-splice") or sink.has("unsure"):
        return None
    disks = ("ext4", "xfs", "btrfs", "block")
    unsure = ("fuse", "fuse-direct", "inherited-file", "o-direct")
    if source.name in unsure or sink.name in unsure:
        return None
    return source.name in disks or sink.name in disks


# ---- cases ---------------------------------------------------------------------------------------

class Case:
    """One transfer."""

    def __init__(self, source, sink, method, size, source_offset=0, sink_offset=None,
                 before="absent"):
        self.source, self.sink, self.method, self.size = source, sink, method, size
        self.source_offset = source_offset if source.has("offset") else 0
        self.sink_offset = sink_offset if sink.has("offset") else None
        self.before = before

    def __str__(self):
        return (f"{self.source.name} -> {self.sink.name} by {self.method}, {self.size} bytes, "
                f"source offset {self.source_offset}, sink offset {self.sink_offset}, "
                f"sink {self.before}")

    def verdict(self):
        if self.method == "sendfile" and self.sink_offset is not None:
            return None  # the call has no offset of the sink: it may be refused for that
        return fits(self.method, self.source, self.sink)

    def possible(self):
        if self.source.has("small") or self.sink.has("small"):
            if self.size > UDP_MOST:
                return False
        if self.source.name == "block" and self.sink.name == "block":
            return False  # one device
        return fits(self.method, self.source, self.sink) is not False

    # What start() of the ends fills in.

    def inherit(self, fd):
        self.pass_fds.append(fd)
        self.close_when_started.append(fd)
        return f"fd:{fd}"

    def _prepare(self, directory):
        self.directory = directory
        self.data = s.random_bytes(self.size, 3)
        self.stdin, self.stdout, self.pass_fds = subprocess.DEVNULL, None, []
        self.close_when_started, self.close_at_end, self.when_started = [], [], []
        self.in_thread, self.threads, self.keep, self.remove = [], [], [], []
        self.need_length = self.no_source_option = self.no_sink_option = False
        self.sink_path = None
        self.wanted = lambda: self.data

    def run(self, directory, expect_refusal=False):
        """Runs the case, and says what is wrong through scenario's problem()."""
        self._prepare(directory)
        arguments = ["--json"]
        if self.method != "auto":
            arguments.append(f"--method={self.method}")
        source, sink = self.source.start(self), self.sink.start(self)
        if self.source_offset and not self.no_source_option:
            arguments += ["--offset", f"source={self.source_offset}"]
        if self.sink_offset is not None and not self.no_sink_option:
            arguments += ["--offset", f"sink={self.sink_offset}"]
        if self.need_length:
            arguments += ["--length", str(len(self.data))]
        running = s.start("copy", *arguments, source, sink, stdin=self.stdin, stdout=self.stdout,
                          pass_fds=self.pass_fds)
        for fd in self.close_when_started:
            os.close(fd)
        for job in self.in_thread:
            thread = threading.Thread(target=_quietly(job), daemon=True)
            thread.start()
            self.threads.append(thread)
        for job in self.when_started:
            try:
                job(running)
            except (s.Fatal, OSError):  # what was refused has ended before it listened
                if self.verdict() is True:
                    raise
        result = running.finish()
        if expect_refusal:
            self._check_refusal(result)
        else:
            self._check(result)
        for end in self.close_at_end:
            os.close(end)
        for path in self.remove:
            if os.path.exists(path):
                os.unlink(path)

    def _check(self, result):
        verdict = self.verdict()
        if result.status != 0 and verdict is None:
            self._check_refusal(result)
            return
        if not s.check(result.status == 0, f"{self}: {result}"):
            return
        s.same_bytes(self.collect(), self.wanted(), f"{self} [{result.command}]")
        ledger = result.ledger()
        s.equal(ledger["delivered"], len(self.data), f"delivered, {self}")
        if self.method != "auto":
            used = {leg["method"] for leg in ledger["legs"] if leg["bytes"]}
            s.check(used <= {self.method}, f"{self}: moved by {used}")

    def _check_refusal(self, result):
        if not s.check(result.status in (1, 3), f"{self}: should be refused: {result}"):
            return
        result.says(r"^sluice:")
        delivered = result.ledger().get("delivered", 0)
        if self.verdict() is False:
            result.says(re.escape(self.method))
            s.equal(delivered, 0, f"delivered, refused {self}")
        elif delivered:  # only an unaligned tail shows that it cannot go on
            s.check(self.sink.name == "o-direct", f"{self}: fails in the middle: {result}")
            s.same_bytes(self.collect()[:delivered], self.data[:delivered], f"{self}: the prefix")
        before = before_of(self)
        if self.sink_path and (self.verdict() is False or
                               (before is None and self.sink_offset is None)):
            if before is None:
                s.check(not os.path.exists(self.sink_path), f"{self}: refused, but made its sink")
            else:
                s.same_bytes(s.content(self.sink_path), before,
                             f"{self}: refused; the sink after it")


def _quietly(job):
    def run():
        try:
            job()
        except OSError:
            pass
    return run


def every_case(sources_, sinks_):
    """The whole: every pair, method and size; and every pair and method with each offset at three
    sizes."""
    methods = ("auto",) + s.METHODS_AND_DIRECT
    offsets = list(itertools.product(SOURCE_OFFSETS, SINK_OFFSETS))
    for source, sink, method in itertools.product(sources_, sinks_, methods):
        if fits(method, source, sink) is False:
            continue
        cases = [Case(source, sink, method, size, before=BEFORE[number % 3])
                 for number, size in enumerate(SIZES)]
        cases += [Case(source, sink, method, size, a, b, BEFORE[number % 3])
                  for size in (4097, 65536, s.MIB - 1) for number, (a, b) in enumerate(offsets)
                  if (not a or source.has("offset")) and (b is None or sink.has("offset"))]
        yield from (case for case in cases if case.possible())


def pairwise_cases(sources_, sinks_, seed=1):
    """Few cases in which every pair of values of two dimensions meets at least once (where the pair
    is possible at all): greedy, and the same in every run."""
    rng = random.Random(seed)
    dimensions = [sources_, sinks_, ("auto",) + s.METHODS_AND_DIRECT, SIZES, SOURCE_OFFSETS, SINK_OFFSETS,
                  BEFORE]
    index = range(len(dimensions))

    def pairs_of(values):
        return {(i, values[i], j, values[j]) for i in index for j in index if i < j}

    open_pairs = {(i, a, j, b) for i in index for j in index if i < j
                  for a in dimensions[i] for b in dimensions[j]}
    order = sorted(open_pairs, key=lambda p: (p[0], dimensions[p[0]].index(p[1]), p[2],
                                              dimensions[p[2]].index(p[3])))
    for pair in order:
        if pair not in open_pairs:
            continue
        best, best_gain = None, 0
        for _ in range(30):
            values = [rng.choice(dimension) for dimension in dimensions]
            values[pair[0]], values[pair[2]] = pair[1], pair[3]
            if not Case(*values).possible():
                continue
            gain = len(pairs_of(values) & open_pairs)
            if gain > best_gain:
                best, best_gain = values, gain
        if best:
            open_pairs -= pairs_of(best)
            yield Case(*best)
        else:
            open_pairs.discard(pair)


def share(cases, worker, workers):
    """This worker's part. There is one block device: the first worker has all its cases."""
    parts = {True: [], False: []}
    for case in cases:
        parts["block" in (case.source.name, case.sink.name)].append(case)
    return (parts[True] if worker == 0 else []) + parts[False][worker::workers]


def run_cases(cases, share=share, most_problems=12):
    """Runs them on every processor; returns how many. Stops early where nearly everything fails."""
    workers = os.cpu_count() or 1
    cases = list(cases)
    children = []
    for worker in range(workers):
        pid = os.fork()
        if pid == 0:
            s.started.clear()
            s.directories.clear()
            directory = s.scratch()
            try:
                for case in share(cases, worker, workers):
                    copy.copy(case).run(directory)  # its bytes go with the copy
                    if len(s.problems) >= most_problems:
                        print("too many problems: giving up", flush=True)
                        break
            except s.Fatal as reason:
                s.problem(f"{case}: {reason}")
            except BaseException:
                s.problem(f"{case}: broke:\n" + traceback.format_exc())
            s.clean_up()
            os._exit(1 if s.problems else 0)
        children.append(pid)
    for pid in children:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        s.check(code == 0, f"a part of the cases ended with {code}: see above")
    return len(cases)
