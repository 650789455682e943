# SPDX-License-Identifier: MIT
"""What a process costs, as seen from outside of it: `perf stat` attached to it, and the usage that
wait4(2) tells whoever traces it (ptrace(2)). A process is taken from the moment when it asks for
its own usage, as who measures itself does, until it begins to exit: what the kernel then does to be
rid of it, perf does not see.

A tracer can tell a process's usage where only its parent could wait for it, and takes nothing away:
the parent learns of the end afterwards.
"""
import ctypes
import os
import platform
import signal
import subprocess

PTRACE_CONT, PTRACE_DETACH, PTRACE_SYSCALL = 7, 17, 24
PTRACE_SEIZE, PTRACE_GET_SYSCALL_INFO = 0x4206, 0x420e
TRACESYSGOOD, TRACEFORK, TRACEEXIT, EXITKILL, EVENT_EXIT = 1, 2, 64, 1 << 20, 6
WALL, ENTRY = 0x40000000, 1
RUSAGE_SELF = 0
# Of getrusage and read.
NUMBERS = {"x86_64": (98, 0), "aarch64": (165, 63), "riscv64": (165, 63), "i686": (77, 3)}
EVENTS = {"raw_syscalls:sys_enter": "calls", "context-switches": "switches", "page-faults": "faults"}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Call(ctypes.Structure):
    _fields_ = [("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32),
                ("ip", ctypes.c_uint64), ("sp", ctypes.c_uint64), ("number", ctypes.c_uint64),
                ("argument", ctypes.c_uint64 * 6)]


def ptrace(request, pid, address=None, data=None):
    """False: it has gone."""
    if libc.ptrace(request, pid, address, data) >= 0:
        return True
    error = ctypes.get_errno()
    if error == 3:  # ESRCH
        return False
    raise OSError(error, f"ptrace({request:#x}): {os.strerror(error)}")


class PerfStat:
    """perf stat, attached to a process that is stopped; it counts when this returns."""

    def __init__(self, pid):
        orders, self.ack = os.pipe(), os.pipe()
        self.out = os.memfd_create("perf", 0)
        self.process = subprocess.Popen(
            ["perf", "stat", "-x", ",", "-o", f"/proc/self/fd/{self.out}", "-D", "-1", "--control",
             f"fd:{orders[0]},{self.ack[1]}", "-e", ",".join(EVENTS), "-p", str(pid)],
            pass_fds=(orders[0], self.ack[1], self.out), stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        os.write(orders[1], b"enable\n")
        os.close(self.ack[1])
        answer = os.read(self.ack[0], 16)
        for fd in (*orders, self.ack[0]):
            os.close(fd)
        if not answer.startswith(b"ack"):
            raise OSError(f"perf stat: {self.process.stderr.read().decode()}")

    def figures(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        lines = os.pread(self.out, 1 << 16, 0).decode().splitlines()
        os.close(self.out)
        fields = [line.split(",") for line in lines if line.count(",") > 3]
        return {EVENTS[field[2]]: float(field[0]) for field in fields}


def usage_between(before, after):
    names = {"user": "ru_utime", "system": "ru_stime", "voluntary": "ru_nvcsw", "involuntary": "ru_nivcsw",
             "minor": "ru_minflt", "major": "ru_majflt"}
    return {name: getattr(after, field) - getattr(before, field) for name, field in names.items()}


class Tracer:
    """Follows a command, and takes every child of it that asks for its own usage."""

    def __init__(self, command, perf, **options):
        self.perf = perf
        self.taken = []     # of each such child, in the order in which they ended
        self.asking = {}    # children: how often they stopped, -1: it asks for its usage
        self.measured = {}  # pid: usage before, perf
        self.getrusage, self.read = NUMBERS[platform.machine()]
        self.process = subprocess.Popen(command, **options)
        ptrace(PTRACE_SEIZE, self.process.pid, None, TRACESYSGOOD | TRACEFORK | TRACEEXIT | EXITKILL)

    def run(self):
        """Returns its exit status."""
        while True:
            pid, status, usage = os.wait4(-1, WALL)
            if not os.WIFSTOPPED(status):
                self.asking.pop(pid, None)
                if pid == self.process.pid:
                    self.process.returncode = os.waitstatus_to_exitcode(status)
                    return self.process.returncode
            elif pid == self.process.pid:
                self.go_on(pid, status, PTRACE_CONT)
            else:
                self.stopped(pid, status, usage)

    def go_on(self, pid, status, how):
        number = os.WSTOPSIG(status)
        own = status >> 16 or number & 0x7f == signal.SIGTRAP
        ptrace(how, pid, None, None if own else number)

    def stopped(self, pid, status, usage):
        if pid in self.measured:
            if status >> 16 == EVENT_EXIT:
                before, perf = self.measured.pop(pid)
                self.taken.append({**usage_between(before, usage), "perf": perf.figures() if perf else None})
            self.go_on(pid, status, PTRACE_CONT)
            return
        stops = self.asking.setdefault(pid, 0)
        if os.WSTOPSIG(status) != signal.SIGTRAP | 0x80:
            self.go_on(pid, status, PTRACE_SYSCALL)
            return
        if stops < 0:  # it has asked: from here on
            self.measured[pid] = usage, PerfStat(pid) if self.perf else None
            ptrace(PTRACE_CONT, pid)
            return
        call = Call()
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, ctypes.sizeof(call), ctypes.byref(call))
        asks = call.op == ENTRY and call.number == self.getrusage and call.argument[0] == RUSAGE_SELF
        reads = call.op == ENTRY and call.number == self.read and call.argument[2] > 1
        self.asking[pid] = -1 if asks else stops + 1
        if reads or stops > 200:  # it does other work: it is not slowed down
            self.asking.pop(pid)
            ptrace(PTRACE_DETACH, pid)
        else:
            ptrace(PTRACE_SYSCALL, pid)
