# SPDX-License-Identifier: MIT
"""Medians, bootstrap intervals of ratios, and the verdict on a target."""

import math
import random
from dataclasses import asdict, dataclass
from statistics import median

RESAMPLES = 10_000
CONFIDENCE = 0.95

MET, NOT_MET, NOT_RESOLVED = "met", "not met", "not resolved"


@dataclass(frozen=True)
class Interval:
    """A median and the interval that holds it with 95 % confidence."""

    median: float
    low: float
    high: float

    @property
    def width(self):
        return self.high - self.low

    def as_json(self):
        return {key: round(value, 6) for key, value in asdict(self).items()}

    def __str__(self):
        return f"{self.median:.3f} [{self.low:.3f} {self.high:.3f}]"


def interval(values, seed=0):
    """The percentile bootstrap of the median. The seed is fixed, so that the same runs always give
    the same interval."""
    chance = random.Random(seed)
    medians = sorted(
        median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES)
    )
    tail = (1 - CONFIDENCE) / 2
    return Interval(
        median(values),
        medians[int(tail * RESAMPLES)],
        medians[min(RESAMPLES - 1, int((1 - tail) * RESAMPLES))],
    )


def geometric_mean(first, second):
    return math.sqrt(first * second)


@dataclass(frozen=True)
class Target:
    """What a ratio is to reach: at least (throughput) or at most (CPU) the value."""

    value: float
    at_least: bool

    def reached_by(self, ratios):
        return ratios.high >= self.value if self.at_least else ratios.low <= self.value

    def bettered_by(self, ratios):
        """Even the bad end of the interval reaches it."""
        return ratios.low >= self.value if self.at_least else ratios.high <= self.value

    def judge(self, ratios, control):
        """The verdict and what it rests on, ready for JSON."""
        return {
            "ratio": ratios.as_json(),
            "control": control.as_json(),
            "target": self.value,
            "verdict": self.verdict(ratios, control),
            "better_throughout": self.bettered_by(ratios),
        }

    def verdict(self, ratios, control):
        """Met if the interval contains or betters the target and is no wider than the control's."""
        if not self.reached_by(ratios):
            return NOT_MET
        return MET if ratios.width <= control.width else NOT_RESOLVED
