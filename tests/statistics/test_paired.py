"""Whether two runs differ: exact p values, and the numbers of documents of the quality study."""

import math
import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.estimation.interval import Interval
from batchrun.statistics.paired import (
    FLIPS,
    detectable_difference,
    holm,
    mcnemar_mid_p,
    mean_difference,
    sign_flip,
)


@pytest.mark.parametrize("differences", [[-2, -1, 1, -1, -3], [1, 1, 1, 1, 1, 1], [0, 5, -5, 0], [-8]], ids=str)
def test_the_sign_flip_is_close_to_all_flips(differences: list[int]) -> None:
    flips = [
        sum(sign * size for sign, size in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    worse = sum(total <= sum(differences) for total in flips) / len(flips)
    better = sum(total >= sum(differences) for total in flips) / len(flips)

    found = sign_flip(differences, random.Random(1))

    assert found.mean == sum(differences) / len(differences)
    assert found.worse_p == pytest.approx(worse, abs=0.03)
    assert found.better_p == pytest.approx(better, abs=0.03)


@pytest.mark.parametrize("differences", [[], [0], [0] * 200], ids=len)
def test_nothing_has_changed(differences: list[int]) -> None:
    found = sign_flip(differences, random.Random(1))

    assert (found.mean, found.worse_p, found.better_p) == (0, 1, 1)


def test_documents_that_did_not_change_only_dilute_the_mean() -> None:
    few, many = (sign_flip([-1] * 12 + [1] * 3 + [0] * same, random.Random(2)) for same in (0, 985))

    assert (few.worse_p, few.better_p) == (many.worse_p, many.better_p)
    assert (few.mean, many.mean) == (-0.6, -0.009)


def test_a_p_value_is_never_zero() -> None:
    assert sign_flip([-1] * 100_000, random.Random(3)).worse_p == 1 / (FLIPS + 1)


def test_a_seed_says_the_same_again() -> None:
    assert sign_flip([1, -2, 3], random.Random(4)) == sign_flip([1, -2, 3], random.Random(4))


MID_P = {(10, 3): 0.0286865234375, (3, 10): 0.9713134765625, (5, 5): 0.5, (600, 500): 0.0012823863989, (0, 0): 1.0}


@pytest.mark.parametrize(("worse", "better"), MID_P)
def test_mcnemar_with_mid_p(worse: int, better: int) -> None:
    assert mcnemar_mid_p(worse, better) == pytest.approx(MID_P[worse, better], rel=1e-9)


@given(st.integers(0, 3_000), st.integers(0, 3_000))
def test_worse_and_better_are_two_sides_of_one_test(worse: int, better: int) -> None:
    assert mcnemar_mid_p(worse, better) + mcnemar_mid_p(better, worse) == pytest.approx(1 if worse + better else 2)


def test_holm_multiplies_and_never_falls() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})

    assert list(adjusted) == ["a", "b", "c", "d"]
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({}) == {}
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


def test_the_mean_difference_has_the_interval_of_t() -> None:
    assert mean_difference([1, 0, 0, -1, 2]) == Interval(
        0.4, pytest.approx(-0.687033, abs=3e-4), pytest.approx(1.487033, abs=3e-4)
    )
    assert mean_difference([1, 1, 1]) == Interval(1, 1, 1)
    assert mean_difference([3]) == Interval(3, -math.inf, math.inf)
    assert mean_difference([]) == Interval(0, -math.inf, math.inf)


STUDY = {
    (654, 0.0): 0.01, (325, 0.0): 0.02, (128, 0.0): 0.05,
    (1_968, 0.01): 0.01, (654, 0.01): 0.02, (181, 0.01): 0.05,
    (4_595, 0.03): 0.01, (1_311, 0.03): 0.02, (286, 0.03): 0.05,
}  # fmt: skip


@pytest.mark.parametrize(("documents", "churn"), STUDY)
def test_what_is_found_9_times_in_10(documents: int, churn: float) -> None:
    assert detectable_difference(documents, churn) == pytest.approx(STUDY[documents, churn], rel=3e-3)


def test_fields_count_as_documents_as_far_as_their_errors_are_independent() -> None:
    alone = detectable_difference(200, 0.01)

    assert detectable_difference(200, 0.01, fields=8) == detectable_difference(1_600, 0.01)
    assert detectable_difference(200, 0.01, fields=8, icc=1.0) == alone
    assert detectable_difference(200, 0.01, fields=8) < detectable_difference(200, 0.01, fields=8, icc=0.3) < alone


@pytest.mark.parametrize("documents", [0, 1])
def test_too_few_documents_find_nothing(documents: int) -> None:
    assert detectable_difference(documents, 0.0) == 1.0
