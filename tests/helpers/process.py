# SPDX-License-Identifier: MIT
"""What the kernel says of a process, for the scenarios of the command."""
import os
import re
import signal
import time

from verdicts import check, wait_for


def proc(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def status_of(pid, key):
    match = re.search(rf"^{key}:\s*(\S+)", proc(pid, "status"), re.M)
    return match.group(1) if match else ""


def anonymous_of(pid):
    """Bytes of memory that are the process' own."""
    return int(status_of(pid, "RssAnon") or 0) * 1024


def state_of(pid):
    return status_of(pid, "State") or "gone"


def cpu_of(pid):
    """Seconds of processor time, user and system, from /proc/PID/stat."""
    fields = proc(pid, "stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def switches_of(pid):
    return sum(int(status_of(pid, key) or 0)
               for key in ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))


def catches(*commands, seconds=20):
    """Waits until the commands catch SIGTERM: from then on they can be interrupted in their work."""
    def caught(each):
        return not each.running() or \
            int(status_of(each.pid, "SigCgt") or "0", 16) >> (signal.SIGTERM - 1) & 1
    wait_for(lambda: all(map(caught, commands)), "these to catch SIGTERM: "
             + ", ".join(map(str, commands)), seconds)


def _asleep(commands):
    before = [switches_of(each.pid) for each in commands]
    time.sleep(0.05)
    return all(state_of(each.pid) == "S" for each in commands) and \
        before == [switches_of(each.pid) for each in commands]


def settle(*commands, seconds=20):
    """Waits until the commands sleep and stay asleep."""
    names = ", ".join(str(each) for each in commands)
    states = "".join(state_of(each.pid) for each in commands)
    wait_for(lambda: _asleep(commands), f"these to sleep (now {states}): {names}", seconds)


def settles(command, seconds=20):
    """Waits until the command sleeps and stays asleep, or has ended: whether it sleeps."""
    wait_for(lambda: not command.running() or _asleep([command]), f"{command} to sleep", seconds)
    return command.running()


def idle_cost_nothing(commands, seconds=0.5):
    """While they have nothing to do they must neither spin nor wake up again and again; given are
    pairs of a command and what it is."""
    before = [(cpu_of(running.pid), switches_of(running.pid)) for running, _ in commands]
    time.sleep(seconds)
    for (running, what), (cpu, switches) in zip(commands, before):
        if not check(running.running(), f"{what}: it has ended, not waited: {running.err()}"):
            continue
        cpu, switches = cpu_of(running.pid) - cpu, switches_of(running.pid) - switches
        check(cpu <= 0.03, f"{what}: {cpu:.2f} s of CPU in {seconds} s of idleness")
        check(switches <= 20 * seconds,
              f"{what}: woke up {switches} times in {seconds} s of idleness")


def idle_costs_nothing(running, what, seconds=0.5):
    """The same for one."""
    idle_cost_nothing([(running, what)], seconds)
