"""The Messages client when the connection fails."""

import asyncio

import pytest
from aiohttp import web
from loopback import Answer
from message_server import failure_of, provider_against, request

from batchrun.providers import AttemptError
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure


async def cut_before_answering(got: web.Request) -> web.StreamResponse:
    assert got.transport
    got.transport.abort()
    return web.Response()


async def cut_in_the_middle(got: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-length": "1000"})
    await response.prepare(got)
    await response.write(b'{"type": "mess')
    assert got.transport
    got.transport.abort()
    return response


@pytest.mark.parametrize("answer", [cut_before_answering, cut_in_the_middle])
def test_a_broken_connection_is_dropped_and_maybe_billed(answer: Answer) -> None:
    failure = failure_of(answer)

    assert failure.cause is Cause.DROPPED
    assert failure.maybe_billed


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def dripping(got: web.Request) -> web.StreamResponse:
    """A byte now and then, so that no single read takes long."""
    response = web.StreamResponse()
    await response.prepare(got)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("answer", [silent, dripping])
def test_no_answer_in_time_is_a_timeout_and_maybe_billed(answer: Answer) -> None:
    failure = failure_of(answer, timeout_s=0.3)

    assert failure.cause is Cause.TIMEOUT
    assert failure.maybe_billed
    assert "0.3 s" in failure.message


def test_no_connection_is_unreachable_and_costs_nothing(unused_tcp_port: int) -> None:
    async def scenario() -> Failure:
        url = f"http://127.0.0.1:{unused_tcp_port}"
        provider = AnthropicFactory(base_url=url, api_key="test").make(timeout_s=60, concurrency=1)
        try:
            with pytest.raises(AttemptError) as error:
                await provider.send(request())
            return error.value.failure
        finally:
            await provider.close()

    failure = asyncio.run(scenario())

    assert failure.cause is Cause.UNREACHABLE
    assert not failure.maybe_billed


@pytest.fixture
def unused_tcp_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_canceled_send_ends_at_once() -> None:
    async def scenario() -> None:
        async with provider_against(silent) as provider:
            sending = asyncio.create_task(provider.send(request()))
            await asyncio.sleep(0.05)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

    asyncio.run(scenario())
