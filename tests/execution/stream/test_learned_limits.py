"""What the gate learns: limits from headers, levels in their order, and caution from 429s."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from virtual_time import run

from batchrun.catalog.rate_limits import LearnedLimits, RateLimits
from batchrun.execution.stream.rate_limiter import (
    CUT,
    EASING_S,
    LARGEST_CUT,
    LEAST_CAUTIOUS,
    REGAINED_A_SECOND,
    Charge,
    RateLimiter,
)
from batchrun.execution.usage_counters import LimitsInForce
from batchrun.reply import ReportedLimit, ReportedLimits

KEYS = ("requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def rate_limiter_of(*stated: str, headroom: float = 1.0, clock: Callable[[], float] | None = None) -> RateLimiter:
    """A gate of 600 requests, 60,000 and 6,000 tokens a minute, of which some are stated and some assumed."""
    values = dict(zip(KEYS, (600, 60_000, 6_000), strict=True))
    limits = RateLimits(**values, headroom=headroom, from_job_file=frozenset(stated))
    return RateLimiter(limits, clock=clock or Clock())


def charge(at: float = 0.0, **more: float) -> Charge:
    parts = {"input_tokens": 0.0, "output_tokens": 0.0, "requests_then": 0.0, "input_tokens_then": 0.0}
    return Charge(**(parts | {"produced_then": 0.0} | more), at=at)


def told(requests: int | None = None, *, remaining: int | None = None) -> ReportedLimits:
    return ReportedLimits(requests=ReportedLimit(requests, remaining))


@pytest.mark.parametrize(
    ("case", "stated", "headroom", "says", "kept"),
    [
        ("an assumed one is replaced by a higher one", (), 1.0, 1_200, 1_200),
        ("and by a lower one", (), 1.0, 300, 300),
        ("a stated one is lowered", KEYS, 1.0, 300, 300),
        ("and never raised", KEYS, 1.0, 1_200, 600),
        ("headroom is left of what is told", (), 0.5, 1_200, 600),
        ("and of what is stated", KEYS, 0.5, 1_200, 300),
    ],
)
def test_limits_that_are_told(case: str, stated: tuple[str, ...], headroom: float, says: int, kept: int) -> None:
    rate_limiter = rate_limiter_of(*stated, headroom=headroom)
    rate_limiter.hear(charge(), told(says))
    assert rate_limiter.limits.requests == kept
    assert rate_limiter.reported.requests == says, "as it was told, for the next run"


def test_a_lowered_limit_rises_again_up_to_what_is_stated() -> None:
    rate_limiter = rate_limiter_of(*KEYS)
    for at, (says, kept) in enumerate([(300, 300), (450, 450), (900, 600)]):
        rate_limiter.hear(charge(float(at)), told(says))
        assert rate_limiter.limits.requests == kept


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ((), LimitsInForce()),
        (KEYS, LimitsInForce(600, 60_000, 6_000)),
        (KEYS[1:2], LimitsInForce(None, 60_000, None)),
    ],
)
def test_where_no_header_tells_anything_what_is_not_stated_is_no_limit(
    stated: tuple[str, ...], kept: LimitsInForce
) -> None:
    rate_limiter = rate_limiter_of(*stated)
    rate_limiter.hear(charge(), None)
    assert rate_limiter.limits == kept


def test_an_answer_without_headers_takes_nothing_back_that_was_told() -> None:
    rate_limiter = rate_limiter_of()
    rate_limiter.hear(charge(0.0), told(300))
    rate_limiter.hear(charge(1.0), None)
    assert rate_limiter.limits.requests == 300


def test_answers_that_come_out_of_order_tell_the_past() -> None:
    rate_limiter = rate_limiter_of()
    rate_limiter.hear(charge(5.0), told(300, remaining=10))
    carry = rate_limiter._requests.carry
    rate_limiter.hear(charge(4.0), told(900, remaining=300))
    assert (rate_limiter.limits.requests, rate_limiter._requests.carry) == (300, carry)


def test_a_429_tells_limits_too() -> None:
    rate_limiter = rate_limiter_of()
    rate_limiter.turned_away(charge(), wait_s=1.0, reported=told(120))
    assert rate_limiter.limits.requests == 120


@pytest.mark.parametrize(("ramp", "trusted"), [(False, False), (True, True)])
def test_who_is_turned_away_while_in_credit_trusts_no_credit_again(ramp: bool, trusted: bool) -> None:
    rate_limiter = rate_limiter_of()
    rate_limiter.hear(charge(0.0), told(600, remaining=600))
    assert rate_limiter._requests.in_credit
    rate_limiter.turned_away(charge(0.0), wait_s=1.0, reported=None, ramp=ramp)
    assert rate_limiter._requests.in_credit is trusted
    rate_limiter.hear(charge(1.0), told(600, remaining=600))
    assert rate_limiter._requests.in_credit is trusted


# --- caution


def turn_away(rate_limiter: RateLimiter, *, ramp: bool = False, wait_s: float = 1.0) -> bool:
    return rate_limiter.turned_away(charge(), wait_s=wait_s, reported=None, ramp=ramp)


def test_a_ramp_limit_halves_the_rate_which_grows_back_in_minutes() -> None:
    clock = Clock()
    rate_limiter = rate_limiter_of(clock=clock)
    assert turn_away(rate_limiter, ramp=True)
    assert rate_limiter.share == 0.5
    assert not turn_away(rate_limiter, ramp=True)
    assert rate_limiter.share == 0.5, "once for those that were turned away together"
    clock.now = EASING_S / 4
    assert rate_limiter.share == 0.75
    assert turn_away(rate_limiter, ramp=True)
    assert rate_limiter.share == 0.375
    for _ in range(20):
        clock.now += 2
        turn_away(rate_limiter, ramp=True)
    assert rate_limiter.share == pytest.approx(0.05, abs=0.01), "something is always left"
    clock.now += EASING_S
    assert rate_limiter.share == 1


def test_a_429_makes_a_little_more_cautious_for_a_while() -> None:
    clock = Clock()
    rate_limiter = rate_limiter_of(clock=clock)
    turn_away(rate_limiter)
    assert rate_limiter.share == pytest.approx(1 - CUT)
    turn_away(rate_limiter)
    assert rate_limiter.share == pytest.approx(1 - CUT), "once an episode"
    clock.now = CUT / REGAINED_A_SECOND + 1
    assert rate_limiter.share == 1


def test_the_more_often_the_more_cautious_within_bounds() -> None:
    clock = Clock()
    rate_limiter = rate_limiter_of(clock=clock)
    shares = [1.0]
    for _ in range(12):
        turn_away(rate_limiter)
        shares.append(rate_limiter.share)
        clock.now += 2
    cuts = [before - after for before, after in pairwise(shares)]
    assert cuts[:3] == pytest.approx([CUT, 2 * CUT, 4 * CUT], abs=0.01)
    assert max(cuts) <= LARGEST_CUT
    assert shares[-1] == pytest.approx(LEAST_CAUTIOUS)
    clock.now += 60
    before = rate_limiter.share
    turn_away(rate_limiter)
    assert before - rate_limiter.share == pytest.approx(CUT), "the next one is the first of a new time"


def test_caution_slows_what_passes() -> None:
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        rate_limiter = rate_limiter_of(clock=loop.time)
        turn_away(rate_limiter, ramp=True, wait_s=0.001)
        for _ in range(100):
            await rate_limiter.admit(input_tokens=0, output_tokens=0)
        return loop.time()

    assert 14 < run(scenario()) < 20, "100 at 10 a second, from half of it on"


# --- what cannot be


@pytest.mark.parametrize(
    "told",
    [
        ReportedLimits(requests=ReportedLimit(0, 0)),
        ReportedLimits(input_tokens=ReportedLimit(5, 5)),
        ReportedLimits(output_tokens=ReportedLimit(1, 1)),
    ],
)
def test_a_limit_that_not_even_the_answered_request_kept_to_is_none(told: ReportedLimits) -> None:
    rate_limiter = rate_limiter_of()
    rate_limiter.hear(charge(input_tokens=100.0, output_tokens=10.0), told)
    assert rate_limiter.limits == LimitsInForce()
    rate_limiter = rate_limiter_of(*KEYS)
    rate_limiter.hear(charge(input_tokens=100.0, output_tokens=10.0), told)
    assert rate_limiter.limits == LimitsInForce(600, 60_000, 6_000)


# --- what earlier runs learnt


def learnt_before(*, stated: int | None = None) -> RateLimiter:
    """A rate limiter that begins after an earlier run has learnt 30 requests a minute."""
    keys = frozenset({"requests_per_minute"} if stated else ())
    limits = RateLimits(
        requests_per_minute=stated or 600, input_tokens_per_minute=10**9, output_tokens_per_minute=10**9,
        from_job_file=keys,
    ).with_learned(LearnedLimits(30, None, None, concurrency=None, learnt_at=0.0))  # fmt: skip
    return RateLimiter(limits, clock=Clock())


def test_where_no_header_tells_a_limit_the_one_of_an_earlier_run_is_kept() -> None:
    rate_limiter = learnt_before()
    rate_limiter.hear(charge(), None)
    assert rate_limiter.limits.requests == 27, "a little below it at first"
    assert rate_limiter.learned_requests_per_minute is None, "nothing has confirmed it"


def test_the_job_file_may_raise_what_was_only_learnt_but_not_what_is_told() -> None:
    rate_limiter = learnt_before(stated=120)
    rate_limiter.hear(charge(), None)
    assert rate_limiter.limits.requests == 120
    rate_limiter.hear(charge(1.0), told(60))
    assert rate_limiter.limits.requests == 60
