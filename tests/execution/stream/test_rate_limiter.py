"""The gate under virtual time, with the real aiolimiter: how many pass, in which order, and how fast."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from virtual_time import run

from batchrun.catalog.rate_limits import RateLimits
from batchrun.execution.stream.rate_limiter import RateLimiter
from batchrun.reply import ReportedLimit, ReportedLimits, Usage

PLENTY = 10**9
BURST_S = 0.5
"""What may pass at once, of every limit."""


def limits(
    *, requests: int = PLENTY, input_tokens: int = PLENTY, output_tokens: int = PLENTY, headroom: float = 1.0
) -> RateLimits:
    return RateLimits(
        requests_per_minute=requests,
        input_tokens_per_minute=input_tokens,
        output_tokens_per_minute=output_tokens,
        headroom=headroom,
    )


def a_rate_limiter(given: RateLimits) -> RateLimiter:
    return RateLimiter(given, clock=asyncio.get_running_loop().time)


async def admissions(
    rate_limiter: RateLimiter, *, until_s: float, input_tokens: float = 1, workers: int = 50
) -> list[float]:
    """When requests pass while workers press against the gate."""
    clock = asyncio.get_running_loop().time
    passed: list[float] = []

    async def press() -> None:
        while True:
            await rate_limiter.admit(input_tokens=input_tokens, output_tokens=1)
            passed.append(clock())
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        pressing = [group.create_task(press()) for _ in range(workers)]
        await asyncio.sleep(until_s)
        for task in pressing:
            task.cancel()
    return passed


def most_in_a_minute(passed: Sequence[float]) -> int:
    return max(sum(begin <= moment < begin + 60 for moment in passed) for begin in passed)


@pytest.mark.slow
@pytest.mark.parametrize("per_minute", [12, 50, 600, 1_200])
def test_no_minute_sees_more_requests_than_allowed_and_half_a_second_s_worth(per_minute: int) -> None:
    async def scenario() -> list[float]:
        return await admissions(a_rate_limiter(limits(requests=per_minute)), until_s=180)

    passed = run(scenario())

    allowed = per_minute + max(1, per_minute / 60 * BURST_S)
    assert most_in_a_minute(passed) <= allowed + 1
    assert len(passed) >= 3 * per_minute * 0.99, "and the limit is used"


def test_headroom_is_left_to_others() -> None:
    async def scenario() -> list[float]:
        return await admissions(a_rate_limiter(limits(requests=600, headroom=0.5)), until_s=60)

    assert 297 <= len(run(scenario())) <= 305 + 1


def test_tokens_pass_at_their_rate() -> None:
    async def scenario() -> list[float]:
        return await admissions(a_rate_limiter(limits(input_tokens=60_000)), until_s=120, input_tokens=500)

    passed = run(scenario())

    assert 0.98 * 240 <= len(passed) <= 240 + BURST_S * 1_000 / 500 + 1


def test_first_come_first_served_so_that_long_documents_do_not_starve() -> None:
    async def scenario() -> list[int]:
        rate_limiter = a_rate_limiter(limits(input_tokens=6_000))  # a bucket of 50
        order: list[int] = []

        async def one(number: int) -> None:
            await rate_limiter.admit(input_tokens=1_000 if number % 5 == 2 else 10, output_tokens=1)
            order.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(one(number))
        return order

    assert run(scenario()) == list(range(30))


def test_a_document_larger_than_the_bucket_waits_its_time() -> None:
    async def scenario() -> float:
        rate_limiter = a_rate_limiter(limits(input_tokens=6_000))
        await rate_limiter.admit(input_tokens=50_000, output_tokens=1)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx((50_000 - 50) / 100, rel=0.01)


def test_a_limit_of_one_request_a_minute_still_lets_it_through() -> None:
    async def scenario() -> list[float]:
        return await admissions(a_rate_limiter(limits(requests=1)), until_s=179, workers=2)

    assert run(scenario()) == pytest.approx([0, 60, 120], abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("bias", [0.65, 1.0, 1.5])
def test_settling_makes_up_for_a_biased_estimate(bias: float) -> None:
    """Estimates are `bias` times the truth; what is really used must converge to the limit."""
    actual, per_minute = 1_000, 120_000

    async def scenario() -> list[tuple[float, int]]:
        rate_limiter = a_rate_limiter(limits(input_tokens=per_minute))
        clock = asyncio.get_running_loop().time
        used: list[tuple[float, int]] = []

        async def work() -> None:
            while True:
                charge = await rate_limiter.admit(input_tokens=actual * bias, output_tokens=1)
                used.append((clock(), actual))
                await asyncio.sleep(0.3)
                rate_limiter.settle(charge, Usage(input_tokens=actual, output_tokens=1))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for _ in range(8)]
            await asyncio.sleep(300)
            for task in tasks:
                task.cancel()
        return used

    used = run(scenario())
    later = sum(tokens for moment, tokens in used if 60 <= moment < 300)

    assert later == pytest.approx(4 * per_minute, rel=0.02)


TOKENS, REQUESTS = limits(input_tokens=24_000), limits(requests=60)
"""Under each of them a second request like the first waits: half a second for tokens, a second for a request."""


@pytest.mark.parametrize(
    ("case", "usage", "waited_s"),
    [
        ("cache reads do not count", Usage(cache_read_tokens=200, output_tokens=1), 0.0),
        ("cache writes do", Usage(cache_write_5m_tokens=150, cache_write_1h_tokens=50, output_tokens=1), 0.5),
        ("input does", Usage(input_tokens=200, output_tokens=1), 0.5),
    ],
)
def test_what_counts_to_the_input_limit(case: str, usage: Usage, waited_s: float) -> None:
    async def scenario() -> float:
        rate_limiter = a_rate_limiter(TOKENS)
        charge = await rate_limiter.admit(input_tokens=200, output_tokens=1)
        rate_limiter.settle(charge, usage)
        await rate_limiter.admit(input_tokens=200, output_tokens=1)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(waited_s, abs=0.05)


@pytest.mark.parametrize(
    ("case", "under", "give_back", "waited_s"),
    [
        ("a lost answer keeps its charge", TOKENS, lambda rate_limiter, charge: rate_limiter.settle(charge, None), 0.5),
        ("turned away: tokens come back", TOKENS, lambda rate_limiter, charge: rate_limiter.refund(charge), 0.0),
        ("turned away: the request does not", REQUESTS, lambda rate_limiter, charge: rate_limiter.refund(charge), 1.0),
        ("never sent: all comes back", REQUESTS, lambda rate_limiter, charge: rate_limiter.cancel(charge), 0.0),
    ],
)
def test_what_comes_back(case: str, under: RateLimits, give_back: Callable[..., None], waited_s: float) -> None:
    async def scenario() -> float:
        rate_limiter = a_rate_limiter(under)
        charge = await rate_limiter.admit(input_tokens=200, output_tokens=1)
        give_back(rate_limiter, charge)
        await rate_limiter.admit(input_tokens=200, output_tokens=1)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(waited_s, abs=0.05)


def test_many_refunds_at_once_are_no_burst() -> None:
    async def scenario() -> list[float]:
        rate_limiter = a_rate_limiter(limits(input_tokens=60_000))
        for charge in [await rate_limiter.admit(input_tokens=500, output_tokens=1) for _ in range(40)]:
            rate_limiter.refund(charge)
        began = asyncio.get_running_loop().time()
        return [moment - began for moment in await admissions(rate_limiter, until_s=10, input_tokens=500)]

    passed = run(scenario())

    assert sum(moment < 1 for moment in passed) <= 2 + 2 * BURST_S * 1_000 / 500 + 1


def test_a_pause_holds_everyone_also_whoever_waits_already() -> None:
    async def scenario() -> tuple[bool, bool, list[float]]:
        rate_limiter = a_rate_limiter(limits(requests=120))
        passing = asyncio.create_task(admissions(rate_limiter, until_s=60, workers=10))
        await asyncio.sleep(10)
        began, again = rate_limiter.pause(20), rate_limiter.pause(5)
        return began, again, await passing

    began, again, passed = run(scenario())

    assert (began, again) == (True, False)
    assert not [moment for moment in passed if 10 < moment < 30]
    assert [moment for moment in passed if 30 <= moment < 31]


def test_a_pause_may_be_prolonged_and_not_shortened() -> None:
    async def scenario() -> float:
        rate_limiter = a_rate_limiter(limits())
        rate_limiter.pause(10)
        rate_limiter.pause(3)
        asyncio.get_running_loop().call_later(9, rate_limiter.pause, 10)
        await rate_limiter.admit(input_tokens=1, output_tokens=1)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(19, abs=0.01)


def test_whoever_is_canceled_in_the_queue_lets_the_next_one_through() -> None:
    async def scenario() -> float:
        rate_limiter = a_rate_limiter(limits(input_tokens=6_000))
        long = asyncio.create_task(rate_limiter.admit(input_tokens=100_000, output_tokens=1))
        short = asyncio.create_task(rate_limiter.admit(input_tokens=1, output_tokens=1))
        await asyncio.sleep(5)
        long.cancel()
        await short
        return asyncio.get_running_loop().time()

    assert run(scenario()) < 8


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        pytest.param((100, frozenset({"requests_per_minute"}), 1.0), 1000, id="stated lower than told"),
        pytest.param((200, frozenset[str](), 0.5), 200, id="headroom"),
    ],
)
def test_headers_grant_nothing_beyond_a_lower_limit(limits: tuple[int, frozenset[str], float], told: int) -> None:
    per_minute, stated, headroom = limits
    rates = RateLimits(
        requests_per_minute=per_minute,
        input_tokens_per_minute=PLENTY,
        output_tokens_per_minute=PLENTY,
        headroom=headroom,
        from_job_file=stated,
    )

    async def sent_in_three_minutes() -> int:
        loop = asyncio.get_running_loop()
        rate_limiter, count = RateLimiter(rates, clock=loop.time), 0
        while True:
            charge = await rate_limiter.admit(input_tokens=10, output_tokens=10)
            if loop.time() > 180:
                return count
            count += 1
            rate_limiter.settle(charge, Usage(input_tokens=10, output_tokens=10))
            rate_limiter.hear(charge, ReportedLimits(requests=ReportedLimit(told, told - 5)))

    assert run(sent_in_three_minutes()) <= 305


def test_a_document_that_is_in_the_cache_is_not_starved_by_documents_that_are_begun() -> None:
    """Sixty requests of 10,000 tokens take ten minutes at this limit, and the cache forgets after five."""

    async def scenario() -> tuple[float, float]:
        rate_limiter, clock = a_rate_limiter(limits(input_tokens=60_000)), asyncio.get_running_loop().time

        async def admitted(tokens: int, *, ahead: bool) -> float:
            await rate_limiter.admit(input_tokens=tokens, output_tokens=1, ahead=ahead)
            return clock()

        async with asyncio.TaskGroup() as group:
            begun = [group.create_task(admitted(10_000, ahead=False)) for _ in range(60)]
            await asyncio.sleep(30)
            further = group.create_task(admitted(500, ahead=True))
        return await further - 30, await begun[-1]

    waited_s, last_s = run(scenario())
    assert waited_s < 25
    assert last_s > 500
