# SPDX-License-Identifier: MIT
"""The paths that are measured: a table, and what follows from it."""

from dataclasses import dataclass

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True)
class Path:
    """From one kind of end to another. `disk` is a file in --disk-dir, `tmpfs` one in
    --memory-dir; a pipe has the size given here on both sides."""

    name: str
    source: str  # disk, tmpfs, pipe, tcp
    sink: str  # disk, tmpfs, pipe, null, tcp, unix
    ceiling: str  # the program of bench/ceilings that is held against it
    size: int  # bytes a run, so that a run takes a few tenths of a second
    pipe_size: int = 0

    @property
    def source_is_file(self):
        return self.source in FILES

    @property
    def sink_is_file(self):
        return self.sink in FILES


FILES = ("disk", "tmpfs")

DEFAULT_PIPE, LARGE_PIPE = 64 * KIB, MIB


STRAIGHT, THROUGH_A_PIPE = "straight", "through-a-pipe"


def _pipe_paths(label, pipe_size, factor):
    yield Path(f"disk-pipe-{label}", "disk", "pipe", STRAIGHT, GIB * factor, pipe_size)
    yield Path(f"tmpfs-pipe-{label}", "tmpfs", "pipe", STRAIGHT, GIB * factor, pipe_size)
    yield Path(f"pipe-{label}-disk", "pipe", "disk", THROUGH_A_PIPE, GIB, pipe_size)
    yield Path(f"pipe-{label}-tmpfs", "pipe", "tmpfs", THROUGH_A_PIPE, GIB, pipe_size)
    yield Path(f"pipe-pipe-{label}", "pipe", "pipe", STRAIGHT, GIB, pipe_size)
    yield Path(f"pipe-{label}-null", "pipe", "null", THROUGH_A_PIPE, GIB * factor, pipe_size)


PATHS = (
    *_pipe_paths("64k", DEFAULT_PIPE, 1),
    *_pipe_paths("1m", LARGE_PIPE, 2),
    Path("disk-tcp", "disk", "tcp", THROUGH_A_PIPE, 2 * GIB),
    Path("tmpfs-tcp", "tmpfs", "tcp", THROUGH_A_PIPE, 2 * GIB),
    Path("disk-unix", "disk", "unix", THROUGH_A_PIPE, 2 * GIB),
    Path("tmpfs-unix", "tmpfs", "unix", THROUGH_A_PIPE, 2 * GIB),
    Path("tcp-disk", "tcp", "disk", THROUGH_A_PIPE, GIB),
    Path("tcp-tmpfs", "tcp", "tmpfs", THROUGH_A_PIPE, GIB),
    Path("tcp-tcp", "tcp", "tcp", THROUGH_A_PIPE, GIB),
    Path("disk-disk", "disk", "disk", THROUGH_A_PIPE, GIB),
    Path("tmpfs-tmpfs", "tmpfs", "tmpfs", THROUGH_A_PIPE, GIB),
    Path("disk-tmpfs", "disk", "tmpfs", THROUGH_A_PIPE, GIB),
    Path("tmpfs-disk", "tmpfs", "disk", THROUGH_A_PIPE, GIB),
)
