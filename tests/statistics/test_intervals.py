"""Intervals of shares: against exact reference numbers (scipy 1.x, made once) and the figures of the quality study."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.estimation.interval import Interval
from batchrun.statistics.intervals import (
    UNKNOWN,
    Z90,
    binomial_at_most,
    chi_square_quantile,
    clopper_pearson_upper,
    effective_needed,
    faultless_documents_needed,
    ratio_interval,
    t_quantile,
    wilson,
)


def test_wilson_is_the_published_interval() -> None:
    assert wilson(0.9, 50) == Interval(0.9, pytest.approx(0.8084624858), pytest.approx(0.9504709656))
    assert wilson(0, 20) == Interval(0, 0, pytest.approx(0.1191578374))
    assert wilson(1, 50).low == pytest.approx(0.949, abs=5e-4)


def test_a_share_of_nothing_is_unknown() -> None:
    assert wilson(0.5, 0) == UNKNOWN
    assert ratio_interval([], []) == UNKNOWN
    assert ratio_interval([0, 0], [0, 0]) == UNKNOWN


@given(st.floats(0, 1), st.floats(0.01, 1e6))
def test_wilson_stays_within_0_and_1_and_around_its_share(share: float, n: float) -> None:
    interval = wilson(share, n)

    assert 0 <= interval.low <= share <= interval.high <= 1


def test_one_label_a_document_is_wilson_with_t() -> None:
    right = [1] * 95 + [0] * 5

    # 99/100 of the trials: the variance is estimated with n - 1
    assert ratio_interval(right, [1] * 100) == wilson(0.95, 99, t_quantile(5, 0.95))


def test_all_right_counts_documents_and_not_cells() -> None:
    assert ratio_interval([8] * 50, [8] * 50) == wilson(1.0, 50)
    assert ratio_interval([0] * 50, [8] * 50) == wilson(0.0, 50, t_quantile(50, 0.95))


def test_documents_of_different_size_count_by_their_size() -> None:
    assert ratio_interval([100, 1, 1], [100, 1, 1]) == wilson(1.0, 102**2 / 10_002)


def test_errors_that_cluster_widen_the_interval() -> None:
    spread = ratio_interval([7] * 16 + [8] * 84, [8] * 100)
    clustered = ratio_interval([0] * 2 + [8] * 98, [8] * 100)

    assert spread.mean == clustered.mean == pytest.approx(0.98)
    assert clustered.low < spread.low - 0.01


def test_the_interval_holds_nine_times_in_ten_where_errors_cluster() -> None:
    draw = random.Random(8)
    held = 0
    for _ in range(200):
        rates = [draw.betavariate(0.05 * 6, 0.95 * 6) for _ in range(100)]  # an intraclass correlation of 1/7
        right = [sum(draw.random() >= rate for _ in range(8)) for rate in rates]
        interval = ratio_interval(right, [8] * 100)
        held += interval.low <= 0.95 <= interval.high

    assert 170 <= held <= 195


def test_every_document_alike_is_no_certainty() -> None:
    assert ratio_interval([4] * 10, [8] * 10) == wilson(0.5, 10, t_quantile(10, 0.95))
    assert ratio_interval([4], [8]) == wilson(0.5, 1, t_quantile(2, 0.95))


def test_f1_may_have_documents_without_anything_to_find() -> None:
    assert ratio_interval([2, 2, 0, 0], [2, 2, 0, 1]).mean == 0.8


def test_sequences_of_different_lengths_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio_interval([1, 1], [1])


CLOPPER_PEARSON = {
    (0, 50): 0.05815507911697,
    (1, 10): 0.39416330243650,
    (3, 773): 0.00999979877181,
    (250, 1_000): 0.27355363132372,
    (50_000, 100_000): 0.50260571773972,
    (99_999, 100_000): 0.99999948706719,
    (10, 10): 1.0,
    (0, 0): 1.0,
}


@pytest.mark.parametrize(("errors", "n"), CLOPPER_PEARSON)
def test_clopper_pearson_is_exact(errors: int, n: int) -> None:
    assert clopper_pearson_upper(errors, n) == pytest.approx(CLOPPER_PEARSON[errors, n], rel=1e-10)


@given(st.integers(1, 300), st.data())
def test_more_errors_never_lower_the_exact_bound(n: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(0, n - 1))

    assert errors / n < clopper_pearson_upper(errors, n) < clopper_pearson_upper(errors + 1, n)


@pytest.mark.parametrize("share", [0.0, 1e-9, 0.3, 0.5, 0.98, 1.0])
def test_the_binomial_sum_is_that_of_its_terms(share: float) -> None:
    terms = [math.comb(30, hits) * share**hits * (1 - share) ** (30 - hits) for hits in range(31)]

    for hits in range(-1, 32):
        assert binomial_at_most(hits, 30, share) == pytest.approx(sum(terms[: hits + 1]), abs=1e-12)


def test_the_binomial_sum_of_a_large_run_neither_overflows_nor_drifts() -> None:
    assert binomial_at_most(98_000, 100_000, 0.98) == pytest.approx(0.503063808113, rel=1e-9)
    assert binomial_at_most(10, 100_000, 0.9) == 0


def test_the_quantile_of_t() -> None:
    exact = {2: 2.91999, 3: 2.35336, 5: 2.01505, 10: 1.81246, 30: 1.69726}

    for df, quantile in exact.items():
        assert t_quantile(df, 0.95) == pytest.approx(quantile, rel=3e-3)
        assert t_quantile(df, 0.05) == pytest.approx(-t_quantile(df, 0.95))
    assert t_quantile(10**6, 0.95) == pytest.approx(Z90, rel=1e-5)


def test_the_quantile_of_chi_square() -> None:
    exact = {1: 3.84146, 2: 5.99146, 9: 16.91898, 50: 67.50481}

    for df, quantile in exact.items():
        assert chi_square_quantile(df, 0.95) == pytest.approx(quantile, rel=0.03 / df)
    assert chi_square_quantile(1, 0.99) == pytest.approx(6.59, abs=5e-3)
    assert chi_square_quantile(1, 0.0001) == 0


@pytest.mark.parametrize(("target", "needed"), [(0.95, 52), (0.98, 133), (0.5, 3), (0.0, 0)])
def test_so_many_faultless_documents_prove_a_target_and_one_fewer_does_not(target: float, needed: int) -> None:
    assert faultless_documents_needed(target) == needed
    assert wilson(1, needed).low >= target
    assert needed == 0 or wilson(1, needed - 1).low < target


@pytest.mark.parametrize(
    ("target", "share", "study"), [(0.95, 0.97, 833), (0.95, 0.96, 3716), (0.98, 0.99, 1280), (0.90, 0.93, 748)]
)
def test_trials_that_are_needed_where_the_truth_lies_above_the_target(target: float, share: float, study: int) -> None:
    assert effective_needed(target, share) == pytest.approx(study, abs=1)


def test_no_number_of_trials_proves_what_is_not_so() -> None:
    assert effective_needed(0.95, 0.95) is None
    assert effective_needed(0.95, 0.2) is None
    assert effective_needed(0.98, 1.0) == faultless_documents_needed(0.98)
