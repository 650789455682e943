# SPDX-License-Identifier: MIT
"""python3 -m unittest discover bench: what the harness concludes, from figures made up for it."""

import unittest

from harness.calls import Count, count_lines
from harness.compare import CEILING, CONTROL, SLUICE, ratios
from harness.forced import LOSES, TIES, WINS, _result
from harness.intervals import MET, NOT_MET, NOT_RESOLVED, Interval, Target, interval
from harness.paths import PATHS


def around(median, half):
    return Interval(median, median - half, median + half)


class Verdicts(unittest.TestCase):
    throughput = Target(0.97, at_least=True)
    cpu = Target(1.03, at_least=False)

    def test_met_when_the_interval_contains_the_target(self):
        self.assertEqual(self.throughput.verdict(around(0.96, 0.02), around(1, 0.02)), MET)
        self.assertEqual(self.cpu.verdict(around(1.04, 0.02), around(1, 0.02)), MET)

    def test_met_when_all_of_the_interval_is_better(self):
        self.assertEqual(self.throughput.verdict(around(1.2, 0.01), around(1, 0.02)), MET)
        self.assertEqual(self.cpu.verdict(around(0.8, 0.01), around(1, 0.02)), MET)

    def test_not_met_when_all_of_it_is_worse(self):
        self.assertEqual(self.throughput.verdict(around(0.9, 0.02), around(1, 0.5)), NOT_MET)
        self.assertEqual(self.cpu.verdict(around(1.1, 0.02), around(1, 0.5)), NOT_MET)

    def test_a_wide_interval_does_not_count_as_met(self):
        self.assertEqual(self.throughput.verdict(around(0.9, 0.3), around(1, 0.1)), NOT_RESOLVED)
        self.assertEqual(self.cpu.verdict(around(1.2, 0.3), around(1, 0.1)), NOT_RESOLVED)


class Intervals(unittest.TestCase):
    def test_it_holds_the_median_and_is_the_same_each_time(self):
        values = [0.9, 1.0, 1.1, 0.95, 1.05, 1.02, 0.98]
        found = interval(values)
        self.assertEqual(found.median, 1.0)
        self.assertLess(found.low, 1.0)
        self.assertGreater(found.high, 1.0)
        self.assertEqual(found, interval(values))

    def test_it_has_no_width_where_nothing_varies(self):
        self.assertEqual(interval([2.0] * 15).width, 0)


class Ratios(unittest.TestCase):
    def test_sluice_is_held_against_the_mean_of_both_ceilings(self):
        class Run:
            def __init__(self, throughput):
                self.throughput = throughput

        rounds = [{SLUICE: Run(4.0), CEILING: Run(2.0), CONTROL: Run(8.0)}]
        self.assertEqual(ratios(rounds, "throughput"), ([1.0], [0.25]))


class Forced(unittest.TestCase):
    def test_more_throughput_wins_and_more_cpu_loses(self):
        self.assertEqual(_result(around(1.5, 0.1), around(1, 0.1), True), WINS)
        self.assertEqual(_result(around(1.5, 0.1), around(1, 0.1), False), LOSES)

    def test_less_throughput_loses_and_less_cpu_wins(self):
        self.assertEqual(_result(around(0.5, 0.1), around(1, 0.1), True), LOSES)
        self.assertEqual(_result(around(0.5, 0.1), around(1, 0.1), False), WINS)

    def test_what_auto_against_itself_shows_too_is_a_tie(self):
        self.assertEqual(_result(around(1.05, 0.01), around(1, 0.05), True), TIES)
        self.assertEqual(_result(around(0.97, 0.01), around(1, 0.05), True), TIES)


class Calls(unittest.TestCase):
    def test_data_is_counted_and_start_up_is_not(self):
        trace = (
            '12 read(3</usr/lib/x86_64-linux-gnu/libc.so.6>, ""..., 832) = 832',
            '12 read(3</proc/sys/fs/pipe-max-size>, ""..., 64) = 8',
            '12 splice(0<pipe:[7]>, NULL, 5<pipe:[9]>, NULL, 1048576, 0) = 65536',
            "12 splice(4<pipe:[9]>, NULL, 6</var/tmp/x/sink>, NULL, 65536, 0) = 65536",
            "12 splice(0<pipe:[7]>, NULL, 5<pipe:[9]>, NULL, 1048576, 2) = -1 EAGAIN (Try again)",
            "12 splice(0<pipe:[7]>, NULL, 5<pipe:[9]>, NULL, 1048576, 0) = 0",
            '12 write(2</dev/pts/0>, ""..., 20) = 20',
        )
        self.assertEqual(count_lines(trace), Count(moved=2, ended=1, refused=1))

    def test_a_call_that_strace_shows_in_two_halves_counts_once(self):
        trace = (
            '12 read(0<pipe:[7]>,  <unfinished ...>',
            '13 write(1<pipe:[8]>, ""..., 10) = 10',
            '12 <... read resumed>""..., 4096) = 4096',
        )
        self.assertEqual(count_lines(trace), Count(moved=2))


class Paths(unittest.TestCase):
    def test_names_are_unique(self):
        names = [path.name for path in PATHS]
        self.assertEqual(len(names), len(set(names)))

    def test_a_path_with_a_pipe_says_how_large_it_is(self):
        for path in PATHS:
            self.assertEqual("pipe" in (path.source, path.sink), path.pipe_size > 0, path.name)


if __name__ == "__main__":
    unittest.main()
