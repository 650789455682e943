# SPDX-License-Identifier: MIT
"""What the measurements were taken on."""

import os
import platform
import subprocess
import time


def describe(disk_dir, memory_dir, programs):
    """programs: {name: argument list that prints a version}."""
    return {
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": " ".join(os.uname()[i] for i in (0, 2, 3, 4)),
        "system": _os_release(),
        "processor": _first("/proc/cpuinfo", "model name"),
        "processors": os.cpu_count(),
        "virtual": "hypervisor" in (_first("/proc/cpuinfo", "flags") or ""),
        "memory_kib": int((_first("/proc/meminfo", "MemTotal") or "0").split()[0]),
        "disk": _file_system(disk_dir),
        "tmpfs": _file_system(memory_dir),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "programs": {name: _version(arguments) for name, arguments in programs.items()},
    }


def one_line(machine):
    return (
        f"{machine['kernel'].rsplit(' ', 1)[0].split(' #')[0]}, "
        f"{machine['processors']} x {machine['processor']}, "
        f"{machine['memory_kib'] / (1 << 20):.0f} GiB; disk = {machine['disk']['type']}"
    )


def _first(path, key):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return None


def _os_release():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _file_system(directory):
    """The mount that holds the directory: the longest mount point that is a prefix of it."""
    directory = os.path.realpath(directory)
    best = {"point": "", "type": None, "options": None}
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, point, kind, options, *_ = line.split()
            if os.path.commonpath((directory, point)) == point and len(point) >= len(best["point"]):
                best = {"point": point, "type": kind, "options": options}
    return best


def _version(arguments):
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=10, check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        return str(error)
    words = (done.stdout or done.stderr).strip().splitlines()
    return words[0] if words else None
