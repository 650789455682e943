#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Many targets, all of which refuse at once: each is tried, none for ever, and the client is told the end. One
# that works, among as many that do not, is found.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *

MANY = 1000


def dead(count):
    where = scratch()
    return [f"unix:{where}/{i}" for i in range(count)]


def file_of(targets):
    return file_with("".join(f"{one}\n" for one in targets).encode(), f"{scratch()}/targets")


def none_is_left():
    for threads in ("1", "2"):
        relay = Relay("-t", threads, "--metrics=:0", "--targets", file_of(dead(MANY)))
        for i in range(3):
            equal(exchange(relay.client(), b"hello"), b"", "what comes from no target")
        metrics = relay.metrics()
        equal(metrics['connections_ended_total{reason="no target"}'], 3, "ended")
        equal(metrics.total("target_connect_failures_total"), 3 * MANY, "connects that failed")
        relay.stop().expect(0)


def one_works():
    echo = Echo()
    relay = Relay("--targets", file_of([*dead(MANY // 2), echo.address, *dead(MANY // 2)]))
    for i in range(3):
        equal(exchange(relay.client(), b"hello"), b"hello", "the answer")
    relay.stop().expect(0)


each(lambda part: part(), [none_is_left, one_works])
PY
