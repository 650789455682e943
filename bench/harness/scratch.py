# SPDX-License-Identifier: MIT
"""Scratch files: on the disk and in memory, removed whatever happens."""

import ctypes
import mmap
import os
import shutil
import tempfile

from .paths import MIB

BLOCK = 16 * MIB
WARM_FROM, WARM_MARGIN = 16 * MIB, 512 * MIB


class Scratch:
    """Two directories, one on a real disk and one on tmpfs, each with at most one source file and
    one sink file in it. Use it in a `with`: leaving removes both, also after Ctrl-C."""

    def __init__(self, disk_dir, memory_dir):
        self._block = os.urandom(BLOCK)
        self._directories = {}
        self._source_sizes = {}
        self._parents = {"disk": disk_dir, "tmpfs": memory_dir}

    def __enter__(self):
        for where, parent in self._parents.items():
            self._directories[where] = tempfile.mkdtemp(prefix="sluice-bench-", dir=parent)
        return self

    def __exit__(self, *_):
        for directory in self._directories.values():
            shutil.rmtree(directory, ignore_errors=True)

    def name(self, where, leaf):
        return os.path.join(self._directories[where], leaf)

    def source(self, where, size):
        """A file of that size, in the page cache. It is made longer or shorter, never made anew."""
        path = self.name(where, "source")
        if self._source_sizes.get(where) == size:
            return path
        with open(path, "ab") as file:
            if file.tell() > size:
                file.truncate(size)
            while file.tell() < size:
                file.write(self._block[: min(BLOCK, size - file.tell())])
            os.fsync(file.fileno())
        read_through(path)
        self._source_sizes[where] = size
        return path

    def new_sink(self, where):
        """A name that is free."""
        path = self.name(where, "sink")
        remove(path)
        return path


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def read_through(path):
    buffer = bytearray(MIB)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def same_bytes(path, other):
    with open(path, "rb", buffering=0) as first, open(other, "rb", buffering=0) as second:
        while True:
            block = first.read(MIB)
            if block != second.read(MIB):
                return False
            if not block:
                return True


def holds_only(path, byte):
    with open(path, "rb", buffering=0) as file:
        while block := file.read(MIB):
            if block.count(byte) != len(block):
                return False
    return True


def warm_free_memory(size):
    """Touches more than twice the memory that a sink in the page cache will take, and frees it. In
    a virtual machine a page that the host has taken back costs several times as much at its first
    touch; that would be charged to whoever happens to run next. The host is quick to take back what
    is free, so this is the last thing before a run."""
    if size < WARM_FROM:
        return
    size = min(2 * size + WARM_MARGIN, available_memory() // 2)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    first_byte = ctypes.c_char.from_buffer(memory)
    ctypes.memset(ctypes.addressof(first_byte), 1, size)
    del first_byte
    memory.close()


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        for line in meminfo:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no MemAvailable in /proc/meminfo")
