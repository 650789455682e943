# SPDX-License-Identifier: MIT
"""Checks of the scenarios: each says what it found, and the scenario goes on where it can."""
import re
import sys
import threading
import time
import traceback

LIMIT = 30  # seconds after which a command counts as hung

problems = []


class Skipped(Exception):
    """The scenario cannot run here."""


class Fatal(Exception):
    """A check failed, and nothing after it makes sense."""


def note(text):
    print(text, flush=True)


def problem(text):
    """Records a failed check, and goes on."""
    problems.append(text)
    print("FAIL: " + text, file=sys.stderr, flush=True)


def fail(text):
    raise Fatal(text)


def check(condition, text):
    if not condition:
        problem(text)
    return bool(condition)


def equal(found, wanted, what):
    return check(found == wanted, f"{what}: found {_short(found)}, wanted {_short(wanted)}")


def within(found, low, high, what):
    return check(low <= found <= high, f"{what}: found {found}, wanted {low} to {high}")


def matches(text, pattern, what):
    return check(re.search(pattern, text, re.I | re.M),
                 f"{what}: nothing matches /{pattern}/ in:\n{text[-2000:]}")


def lacks(text, pattern, what):
    return check(not re.search(pattern, text, re.I | re.M),
                 f"{what}: /{pattern}/ should not be in:\n{text[-2000:]}")


def same_bytes(found, wanted, what):
    """Byte for byte; says where the first difference is."""
    if found == wanted:
        return True
    at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b),
              min(len(found), len(wanted)))
    problem(f"{what}: {len(found)} bytes, wanted {len(wanted)}; the first difference is at {at}: "
            f"found {found[at:at + 16]!r}, wanted {wanted[at:at + 16]!r}")
    return False


def skip(reason):
    raise Skipped(reason)


def _short(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "…"


def wait_for(predicate, what, seconds=10):
    """Waits for something to become true, and returns it; gives up loudly."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            fail(f"waited {seconds} s in vain for {what}")
        time.sleep(0.003)


def each(function, items):
    """Calls function(item) for all items at once: for scenarios that mostly wait."""
    def run(item):
        try:
            function(item)
        except Fatal as reason:
            problem(str(reason))
        except BaseException:
            problem(f"the scenario broke at {item}:\n" + traceback.format_exc())
    threads = [threading.Thread(target=run, args=(item,), daemon=True) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * LIMIT)
        check(not thread.is_alive(), "a part of the scenario never ended")
