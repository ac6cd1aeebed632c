"""One limit as this side keeps it: what is told of the API's bucket, and what comes back."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from batchrun.execution.stream.token_bucket import (
    BURST_S,
    FASTEST,
    LEAST_REPORTED,
    RESERVE_S,
    SHARED_RESERVE_S,
    TokenBucket,
)

PER_MINUTE, A_SECOND, THOUSAND = 60_000, 1_000.0, 1_000.0
BURST = BURST_S * A_SECOND
FULL = 60_000


def told(remaining: float, *, per_minute: float | None = PER_MINUTE, rounding: float = THOUSAND) -> TokenBucket:
    """An allowance that was told of so much left, just now."""
    bucket = TokenBucket(per_minute, rounding=rounding)
    tell(bucket, remaining)
    return bucket


def tell(bucket: TokenBucket, remaining: float, *, now: float = 0.0, since: float = 0.0, under_way: float = 0) -> None:
    bucket.hear(remaining, now=now, sent_at=now, since=since, in_flight=under_way)


async def passed_in(bucket: TokenBucket, seconds: float, *, amount: float = 500, share: float = 1.0) -> float:
    """How much passes while somebody always presses."""
    passed = 0.0

    async def press() -> None:
        nonlocal passed
        while True:
            await bucket.charge(amount, share=share)
            passed += amount
            await asyncio.sleep(0)

    pressing = asyncio.create_task(press())
    await asyncio.sleep(seconds)
    pressing.cancel()
    return passed


async def waited_for(bucket: TokenBucket, amount: float) -> float:
    began = asyncio.get_running_loop().time()
    await bucket.charge(amount, share=1.0)
    return asyncio.get_running_loop().time() - began


# --- what headers tell


def test_a_credit_is_spent_at_twice_the_rate() -> None:
    assert run(passed_in(told(FULL), 10)) == pytest.approx(10 * FASTEST * A_SECOND, abs=BURST + 500)


def test_a_credit_leaves_a_reserve_and_then_the_rate_is_kept() -> None:
    credit = FULL - THOUSAND - RESERVE_S * A_SECOND
    assert run(passed_in(told(FULL), 120)) == pytest.approx(120 * A_SECOND + credit, abs=BURST + 500)


@pytest.mark.parametrize("left", [0, 1_000, 2_000])
def test_what_is_missing_from_the_reserve_is_waited_for(left: int) -> None:
    """Somebody else uses the same key. The bucket has been seen fuller before, and holds half a second."""

    async def scenario() -> float:
        bucket = told(FULL)
        tell(bucket, left, now=100.0)
        return await waited_for(bucket, 500)

    missing = RESERVE_S * A_SECOND - left
    assert run(scenario()) == pytest.approx((missing + 500 - BURST) / A_SECOND, abs=0.02)


@pytest.mark.parametrize(("held", "in_credit"), [(LEAST_REPORTED * 1_000 - 1, False), (10_000, True)])
def test_a_bucket_that_is_small_beside_its_rounding_tells_nothing(held: int, in_credit: bool) -> None:
    bucket = told(held)
    assert bucket.in_credit is in_credit
    assert (bucket.carry != 0) is in_credit


def test_what_is_under_way_and_was_used_since_is_no_credit() -> None:
    bucket = TokenBucket(PER_MINUTE, rounding=THOUSAND)
    tell(bucket, 30_000, since=4_000, under_way=6_000)
    assert -bucket.carry == 30_000 - 4_000 - 6_000 - THOUSAND - RESERVE_S * A_SECOND


def test_an_answer_that_took_longer_than_the_bucket_takes_to_fill_tells_nothing() -> None:
    bucket = TokenBucket(PER_MINUTE, rounding=THOUSAND)
    bucket.hear(10_000, now=100.0, sent_at=0.0, since=0, in_flight=0)
    assert bucket.carry == 0


def test_without_a_limit_nothing_is_waited_for_or_owed() -> None:
    async def scenario() -> float:
        bucket = told(0, per_minute=None)
        bucket.settle(10**9)
        return await waited_for(bucket, 10**9)

    assert run(scenario()) == 0


def test_a_credit_that_is_forfeit_is_gone_and_a_debt_stays() -> None:
    bucket = told(FULL)
    bucket.forfeit()
    assert bucket.carry == 0
    bucket.settle(700)
    bucket.forfeit()
    assert bucket.carry == 700


def test_who_was_turned_away_knows_that_what_was_believed_to_be_there_was_not() -> None:
    bucket = told(FULL)
    bucket.turned_away(0, now=0.0, sent_at=0.0, since=0)
    assert bucket.carry == RESERVE_S * A_SECOND


@pytest.mark.parametrize(("left", "reserve_s"), [(1_000, RESERVE_S), (999, SHARED_RESERVE_S)], ids=["alone", "shared"])
def test_who_sees_that_others_draw_on_the_limit_keeps_a_larger_reserve(left: int, reserve_s: float) -> None:
    bucket = told(FULL)
    tell(bucket, left, now=100.0)
    tell(bucket, FULL, now=200.0)
    assert -bucket.carry == FULL - THOUSAND - reserve_s * A_SECOND


# --- cancelling and settling


def test_who_is_canceled_gives_back_what_it_had_not_paid() -> None:
    async def scenario() -> tuple[float, float]:
        bucket = TokenBucket(PER_MINUTE, rounding=THOUSAND)
        await bucket.charge(BURST, share=1.0)
        waiting = asyncio.create_task(bucket.charge(100_000, share=1.0))
        await asyncio.sleep(10)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert bucket.charged == BURST
        return bucket.carry, await waited_for(bucket, 500)

    carry, waited_s = run(scenario())
    assert carry == pytest.approx(0)
    assert waited_s <= 2 * BURST_S + 0.01, "and nobody waits for what will never be sent"


STEPS = st.lists(
    st.tuples(
        st.floats(0, 400),
        st.floats(0, 3) | st.none(),  # how long it waits before it is canceled
        st.floats(0, 3),  # what it uses, as a multiple of its estimate
        st.floats(0, 2) | st.just(0.0),  # how long until the next one comes
    ),
    max_size=25,
)


@pytest.mark.slow
@given(per_minute=st.sampled_from([30, 6_000, 12_000]), steps=STEPS)
def test_what_is_used_is_never_more_than_the_rate_and_a_burst_and_what_is_owed(
    per_minute: float, steps: list[tuple[float, float | None, float, float]]
) -> None:
    async def scenario() -> None:
        loop, bucket = asyncio.get_running_loop(), TokenBucket(per_minute, rounding=1)
        burst = max(1.0, per_minute / 60 * BURST_S)
        used = 0.0
        for amount, patience, factor, pause in steps:
            share = amount * per_minute / 12_000
            charging = asyncio.create_task(bucket.charge(share, share=1.0))
            await asyncio.wait([charging], timeout=patience)
            charging.cancel()
            await asyncio.wait([charging])
            if not charging.cancelled():
                bucket.settle(share * (factor - 1))
                used += share * factor
            assert bucket.charged == pytest.approx(used, abs=1e-6), "a canceled one leaves no trace"
            assert bucket.carry >= -burst - 1e-6
            assert used - bucket.carry <= per_minute / 60 * loop.time() + burst + 1e-3
            await asyncio.sleep(pause)

    run(scenario())
