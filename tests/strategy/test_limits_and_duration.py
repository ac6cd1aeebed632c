import pytest

from batchrun.catalog.price import PublishedLimits
from batchrun.catalog.rate_limits import LimitOrigin, RateLimits, effective_limits
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval
from batchrun.job.spec import LimitsSection
from batchrun.strategy.duration import Bound, expected_duration, reply_latency_s

START = PublishedLimits(1_000, 2_000_000, 400_000)


def test_the_job_file_is_taken_and_the_start_tier_where_it_is_silent():
    limits = effective_limits(LimitsSection(input_tokens_per_minute=30_000, headroom=0.5), START)
    assert limits.requests_per_minute == 1_000
    assert limits.input_tokens_per_minute == 30_000
    assert limits.output_tokens_per_minute == 400_000
    assert limits.headroom == 0.5
    assert limits.origin("requests_per_minute") is LimitOrigin.START_TIER
    assert limits.origin("input_tokens_per_minute") is LimitOrigin.JOB_FILE


def job(documents, *, prompt=1_000, output=200):
    tokens, replies = documents * prompt, documents * output
    return Estimate(
        documents=documents,
        input=Interval(tokens, tokens, tokens),
        output=Interval(replies, replies, replies),
        cost_nusd=Interval(0, 0, 0),
        fixed_tokens=0,
    )


def limited(*, requests=1_000, prompt=2_000_000, output=400_000, headroom=1.0):
    return RateLimits(
        requests_per_minute=requests,
        input_tokens_per_minute=prompt,
        output_tokens_per_minute=output,
        headroom=headroom,
    )


@pytest.mark.parametrize(
    ("estimate", "limits", "seconds", "binding"),
    [
        (job(6_000), limited(requests=600), 602, Bound.REQUESTS),
        (job(6_000), limited(requests=600, headroom=0.5), 1_202, Bound.REQUESTS),
        (job(100, prompt=60_000), limited(prompt=600_000), 602, Bound.INPUT_TOKENS),
        (job(1_000, output=4_000), limited(output=400_000), 602, Bound.OUTPUT_TOKENS),
        (job(320), limited(requests=1_000_000), 20, Bound.LATENCY),
        (job(1), limited(), 2, Bound.LATENCY),
    ],
)
def test_the_slowest_limit_binds(estimate, limits, seconds, binding):
    duration = expected_duration(estimate, limits, concurrency=32, latency_s=2)
    assert duration.seconds == pytest.approx(seconds, abs=0.1)
    assert duration.binding is binding
    assert max(duration.use, key=duration.use.get) is binding
    assert all(0 <= share <= 1 for share in duration.use.values())


def test_use_is_a_share_of_what_is_allowed():
    duration = expected_duration(
        job(6_000, prompt=1_000), limited(requests=600, prompt=1_200_000), concurrency=500, latency_s=0
    )
    assert duration.use[Bound.REQUESTS] == pytest.approx(1.0)
    assert duration.use[Bound.INPUT_TOKENS] == pytest.approx(0.5)


def test_nothing_to_send_takes_no_time():
    duration = expected_duration(job(0), limited(), concurrency=32)
    assert duration.seconds == 0
    assert set(duration.use.values()) == {0.0}


def test_latency_is_guessed_from_the_length_of_a_reply():
    slow = expected_duration(job(100, output=2_000), limited(), concurrency=1)
    assert slow.seconds == pytest.approx(100 * reply_latency_s(2_000))
