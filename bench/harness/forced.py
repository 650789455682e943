# SPDX-License-Identifier: MIT
"""auto against every method forced by name: it has to win or tie, at every size."""

import random
from statistics import median

from . import movers
from .intervals import interval
from .measure import RunFailed, run_once
from .paths import GIB, KIB, MIB

METHODS = ("read-write", "mmap-write", "sendfile", "splice", "copy-range")
AUTO, CONTROL = "auto", "auto again"

# Small runs are short and noisy: more of them.
SIZES = ((4 * KIB, 4), (64 * KIB, 4), (MIB, 2), (GIB, 1))

WINS, TIES, LOSES = "wins", "ties", "loses"

# A ratio of auto to a method: is more of it better?
MEASURES = {"throughput": True, "cpu": False}


def forced(setting, path, program, options, say):
    """Yields a JSON-ready object for each size."""
    for size, factor in ((options.size, 1),) if options.size else SIZES:
        pairs = options.pairs * factor
        yield _one_size(setting, path, program, size, pairs, options.seed, say)


def _one_size(setting, path, program, size, pairs, seed, say):
    able, unable = _who_can(setting, path, program, size)
    everyone = {AUTO: movers.sluice(program), CONTROL: movers.sluice(program), **able}
    chance = random.Random(seed)
    rounds = []
    for number in range(pairs):
        say(f"{path.name}, {size} bytes: round {number + 1} of {pairs}")
        order = list(everyone)
        chance.shuffle(order)
        rounds.append({name: run_once(setting, path, everyone[name], size) for name in order})
    return {
        "path": path.name,
        "bytes": size,
        "unable": unable,
        "methods": {name: _against(rounds, name) for name in able},
        "rounds": [{name: run.as_json() for name, run in one.items()} for one in rounds],
    }


def _who_can(setting, path, program, size):
    able, unable = {}, {}
    for method in METHODS:
        how = movers.sluice(program, f"--method={method}")
        try:
            run_once(setting, path, how, size)
            able[method] = how
        except RunFailed as failure:
            unable[method] = str(failure)
    run_once(setting, path, movers.sluice(program), size)
    return able, unable


def _against(rounds, method):
    return {measure: _one_measure(rounds, method, measure) for measure in MEASURES}


def _one_measure(rounds, method, measure):
    value = {
        name: [getattr(one[name], measure) for one in rounds] for name in (AUTO, CONTROL, method)
    }
    ratio = interval([ours / theirs for ours, theirs in zip(value[AUTO], value[method])])
    control = interval([ours / again for ours, again in zip(value[AUTO], value[CONTROL])])
    return {
        "auto": round(median(value[AUTO]), 5),
        "method": round(median(value[method]), 5),
        "ratio": ratio.as_json(),
        "control": control.as_json(),
        "result": _result(ratio, control, MEASURES[measure]),
    }


def _result(ratio, control, more_is_better):
    """A tie is a difference that auto against itself shows too."""
    if ratio.low > max(1, control.high):
        return WINS if more_is_better else LOSES
    if ratio.high < min(1, control.low):
        return LOSES if more_is_better else WINS
    return TIES
