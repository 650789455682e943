# SPDX-License-Identifier: MIT
"""Waiting for a moment in which nobody else wants a processor."""

import time

ENOUGH_LOOKS, LOOK_EVERY, GIVE_UP_AFTER = 4, 0.005, 2.0


def wait_until_quiet():
    """True if several looks in a row found no task running but this one; False if that did not
    happen in time. The run takes place anyway, and has the answer in its record."""
    looks, give_up = 0, time.monotonic() + GIVE_UP_AFTER
    while looks < ENOUGH_LOOKS:
        if time.monotonic() > give_up:
            return False
        looks = looks + 1 if _running_tasks() <= 1 else 0
        time.sleep(LOOK_EVERY)
    return True


def _running_tasks():
    with open("/proc/loadavg", encoding="ascii") as loadavg:
        return int(loadavg.read().split()[3].split("/")[0])
