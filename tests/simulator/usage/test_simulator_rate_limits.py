"""The arithmetic of the simulator's rate limits, at any time one likes."""

from datetime import UTC, datetime

import pytest

from batchrun.simulator.faults.outages import OtherClient
from batchrun.simulator.usage.rate_limits import Bucket, Limits, ModelBuckets, limit_headers, start_limits

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC).timestamp()


def test_starts_full_and_refills_continuously() -> None:
    bucket = Bucket(60, burst_s=60, speed=1)
    bucket.take(60, 100.0)

    assert bucket.level(100.0) == 0
    assert bucket.level(101.5) == pytest.approx(1.5)
    assert bucket.level(1_000.0) == 60


@pytest.mark.parametrize(
    ("burst_s", "speed", "amount", "wait_s"),
    [
        (60, 1, 60, 0),
        (60, 1, 61, 0),  # more than fits is let in when it is full
        (1, 1, 1, 0),
        (0.1, 1, 1, 0),  # one request always fits
    ],
)
def test_what_a_full_bucket_lets_in(burst_s: float, speed: float, amount: int, wait_s: float) -> None:
    assert Bucket(60, burst_s=burst_s, speed=speed).wait(amount, 0.0) == wait_s


@pytest.mark.parametrize(("speed", "wait_s"), [(1, 10), (10, 1)])
def test_speed_shortens_the_wait(speed: float, wait_s: float) -> None:
    bucket = Bucket(60, burst_s=60, speed=speed)
    bucket.take(60, 0.0)

    assert bucket.wait(10, 0.0) == pytest.approx(wait_s)


def test_an_oversize_amount_leaves_a_debt() -> None:
    bucket = Bucket(6_000, burst_s=1, speed=1)
    bucket.take(300, 0.0)

    assert bucket.level(0.0) == -200
    assert bucket.wait(1, 0.0) == pytest.approx(2.01)


def test_others_take_their_share_of_what_comes_back_from_their_moment_on() -> None:
    bucket = Bucket(60, burst_s=60, speed=1, others=OtherClient(share=0.25, from_s=110.0))
    bucket.take(60, 100.0)

    assert [bucket.level(at) for at in (105.0, 110.0, 114.0, 1_000.0)] == pytest.approx([5, 10, 13, 60])


def test_others_take_nothing_of_a_bucket_in_debt() -> None:
    bucket = Bucket(60, burst_s=1, speed=2, others=OtherClient(share=0.5, from_s=0.0))
    bucket.take(11, 0.0)

    assert [bucket.level(at) for at in (0.0, 4.0, 5.0, 5.5, 6.0)] == pytest.approx([-10, -2, 0, 0.5, 1])


def test_a_burst_of_one_second_bites_after_a_second_worth_of_requests() -> None:
    buckets = ModelBuckets(Limits(600, 10**9, 10**9), burst_s=1, speed=1)
    for _ in range(10):
        assert buckets.shortage(1, 0.0) is None
        buckets.admit(1, 0.0)

    shortage = buckets.shortage(1, 0.0)
    assert shortage is not None
    assert (shortage.dimension, shortage.per_minute) == ("requests", 600)
    assert shortage.wait_s == pytest.approx(0.1)
    assert buckets.shortage(1, 0.1) is None


def test_the_longest_wait_is_named() -> None:
    buckets = ModelBuckets(Limits(60, 600, 600), burst_s=60, speed=1)
    buckets.admit(600, 0.0)
    buckets.produce(1_000, 0.0)

    shortage = buckets.shortage(100, 0.0)
    assert shortage is not None
    assert shortage.dimension == "output tokens"
    assert shortage.wait_s == pytest.approx(40.1)


def test_headers_round_tokens_to_thousands_and_tell_when_all_is_back() -> None:
    buckets = ModelBuckets(Limits(1_000, 2_000_000, 400_000), burst_s=60, speed=1)
    buckets.admit(4_173, 0.0)
    buckets.produce(708, 0.0)

    assert dict(limit_headers(buckets.levels(0.0), epoch_s=NOON)) == {
        "anthropic-ratelimit-requests-limit": "1000",
        "anthropic-ratelimit-requests-remaining": "999",
        "anthropic-ratelimit-requests-reset": "2026-11-20T12:00:01Z",
        "anthropic-ratelimit-input-tokens-limit": "2000000",
        "anthropic-ratelimit-input-tokens-remaining": "1996000",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-20T12:00:01Z",
        "anthropic-ratelimit-output-tokens-limit": "400000",
        "anthropic-ratelimit-output-tokens-remaining": "399000",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-20T12:00:01Z",
        "anthropic-ratelimit-tokens-limit": "2400000",
        "anthropic-ratelimit-tokens-remaining": "2395000",
        "anthropic-ratelimit-tokens-reset": "2026-11-20T12:00:01Z",
    }


def test_levels_are_told_as_they_were_when_they_were_read() -> None:
    buckets = ModelBuckets(Limits(10, 1_000_000, 1_000_000), burst_s=60, speed=1)
    buckets.admit(500_000, 0.0)
    before = buckets.levels(0.0)
    buckets.admit(500_000, 1.0)

    told = dict(limit_headers(before, epoch_s=NOON))
    assert told["anthropic-ratelimit-requests-remaining"] == "9"
    assert told["anthropic-ratelimit-input-tokens-remaining"] == "500000"
    assert told["anthropic-ratelimit-input-tokens-reset"] == "2026-11-20T12:00:30Z"


def test_remaining_is_never_below_zero() -> None:
    buckets = ModelBuckets(Limits(10, 1_000, 1_000), burst_s=60, speed=1)
    buckets.produce(5_000, 0.0)

    assert dict(limit_headers(buckets.levels(0.0), epoch_s=NOON))["anthropic-ratelimit-output-tokens-remaining"] == "0"


@pytest.mark.parametrize(("pool", "input_tokens"), [("fable", 500_000), ("mythos", 500_000), ("opus-5", 2_000_000)])
def test_published_limits(pool: str, input_tokens: int) -> None:
    assert start_limits(pool).input_tokens_per_minute == input_tokens
