"""The Messages client when the answer may be long, and is streamed."""

import asyncio
import json

import pytest
from aiohttp import web
from loopback import Answer, responding
from message_server import LONG, MESSAGE, STATUSES, api_error, outcome_of, request

from batchrun.providers.anthropic.provider import (
    LONGEST_PLAIN_MAX_TOKENS,
)
from batchrun.reply import Cause, Failure, Reply, Usage


@pytest.mark.parametrize("max_tokens", [100, LONG])
def test_the_first_byte_is_told_from_the_last(max_tokens: int) -> None:
    stream = "".join(f"event: {name}\ndata: {json.dumps(told)}\n\n" for name, told in events())

    async def answer(got: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        kind = "application/json" if max_tokens == 100 else "text/event-stream"
        response = web.StreamResponse(headers={"content-type": kind})
        await response.prepare(got)
        await asyncio.sleep(0.4)
        await response.write((json.dumps(MESSAGE) if max_tokens == 100 else stream).encode())
        return response

    reply = outcome_of(answer, request(max_tokens=max_tokens))

    assert isinstance(reply, Reply)
    assert reply.first_byte_s is not None
    assert 0.1 <= reply.first_byte_s < 0.5, "the last byte is sent half a second after the call at the earliest"


def events(*extra: tuple[str, object], stop: bool = True) -> list[tuple[str, object]]:
    start = MESSAGE | {"content": [], "stop_reason": None, "usage": {"input_tokens": 12, "output_tokens": 1}}
    text = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": '{"a": 1}'}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
    begun: list[tuple[str, object]] = [
        ("message_start", {"type": "message_start", "message": start}),
        ("content_block_start", text),
        ("content_block_delta", delta),
    ]
    ended: list[tuple[str, object]] = [
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        ("message_delta", end),
        ("message_stop", {"type": "message_stop"}),
    ]
    return [*begun, *extra, *(ended if stop else [])]


def streaming(told: list[tuple[str, object]], *, then_cut: bool = False) -> Answer:
    async def answer(got: web.Request) -> web.StreamResponse:
        assert (await got.json())["stream"] is True
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "request-id": "req_1"})
        await response.prepare(got)
        for name, value in told:
            text = value if isinstance(value, str) else json.dumps(value)
            await response.write(f"event: {name}\ndata: {text}\n\n".encode())
        if then_cut:
            assert got.transport
            got.transport.abort()
        return response

    return answer


def test_a_long_answer_is_streamed_and_is_the_same_reply() -> None:
    reply = outcome_of(streaming(events()), request(max_tokens=LONG))

    assert isinstance(reply, Reply)
    assert (reply.text, reply.stop_reason, reply.usage) == ('{"a": 1}', "end_turn", Usage(12, output_tokens=5))
    assert (reply.model, reply.api_request_id) == ("claude-haiku-4-5-20251001", "req_1")
    assert json.loads(reply.raw)["content"][0]["text"] == '{"a": 1}'


OTHER_BLOCK = (
    "content_block_delta",
    {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}},
)

STREAMED: dict[str, tuple[Answer, Cause]] = {
    "overloaded in the middle": (
        streaming(events(("error", api_error("overloaded_error", "Overloaded")), stop=False)),
        Cause.STATUS,
    ),
    "cut in the middle": (streaming(events(stop=False), then_cut=True), Cause.DROPPED),
    "401 before it begins": (STATUSES["401"][0], Cause.STATUS),
    "502 before it begins": (STATUSES["502 with a page"][0], Cause.STATUS),
    "an event that is no JSON": (streaming(events(("content_block_delta", '{"type": '))), Cause.MALFORMED),
    "nothing at all": (streaming([]), Cause.MALFORMED),
    "an end in the middle": (streaming(events(stop=False)), Cause.MALFORMED),
    "text before it begins": (streaming(events()[2:3]), Cause.MALFORMED),
    "text of a block that never began": (streaming([events()[0], OTHER_BLOCK]), Cause.MALFORMED),
    "a page": (responding("<html>hi</html>"), Cause.MALFORMED),
}


@pytest.mark.parametrize("case", STREAMED)
def test_a_stream_that_fails(case: str) -> None:
    answer, cause = STREAMED[case]

    failure = outcome_of(answer, request(max_tokens=LONG))

    assert isinstance(failure, Failure)
    assert failure.cause is cause


def test_the_boundary_is_not_streamed() -> None:
    assert isinstance(outcome_of(responding(MESSAGE), request(max_tokens=LONGEST_PLAIN_MAX_TOKENS)), Reply)
