"""The judge sees what is wrong, and nothing else."""

import math
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from judge import (  # noqa: E402  pylint: disable=wrong-import-position
    Count, Excuse, Judge, Kind, Read, Written)


def read(start, value, target="t", tier="memory"):
    return Read(start, start + 0.01, target, value, "c", tier)


class Judgement(unittest.TestCase):
    def setUp(self):
        self.judge = Judge(bound=2.0)

    def written(self, *acks, at="a", target="t"):
        self.judge.add_sent([(target, value) for _, value in acks])
        self.judge.add_written(
            [Written(time, target, value, at) for time, value in acks])

    def kind(self, start, value, **more):
        return self.judge.judge(read(start, value, **more)).kind

    def test_the_newest_value_is_fine_however_old(self):
        self.written((10, 1))
        self.assertIs(self.kind(1000, 1), Kind.FINE)

    def test_what_was_there_before_all_writes_is_fine_until_one(self):
        self.assertIs(self.kind(1000, 0), Kind.FINE)
        self.written((1000, 1))
        self.assertIs(self.kind(1002.1, 0), Kind.STALE)

    def test_an_old_value_is_behind_until_the_bound_and_stale_after_it(self):
        self.written((10, 1), (20, 2))
        self.assertIs(self.kind(21.9, 1), Kind.BEHIND)
        found = self.judge.judge(read(22.1, 1))
        self.assertIs(found.kind, Kind.STALE)
        self.assertAlmostEqual(found.age, 2.1)
        self.assertEqual(found.written.value, 2)

    def test_a_read_that_began_before_the_acknowledgement_is_fine(self):
        self.written((10, 1), (20, 2))
        self.assertIs(self.kind(19.9, 1), Kind.FINE)

    def test_a_value_that_nobody_acknowledged_yet_is_fine(self):
        self.written((10, 1))
        self.judge.add_sent([("t", 2)])
        self.assertIs(self.kind(11, 2), Kind.FINE)

    def test_the_age_counts_from_the_oldest_value_that_is_lacking(self):
        self.written((10, 1), (20, 2), (21.5, 3))
        self.assertAlmostEqual(self.judge.judge(read(22.5, 1)).age, 2.5)
        self.assertIs(self.kind(22.5, 2), Kind.BEHIND)

    def test_acknowledgements_out_of_order_count_by_the_highest(self):
        # The higher value was acknowledged first: the lower one says no more.
        self.written((20, 3), (25, 2))
        self.assertIs(self.kind(100, 3), Kind.FINE)
        self.assertIs(self.kind(22.1, 2), Kind.STALE)

    def test_targets_are_apart(self):
        self.written((10, 5))
        self.written((10, 6), target="u")
        self.assertIs(self.kind(100, 6, target="u"), Kind.FINE)
        self.assertIs(self.kind(100, 5), Kind.FINE)

    def test_a_value_of_another_target_is_invented(self):
        self.written((10, 5))
        self.written((10, 6), target="u")
        self.assertIs(self.kind(100, 6), Kind.INVENTED)

    def test_a_cut_off_writer_is_excused_until_the_end_and_the_bound(self):
        self.written((10, 1))
        self.written((20, 2), at="b")
        self.judge.add_excuses([Excuse("b", 19, 31, "cut")])
        self.assertIs(self.kind(21, 1), Kind.BEHIND)
        found = self.judge.judge(read(32.9, 1))
        self.assertIs(found.kind, Kind.EXCUSED)
        self.assertEqual(found.why, "cut")
        self.assertAlmostEqual(found.age, 12.9)
        found = self.judge.judge(read(33.1, 1))
        self.assertIs(found.kind, Kind.STALE)
        self.assertAlmostEqual(found.age, 2.1)

    def test_nobody_else_and_no_other_time_is_excused(self):
        self.judge.add_excuses([Excuse("b", 19, 31, "cut")])
        self.written((18.9, 2), at="b")
        self.assertIs(self.kind(21, 1 - 1), Kind.STALE)
        self.written((20, 3), at="a")
        self.assertIs(self.kind(22.1, 2), Kind.STALE)
        self.written((31.1, 4), at="b")
        self.assertIs(self.kind(33.2, 3), Kind.STALE)

    def test_an_excuse_covers_no_older_value(self):
        # 2 is excused; 1 was acknowledged by somebody whose links were whole.
        self.written((20, 1))
        self.written((21, 2), at="b")
        self.judge.add_excuses([Excuse("b", 19, 31, "cut")])
        self.assertIs(self.kind(25, 0), Kind.STALE)
        self.assertIs(self.kind(25, 1), Kind.EXCUSED)

    def test_what_was_lost_for_good_never_counts(self):
        self.written((20, 1), at="b")
        self.judge.add_excuses([Excuse("b", 19, math.inf, "lost")])
        self.assertIs(self.kind(1e6, 0), Kind.EXCUSED)
        self.written((30, 2), at="a")
        self.assertIs(self.kind(33, 0), Kind.STALE)

    def test_an_excuse_that_comes_to_be_known_later_counts(self):
        self.written((20, 1), at="b")
        self.assertIs(self.kind(25, 0), Kind.STALE)
        self.judge.add_excuses([Excuse("b", 19, 31, "cut")])
        self.assertIs(self.kind(25, 0), Kind.EXCUSED)


class Counting(unittest.TestCase):
    def test_a_count_says_what_was_seen(self):
        judge = Judge(bound=2.0)
        judge.add_sent([("t", 1), ("t", 2)])
        judge.add_written([Written(10, "t", 1, "a"), Written(20, "t", 2, "b")])
        judge.add_excuses([Excuse("b", 19, 25, "cut")])
        count = Count()
        for start, value, tier in ((11, 1, "origin"), (21.5, 1, "shared"),
                                   (24, 1, "memory"), (28, 1, "memory")):
            count.add(judge.judge(read(start, value, tier=tier)))
        self.assertEqual((count.reads, count.hits), (4, 3))
        self.assertEqual(count.tiers["memory"], 2)
        self.assertEqual(count.violations, 1)
        self.assertEqual(count.kinds[Kind.EXCUSED], 1)
        self.assertAlmostEqual(count.excused_max, 4)
        self.assertAlmostEqual(count.age_max, 3)


if __name__ == "__main__":
    unittest.main()
