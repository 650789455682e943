# SPDX-License-Identifier: MIT
"""What it costs to start and copy 1 KiB, against cat, with cat against itself as the control."""

import os
import shutil
import subprocess
from statistics import median

from .intervals import Target, geometric_mean, interval
from .paths import KIB

TARGET = Target(1.1, at_least=False)
SIZE = KIB
MEASURES = ("wall", "cpu")


def startup(setting, program, rounds, say):
    """Yields a JSON-ready object for each place that the output goes to."""
    source = setting.scratch.source("tmpfs", SIZE)
    places = {
        "/dev/null": "/dev/null",
        "a file on tmpfs": setting.scratch.name("tmpfs", "sink"),
        "a file on disk": setting.scratch.name("disk", "sink"),
    }
    for label, output in places.items():
        say(f"start-up and 1 KiB into {label}")
        samples = _spawn(setting, program, source, output, rounds)
        yield {
            "output": label,
            "bytes": SIZE,
            "medians_us": _medians(samples),
            "ratios": {measure: _judge(samples, measure) for measure in MEASURES},
            "samples_us": samples,
        }


def _spawn(setting, program, source, output, rounds):
    """{name: {measure: one value a round}}"""
    cat = shutil.which("cat")
    commands = {
        "sluice": (os.path.abspath(program), "copy", source, "-"),
        "cat": (cat, source),
        "cat again": (cat, source),
    }
    arguments = [word for command in commands.values() for word in ("--", *command)]
    done = subprocess.run(
        (os.path.join(setting.tools, "spawn"), str(rounds), output, *arguments),
        stdout=subprocess.PIPE, text=True, check=True,
    )
    samples = {name: {measure: [] for measure in MEASURES} for name in commands}
    names = list(commands)
    for line in done.stdout.splitlines():
        number, wall, cpu = line.split()
        samples[names[int(number)]]["wall"].append(float(wall))
        samples[names[int(number)]]["cpu"].append(float(cpu))
    return samples


def _medians(samples):
    return {
        name: {measure: median(values) for measure, values in of_one.items()}
        for name, of_one in samples.items()
    }


def _judge(samples, measure):
    value = {name: of_one[measure] for name, of_one in samples.items()}
    held_against = map(geometric_mean, value["cat"], value["cat again"])
    ratio = interval([ours / cat for ours, cat in zip(value["sluice"], held_against)])
    control = interval([cat / again for cat, again in zip(value["cat"], value["cat again"])])
    return TARGET.judge(ratio, control)
