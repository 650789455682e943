# SPDX-License-Identifier: MIT
"""Who moves the bytes: sluice, the ceiling, and the peers, each with its own way of being told."""

import os
import shutil
from dataclasses import dataclass

STDIN, STDOUT = "stdin", "stdout"


@dataclass(frozen=True)
class Ends:
    """What one run moves from and to. A path, a port or a socket's path, as the kinds have it; a
    pipe is the mover's standard input or output."""

    source: str
    sink: str
    source_file: str = ""
    sink_file: str = ""
    listen_port: int = 0
    connect_port: int = 0
    connect_path: str = ""

    @property
    def is_file_to_file(self):
        return bool(self.source_file and self.sink_file)


@dataclass(frozen=True)
class Command:
    """A program's arguments, and which of the ends it has as standard input and output."""

    arguments: tuple
    stdin: bool = False
    stdout: bool = False


class CannotMove(Exception):
    """This program has no way to move between these kinds."""


def _source_address(ends):
    if ends.source_file:
        return ends.source_file
    if ends.source == "tcp":
        return f"tcp-listen:127.0.0.1:{ends.listen_port}"
    return "-"


def _sink_address(ends):
    if ends.sink_file:
        return ends.sink_file
    if ends.sink == "tcp":
        return f"tcp:127.0.0.1:{ends.connect_port}"
    if ends.sink == "unix":
        return f"unix:{ends.connect_path}"
    return "null:" if ends.sink == "null" else "-"


def _by_address(program):
    """sluice, the ceilings, and the peers of ours take the same two addresses."""

    def command(ends):
        source, sink = _source_address(ends), _sink_address(ends)
        return Command((*program, source, sink), stdin=source == "-", stdout=sink == "-")

    return command


def sluice(program, *options):
    return _by_address((program, "copy", *options))


def ceiling(program):
    return _by_address((program,))


def _through_stdio(program, *options):
    """Programs that read the file they are given, else standard input, and write to standard
    output."""

    def command(ends):
        if ends.source == "tcp" or ends.sink in ("tcp", "unix"):
            raise CannotMove
        source = (ends.source_file,) if ends.source_file else ()
        return Command((program, *options, *source), stdin=not source, stdout=True)

    return command


def _cp(program):
    def command(ends):
        if not ends.is_file_to_file:
            raise CannotMove
        return Command((program, ends.source_file, ends.sink_file))

    return command


def _dd(program):
    def command(ends):
        if ends.source == "tcp" or ends.sink in ("tcp", "unix"):
            raise CannotMove
        source = (f"if={ends.source_file}",) if ends.source_file else ()
        sink = (f"of={ends.sink_file}",) if ends.sink_file else ()
        return Command(
            (program, "bs=1M", "status=none", *source, *sink), stdin=not source, stdout=not sink
        )

    return command


def _mbuffer(program):
    def command(ends):
        if ends.sink == "unix":
            raise CannotMove
        source = sink = ()
        if ends.source_file:
            source = ("-i", ends.source_file)
        elif ends.source == "tcp":
            source = ("-I", f"127.0.0.1:{ends.listen_port}")
        if ends.sink_file:
            sink = ("-o", ends.sink_file)
        elif ends.sink == "tcp":
            sink = ("-O", f"127.0.0.1:{ends.connect_port}")
        return Command((program, "-q", *source, *sink), stdin=not source, stdout=not sink)

    return command


def _socat(program):
    sinks = {
        "pipe": lambda ends: "STDOUT",
        "null": lambda ends: "OPEN:/dev/null,wronly",
        "tcp": lambda ends: f"TCP:127.0.0.1:{ends.connect_port}",
        "unix": lambda ends: f"UNIX-CONNECT:{ends.connect_path}",
    }

    def command(ends):
        if ends.source_file:
            source = f"OPEN:{ends.source_file},rdonly"
        elif ends.source == "tcp":
            source = f"TCP-LISTEN:{ends.listen_port},bind=127.0.0.1,reuseaddr"
        else:
            source = "STDIN"
        sink = f"CREATE:{ends.sink_file}" if ends.sink_file else sinks[ends.sink](ends)
        return Command(
            (program, "-u", "-b", "131072", source, sink),
            stdin=source == "STDIN",
            stdout=sink == "STDOUT",
        )

    return command


_INSTALLED = (
    ("cat", "cat", _through_stdio),
    ("cp", "cp", _cp),
    ("dd", "dd", _dd),
    ("pv", "pv", lambda program: _through_stdio(program, "-q")),
    ("mbuffer", "mbuffer", _mbuffer),
    ("socat", "socat", _socat),
)

OURS = (("go io.Copy", "go-copy"), ("rust io::copy", "rust-copy"))


def peers(built_directory):
    """{name: command}, of the programs that are on this machine."""
    found = {}
    for name, program, how in _INSTALLED:
        where = shutil.which(program)
        if where:
            found[name] = how(where)
    for name, program in OURS:
        where = os.path.join(built_directory, program)
        if os.access(where, os.X_OK):
            found[name] = _by_address((where,))
    return found
