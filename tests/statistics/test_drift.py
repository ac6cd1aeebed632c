"""Drift: what is a change, what is chance, and what cannot be compared."""

import math
import random
from collections import Counter

import pytest

from batchrun.statistics.drift import DriftLevel, kolmogorov_smirnov, population_stability
from batchrun.statistics.intervals import chi_square_quantile

EVEN = dict.fromkeys("abcdefgh", 1_000)


def test_the_same_counts_do_not_drift() -> None:
    drift = population_stability(EVEN, EVEN, fields=20)

    assert (drift.statistic, drift.level) == (0, DriftLevel.NONE)
    assert drift.threshold == 0.1 > drift.significance_bound
    assert drift.significance_bound == pytest.approx(chi_square_quantile(7, 1 - 0.05 / 20) / 4_000)


def test_the_index_is_that_of_the_definition() -> None:
    drift = population_stability({"yes": 20, "no": 80}, {"yes": 50, "no": 50}, fields=1)

    old, new = (20.5 / 101, 80.5 / 101), (0.5, 0.5)
    assert drift.statistic == pytest.approx(sum((n - o) * math.log(n / o) for o, n in zip(old, new, strict=True)))
    assert drift.level is DriftLevel.ALARM


def test_a_small_change_in_a_large_run_is_only_noticed() -> None:
    drift = population_stability({"a": 20_000, "b": 80_000}, {"a": 22_000, "b": 78_000}, fields=20)

    assert drift.significance_bound < drift.statistic < 0.1
    assert drift.level is DriftLevel.NOTICE


def test_a_small_sample_has_a_higher_threshold_than_the_floor() -> None:
    assert population_stability({"a": 50, "b": 50}, {"a": 40, "b": 60}, fields=20).threshold > 0.1


def test_equal_samples_of_100_in_300_categories_are_no_alarm() -> None:
    draw = random.Random(1)
    weights = [1 / (rank + 1) for rank in range(300)]
    before, now = (Counter(draw.choices(range(300), weights, k=100)) for _ in range(2))

    assert population_stability(before, now, fields=20).level is DriftLevel.NONE


def test_rare_categories_are_merged_with_each_other() -> None:
    rare_before = {f"before {index}": 1 for index in range(10)}
    rare_now = {f"now {index}": 1 for index in range(10)}

    split = population_stability({"a": 90, **rare_before}, {"a": 90, **rare_now}, fields=1)
    merged = population_stability({"a": 90, "rare": 10}, {"a": 90, "rare": 10}, fields=1)

    assert split == merged


def test_a_rest_that_is_still_rare_takes_the_smallest_category() -> None:
    found = population_stability({"a": 50, "b": 48, "c": 2}, {"a": 50, "b": 48, "d": 2}, fields=1)

    assert found == population_stability({"a": 50, "b": 50}, {"a": 50, "b": 50}, fields=1)


def test_only_new_categories_are_an_alarm() -> None:
    assert population_stability({"a": 100}, {"b": 100}, fields=20).level is DriftLevel.ALARM


@pytest.mark.parametrize(
    ("before", "now"),
    [({}, {}), ({"a": 10}, {}), ({}, {"a": 10}), ({"a": 0}, {"a": 10}), ({"a": 5}, {"a": 9}), ({"a": 1}, {"b": 1})],
    ids=["nothing", "nothing now", "nothing before", "zero before", "one category", "too few to compare"],
)
def test_what_cannot_be_compared_does_not_drift(before: dict[str, int], now: dict[str, int]) -> None:
    drift = population_stability(before, now, fields=8)

    assert (drift.statistic, drift.significance_bound, drift.level) == (0, math.inf, DriftLevel.NONE)


def test_the_distance_of_two_samples() -> None:
    drift = kolmogorov_smirnov([0.1, 0.4, 0.4, 0.7, 0.9, 1.2], [0.3, 0.4, 0.8, 1.1, 1.3, 1.4, 2.0], fields=1)

    assert drift.statistic == pytest.approx(3 / 7)
    assert drift.significance_bound == pytest.approx(math.sqrt(math.log(40) / 2) * math.sqrt(1 / 6 + 1 / 7))
    assert drift.level is DriftLevel.NONE


def test_numbers_that_moved_are_an_alarm_and_those_that_did_not_are_none() -> None:
    before = [index / 500 for index in range(500)]

    assert kolmogorov_smirnov(before, before[::-1], fields=20).level is DriftLevel.NONE
    assert kolmogorov_smirnov(before, [value + 0.3 for value in before], fields=20).level is DriftLevel.ALARM
    assert kolmogorov_smirnov([1], [2], fields=20).level is DriftLevel.NONE


@pytest.mark.parametrize(("before", "now"), [([], []), ([], [1.0]), ([1.0], [])])
def test_an_empty_sample_does_not_drift(before: list[float], now: list[float]) -> None:
    drift = kolmogorov_smirnov(before, now, fields=8)

    assert (drift.statistic, drift.significance_bound, drift.level) == (0, math.inf, DriftLevel.NONE)
