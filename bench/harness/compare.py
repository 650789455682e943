# SPDX-License-Identifier: MIT
"""sluice against the ceiling of each path, the ceiling against itself, and the peers, in turn."""

import random
from statistics import median

from .intervals import NOT_RESOLVED, Target, geometric_mean, interval
from .measure import RunFailed, check_sink, run_once
from .movers import CannotMove

SLUICE, CEILING, CONTROL = "sluice", "ceiling", "ceiling again"

TARGETS = {
    "throughput": Target(0.97, at_least=True),
    "cpu": Target(1.03, at_least=False),
}

MORE_AT_A_TIME = 5

# A round in which somebody fails does not count, and is reported; as many as this end the path.
MOST_FAILURES = 3


def compare(setting, path, contenders, peers, options, say):
    """Runs a path and returns everything about it as one JSON-ready object.

    contenders: {SLUICE: how, CEILING: how}; peers: {name: how}."""
    everyone = {**contenders, CONTROL: contenders[CEILING], **peers}
    left_out = _warm_up(setting, path, everyone, options.size)
    rounds, failures = [], []
    if SLUICE not in left_out and CEILING not in left_out:
        for name in left_out:
            everyone.pop(name)
        _fill_rounds(setting, path, everyone, options, say, rounds, failures)
    return _report(path, options, rounds, left_out, failures)


def _fill_rounds(setting, path, everyone, options, say, rounds, failures):
    chance = random.Random(options.seed)
    wanted, most = options.pairs, options.pairs + options.more
    while len(rounds) < wanted and len(failures) < MOST_FAILURES:
        say(f"{path.name}: round {len(rounds) + 1} of {wanted}")
        try:
            rounds.append(_one_round(setting, path, everyone, options.size, chance))
        except RunFailed as failure:
            failures.append(str(failure))
        if len(rounds) == wanted < most and _unresolved(_judge(rounds)):
            wanted = min(most, wanted + MORE_AT_A_TIME)


def _warm_up(setting, path, everyone, size):
    """One run of each that is not counted. Returns {name: why} of those that cannot do it."""
    left_out = {}
    for name, how in everyone.items():
        if name == CONTROL:
            continue
        try:
            run_once(setting, path, how, size)
            check_sink(setting, path, size)
        except CannotMove:
            left_out[name] = "has no way to"
        except RunFailed as failure:
            left_out[name] = str(failure)
    return left_out


def _one_round(setting, path, everyone, size, chance):
    """Everyone once, in an order of its own: {name: Run}."""
    order = list(everyone)
    chance.shuffle(order)
    done = {}
    for name in order:
        try:
            done[name] = run_once(setting, path, everyone[name], size)
        except RunFailed as failure:
            raise RunFailed(f"{name}: {failure}") from failure
    return done


def ratios(rounds, measure):
    """Two lists, one value a round: sluice to the ceiling (the mean of its two runs), and the
    ceiling to itself."""
    value = {
        name: [getattr(one[name], measure) for one in rounds] for name in (SLUICE, CEILING, CONTROL)
    }
    held_against = map(geometric_mean, value[CEILING], value[CONTROL])
    return (
        [ours / theirs for ours, theirs in zip(value[SLUICE], held_against)],
        [first / second for first, second in zip(value[CEILING], value[CONTROL])],
    )


def _judge(rounds):
    return {
        measure: target.judge(*(interval(values) for values in ratios(rounds, measure)))
        for measure, target in TARGETS.items()
    }


def _unresolved(judged):
    return any(one["verdict"] == NOT_RESOLVED for one in judged.values())


def _report(path, options, rounds, left_out, failures):
    names = list(rounds[0]) if rounds else []
    return {
        "path": path.name,
        "bytes": options.size or path.size,
        "pipe_size": path.pipe_size or None,
        "left_out": left_out,
        "failed_rounds": failures,
        "medians": {
            name: {
                "throughput": round(median(one[name].throughput for one in rounds), 4),
                "cpu": round(median(one[name].cpu for one in rounds), 5),
            }
            for name in sorted(names)
        },
        "ratios": _judge(rounds) if rounds else None,
        "rounds": [{name: run.as_json() for name, run in one.items()} for one in rounds],
    }
