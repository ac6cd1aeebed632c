"""How long replies are: from a guess to what was seen."""

import math
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.estimation.calibration import Z
from batchrun.estimation.interval import CONFIDENCE, Interval
from batchrun.estimation.reply_length import (
    SPREAD,
    SPREAD_WEIGHT,
    Replies,
    ReplyLength,
    cut_share,
    one_reply,
    reply_length,
)

PRIOR = Interval(180, low=70, high=450)


def after(lengths: list[int], prior: Interval = PRIOR) -> ReplyLength:
    return reply_length(prior, Replies.of(lengths))


def test_without_replies_the_guess_stands_and_reaches_further_up() -> None:
    assert Replies.of([]) is None
    assert after([]) == ReplyLength(Interval(180, low=70, high=180 + 1.3 * 270), 0.7 * 180)


def test_replies_are_summed_up() -> None:
    replies = Replies.of([10, 20, 60])

    assert replies
    assert (replies.number, replies.mean) == (3, 30)
    assert replies.variance == pytest.approx(700)
    assert replies.skewness > 0, "one is long"


def test_one_reply_by_hand() -> None:
    found = after([100])

    variance = SPREAD_WEIGHT * (SPREAD * 100) ** 2 / (1 + SPREAD_WEIGHT)
    seen, guessed = 1 / variance, (2 * Z / (PRIOR.high - PRIOR.low)) ** 2
    mean = (seen * 100 + guessed * PRIOR.mean) / (seen + guessed)
    half = (seen + guessed) ** -0.5 * Z * (1 + (Z**2 + 1) / (4 * (1 + SPREAD_WEIGHT)))
    assert found.average.mean == pytest.approx(mean)
    assert (found.average.low, found.average.high) == (pytest.approx(mean - half), pytest.approx(mean + half))
    assert found.scatter == pytest.approx(variance**0.5)


def test_many_replies_outweigh_any_guess() -> None:
    chance = random.Random(3)
    lengths = [round(chance.gauss(900, 90)) for _ in range(2_000)]

    found = after(lengths)

    assert found.average.mean == pytest.approx(fmean(lengths), rel=0.001)
    assert found.average.high - found.average.low < 0.02 * found.average.mean
    assert found.scatter == pytest.approx(90, rel=0.1)


def test_the_interval_narrows_with_every_reply() -> None:
    intervals = [after([200] * number).average for number in range(1, 100)]

    widths = [one.high - one.low for one in intervals]

    assert widths == sorted(widths, reverse=True)


def test_a_guess_that_max_tokens_cut_off_gives_way_too() -> None:
    found = after([60, 61, 59, 60] * 100, Interval(100, 100, 100)).average

    assert found.mean == pytest.approx(60, abs=1)
    assert found.low < 60 < found.high


def test_few_long_replies_among_short_ones_stretch_the_upper_side() -> None:
    even, skewed = after([100, 102] * 20).average, after([50] * 36 + [552] * 4).average

    assert even.high - even.mean == pytest.approx(even.mean - even.low)
    assert skewed.high - skewed.mean > 1.1 * (skewed.mean - skewed.low)


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, 30, 300])
def test_the_interval_covers_about_as_often_as_it_says(number: int) -> None:
    chance, covered, draws = random.Random(20_261_127), 0, 600
    for _ in range(draws):
        side = chance.gauss(0, 1) / Z
        truth = max(PRIOR.mean + side * (PRIOR.high - PRIOR.mean if side > 0 else PRIOR.mean - PRIOR.low), 20)
        sigma = chance.uniform(0.2, 0.8)
        found = after([round(truth * chance.lognormvariate(-(sigma**2) / 2, sigma)) for _ in range(number)]).average
        covered += found.low <= truth <= found.high
    assert CONFIDENCE - 0.05 <= covered / draws <= 0.99


@pytest.mark.slow
@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=50),
    st.tuples(*[st.floats(0, 10**6)] * 3).map(sorted),
)
def test_whatever_the_replies_bounds_are_bounds(lengths: list[int], prior: list[float]) -> None:
    low, mean, high = prior

    found = after(lengths, Interval(mean, low, high))

    assert 0 <= found.average.low <= found.average.mean <= found.average.high < float("inf")
    assert found.scatter >= 0


# --- replies that are cut off

ONE = Interval(760, low=100, high=2_500)


def test_a_single_reply_may_be_further_off_than_the_average() -> None:
    one = one_reply(PRIOR)

    assert one.mean == PRIOR.mean
    assert one.high - one.mean == pytest.approx(math.hypot(270, Z * SPREAD * 180))
    assert one.low == 0.0, "no reply is shorter than nothing"


@pytest.mark.parametrize(
    ("most", "share"), [(1, 0.97), (100, 0.95), (760, 0.5), (2_500, 0.05), (100_000, 0.0)], ids=str
)
def test_how_many_are_cut_off_follows_from_the_bounds_of_one(most: int, share: float) -> None:
    assert cut_share(ONE, most=most) == pytest.approx(share, abs=0.03)


def test_the_guess_counts_as_one_reply_beside_those_of_the_past() -> None:
    guessed = cut_share(ONE, most=400)

    assert cut_share(ONE, most=400, cut=0, replies=9) == pytest.approx(guessed / 10)
    assert cut_share(ONE, most=400, cut=9, replies=9) == pytest.approx((9 + guessed) / 10)
    assert cut_share(ONE, most=400, cut=0, replies=1) < 0.5 < guessed


@given(st.integers(1, 5_000), st.integers(1, 5_000))
def test_more_room_never_cuts_more(one: int, other: int) -> None:
    few, many = sorted((one, other))
    assert 0 <= cut_share(ONE, most=many) <= cut_share(ONE, most=few) <= 1
