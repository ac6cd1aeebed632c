"""The provider in memory tells what the client tells over HTTP, and keeps the loop's time."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import virtual_time
from simulated_provider import SimulatedProvider

from batchrun.providers import AttemptError, Provider
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure, Reply, ReportedLimits
from batchrun.request import Request
from batchrun.simulator.faults.catalogue import FAULTS, OK
from batchrun.simulator.faults.outages import OtherClient, Outage
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT, Latency
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits

STEADY = Latency(first_token_s=2.0, tokens_per_s=10.0, spread=0.0)
WIDE = Limits(10**6, 10**9, 10**9)


def request(number: int = 0, **more: Any) -> Request:
    message = {"role": "user", "content": f"This lease number {number} is governed by the laws of Norway."}
    return Request.of(
        {"model": "claude-haiku-4-5", "max_tokens": 500, "messages": [message], "thinking": {"type": "disabled"}} | more
    )


def provider_of(*script: str, timeout_s: float = 600.0, **options: Any) -> SimulatedProvider:
    simulator = Simulator(PROFILES["calm"], script=script, **{"latency": STEADY, "limits": WIDE} | options)
    return SimulatedProvider(simulator, timeout_s)


async def outcome(provider: Provider, sent: Request | None = None) -> Reply | Failure:
    try:
        return await provider.send(sent or request())
    except AttemptError as error:
        return error.failure


def limits_of(told: Reply | Failure) -> ReportedLimits:
    assert told.limits is not None
    return told.limits


# --- as over HTTP


async def over_http(sent: Request, *script: str, timeout_s: float, **options: Any) -> Reply | Failure:
    simulator = Simulator(PROFILES["calm"], script=script, latency=INSTANT, **options)
    async with SimulatorServer(simulator) as server:
        provider = AnthropicFactory(base_url=server.base_url, api_key="x").make(concurrency=1, timeout_s=timeout_s)
        try:
            return await outcome(provider, sent)
        finally:
            await provider.close()


def comparable(told: Reply | Failure) -> Reply | Failure:
    """Without names, and without the words of a broken connection, which the operating system chooses."""
    if isinstance(told, Reply):
        return replace(told, api_request_id=None, first_byte_s=None)
    words = "" if told.cause is Cause.DROPPED else told.message
    return replace(told, api_request_id=None, message=words)


@pytest.mark.parametrize("fault", sorted({OK, *FAULTS} - {"rate_limited_http_date"}))
def test_every_fault_is_told_as_over_http(fault: str) -> None:
    timeout_s = 0.2 if fault == "hang" else 5.0

    here = virtual_time.run(outcome(provider_of(fault, latency=INSTANT, timeout_s=timeout_s, limits=None)))
    there = asyncio.run(over_http(request(), fault, timeout_s=timeout_s))

    assert comparable(here) == comparable(there)


@pytest.mark.parametrize("kind", ["overloaded", "unavailable", "reset", "hang"])
def test_every_outage_is_told_as_over_http(kind: Any) -> None:
    outages, timeout_s = [Outage(0, 100, kind)], 0.2 if kind == "hang" else 5.0

    here = virtual_time.run(outcome(provider_of(timeout_s=timeout_s, limits=None, outages=outages)))
    there = asyncio.run(over_http(request(), timeout_s=timeout_s, outages=outages))

    assert comparable(here) == comparable(there)


@pytest.mark.parametrize("changes", [{"model": "claude-none"}, {"temperature": 1}, {"messages": []}], ids=str)
def test_what_is_wrong_is_told_as_over_http(changes: dict[str, Any]) -> None:
    sent = request(**changes)

    here = virtual_time.run(outcome(provider_of(), sent))
    there = asyncio.run(over_http(sent, timeout_s=5.0))

    assert comparable(here) == comparable(there)


# --- time, books, limits


def test_an_answer_takes_its_time_and_is_counted() -> None:
    provider = provider_of()

    async def scenario() -> None:
        first = asyncio.create_task(outcome(provider))
        await asyncio.sleep(1.0)
        replies = await asyncio.gather(first, outcome(provider, request(1)))

        for reply, arrival in zip(replies, provider.arrivals, strict=True):
            assert isinstance(reply, Reply)
            assert reply.usage
            took_s = 2.0 + reply.usage.output_tokens / 10
            assert reply.first_byte_s == pytest.approx(took_s, abs=0.01)
            assert (arrival.status, arrival.input_tokens) == (200, reply.usage.input_tokens)
            assert arrival.output_tokens == reply.usage.output_tokens
            assert arrival.done_s == pytest.approx(arrival.at_s + took_s, abs=0.01)

    virtual_time.run(scenario())

    assert [round(arrival.at_s, 2) for arrival in provider.arrivals] == [0.0, 1.0]
    assert [arrival.in_flight for arrival in provider.arrivals] == [1, 2]
    assert provider.in_flight == 0


def test_over_the_limit_the_wait_is_whole_seconds_and_the_limits_are_told() -> None:
    provider = provider_of(limits=Limits(40, 10**6, 10**6), burst_s=1.5)

    async def turned_away() -> tuple[Failure, Reply | Failure]:
        first = asyncio.create_task(outcome(provider))
        await asyncio.sleep(0)
        failure = await outcome(provider)
        assert isinstance(failure, Failure)
        await asyncio.sleep(failure.retry_after_s or 0)
        return failure, (await asyncio.gather(first, outcome(provider)))[1]

    failure, later = virtual_time.run(turned_away())

    assert (failure.status, failure.error_type, failure.retry_after_s) == (429, "rate_limit_error", 2.0)
    assert limits_of(failure).requests.limit == 40
    assert limits_of(failure).requests.remaining == 0
    assert isinstance(later, Reply)
    assert [arrival.status for arrival in provider.arrivals] == [200, 429, 200]


@pytest.mark.parametrize(("headers_at", "remaining"), [("completion", 0), ("admission", 2)])
def test_headers_are_of_the_completion_or_of_the_admission(headers_at: Any, remaining: int) -> None:
    provider = provider_of(limits=Limits(3, 10**6, 10**6), headers_at=headers_at, latency=Latency(spread=0.0))

    async def scenario() -> list[int | None]:
        replies = await asyncio.gather(*(outcome(provider, request(number)) for number in range(3)))
        return [limits_of(reply).requests.remaining for reply in replies]

    assert virtual_time.run(scenario())[0] == remaining


def test_a_client_that_gives_up_pays_all_the_same() -> None:
    provider = provider_of(timeout_s=1.0)

    async def scenario() -> Reply | Failure:
        failure = await outcome(provider)
        assert provider.arrivals[0].status is None
        await asyncio.sleep(60)
        return failure

    failure = virtual_time.run(scenario())

    assert isinstance(failure, Failure)
    assert (failure.cause, failure.maybe_billed) == (Cause.TIMEOUT, True)
    assert provider.arrivals[0].output_tokens > 0


def test_a_canceled_send_ends_at_once() -> None:
    provider = provider_of()

    async def scenario() -> None:
        sending = asyncio.create_task(provider.send(request()))
        await asyncio.sleep(0.1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert provider.in_flight == 0
        await asyncio.sleep(60)

    virtual_time.run(scenario())


def test_it_is_a_factory_of_itself() -> None:
    provider = provider_of()
    provider.check()

    assert provider.make(concurrency=3, timeout_s=7.0) is provider
    assert provider.timeout_s == 7.0

    virtual_time.run(provider.close())
    assert provider.closed


# --- what a run has to live with


async def each_second(provider: SimulatedProvider, seconds: int) -> list[str]:
    """What a request a second is told."""

    async def told(number: int) -> str:
        await asyncio.sleep(number)
        answer = await outcome(provider, request(number))
        return "ok" if isinstance(answer, Reply) else answer.name

    return await asyncio.gather(*(told(number) for number in range(seconds)))


def test_outages_begin_and_end() -> None:
    outages = [Outage(2, 4, "overloaded"), Outage(5, 6, "reset"), Outage(6, 7, "unavailable"), Outage(7, 8, "hang")]
    provider = provider_of(outages=outages, timeout_s=30.0)

    async def scenario() -> list[str]:
        await asyncio.sleep(1_000)
        return await each_second(provider, 9)

    told = virtual_time.run(scenario())

    assert told == ["ok", "ok", "http_529", "http_529", "ok", "dropped", "http_503", "timeout", "ok"]


def test_an_outage_in_simulated_seconds() -> None:
    provider = provider_of(outages=[Outage(20, 40)], speed=10)

    assert virtual_time.run(each_second(provider, 6)) == ["ok", "ok", "http_529", "http_529", "ok", "ok"]


def test_an_outage_of_one_model() -> None:
    provider = provider_of(outages=[Outage(0, 10, model="claude-haiku-4-5")])

    async def scenario() -> list[Reply | Failure]:
        return [await outcome(provider, request(model=model)) for model in ("claude-haiku-4-5", "claude-haiku-5-5")]

    struck, spared = virtual_time.run(scenario())

    assert isinstance(struck, Failure)
    assert isinstance(spared, Reply)


async def _at(delay_s: float, provider: SimulatedProvider, number: int) -> bool:
    await asyncio.sleep(delay_s)
    return isinstance(await outcome(provider, request(number)), Reply)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "expected"), [(0.0, 240), (0.3, 168), (0.9, 24)])
def test_another_client_takes_its_share_from_its_moment_on(share: float, expected: int) -> None:
    provider = provider_of(
        limits=Limits(240, 10**9, 10**9), burst_s=1.0, others=OtherClient(share=share, from_s=60.0), latency=INSTANT
    )

    async def scenario() -> tuple[int, int]:
        told = await asyncio.gather(*(_at(number / 10, provider, number) for number in range(1_200)))
        return sum(told[:600]), sum(told[600:])

    alone, shared = virtual_time.run(scenario())

    assert alone == pytest.approx(240, abs=6)
    assert shared == pytest.approx(expected, abs=6)
