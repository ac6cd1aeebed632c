"""The Messages client when the answer may be long, and is streamed."""

import asyncio
import contextlib
import json

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from loopback import Answer, responding
from message_server import LONG, MESSAGE, STATUSES, api_error, outcome_of, request

from batchrun.providers import AttemptError
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.anthropic.message_stream import StreamedMessage
from batchrun.providers.anthropic.messages import LONGEST_PLAIN_MAX_TOKENS
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


THOUGHT = {"thinking_tokens": 3}


@pytest.mark.parametrize(
    ("at_the_start", "at_the_end", "thinking_tokens"), [({}, THOUGHT, 3), (THOUGHT, {}, None)], ids=["end", "start"]
)
def test_only_the_end_of_a_stream_tells_its_thinking(
    at_the_start: object, at_the_end: object, thinking_tokens: int | None
) -> None:
    usage = {"input_tokens": 12, "output_tokens": 1, "output_tokens_details": at_the_start}
    start = {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": usage}}
    end = with_(END, usage={"output_tokens": 5, "output_tokens_details": at_the_end})

    reply = outcome_of(told(start, BLOCK, DELTA, STOP, end, OVER), request(max_tokens=LONG))

    assert isinstance(reply, Reply)
    assert reply.usage == Usage(12, output_tokens=5, thinking_tokens=thinking_tokens)


OTHER_BLOCK = (
    "content_block_delta",
    {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}},
)

START, BLOCK, DELTA, STOP, END, OVER = (value for _, value in events())


def told(*values: object) -> Answer:
    return streaming([("x", value) for value in values])


def with_(event: object, **changes: object) -> dict[str, object]:
    assert isinstance(event, dict)
    return event | changes


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
    "no end": (told(START, BLOCK, DELTA, STOP, END), Cause.MALFORMED),
    "no end of the answer": (told(START, BLOCK, DELTA, STOP, OVER), Cause.MALFORMED),
    "text before it begins": (streaming(events()[2:3]), Cause.MALFORMED),
    "text of a block that never began": (streaming([events()[0], OTHER_BLOCK]), Cause.MALFORMED),
    "text of a block that has ended": (told(START, BLOCK, DELTA, STOP, DELTA, END, OVER), Cause.MALFORMED),
    "text of the last block by a negative number": (told(START, BLOCK, with_(DELTA, index=-1)), Cause.MALFORMED),
    "blocks out of order": (told(START, with_(BLOCK, index=1)), Cause.MALFORMED),
    "a block that begins twice": (told(START, BLOCK, BLOCK, STOP, END, OVER), Cause.MALFORMED),
    "two beginnings": (told(START, START, BLOCK, DELTA, STOP, END, OVER), Cause.MALFORMED),
    "a message that is words": (told(with_(START, message="x")), Cause.MALFORMED),
    "a message that is null": (told(with_(START, message=None)), Cause.MALFORMED),
    "a number of a block that is words": (told(START, with_(BLOCK, index="0")), Cause.MALFORMED),
    "a block that is null": (told(START, with_(BLOCK, content_block=None)), Cause.MALFORMED),
    "a block without a type": (told(START, with_(BLOCK, content_block={}), STOP, END, OVER), Cause.MALFORMED),
    "a delta that is null": (told(START, BLOCK, with_(DELTA, delta=None)), Cause.MALFORMED),
    "a delta without a type": (told(START, BLOCK, with_(DELTA, delta={"text": "x"})), Cause.MALFORMED),
    "text that is a number": (
        told(START, BLOCK, with_(DELTA, delta={"type": "text_delta", "text": 7})),
        Cause.MALFORMED,
    ),
    "an end that is null": (told(START, BLOCK, DELTA, STOP, with_(END, delta=None)), Cause.MALFORMED),
    "an event that is a list": (told([]), Cause.MALFORMED),
    "an event that is null": (told(START, "null"), Cause.MALFORMED),
    "an event without a type": (told({}), Cause.MALFORMED),
    "a type that is a list": (told(with_(START, type=["message_start"])), Cause.MALFORMED),
    "events nested beyond reason": (told(START, "[" * 100_000), Cause.MALFORMED),
    "an error that is null": (told(START, {"type": "error", "error": None}), Cause.MALFORMED),
    "an error of a type that says nothing": (told(START, api_error("odd_error", "oops")), Cause.MALFORMED),
    "a page": (responding("<html>hi</html>"), Cause.MALFORMED),
}


@pytest.mark.parametrize("case", STREAMED)
def test_a_stream_that_fails(case: str) -> None:
    answer, cause = STREAMED[case]

    failure = outcome_of(answer, request(max_tokens=LONG))

    assert isinstance(failure, Failure)
    assert failure.cause is cause


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("api_error", 500), ("rate_limit_error", 429), ("authentication_error", 401)],
)
@pytest.mark.parametrize("has_begun", [False, True])
def test_an_error_in_a_stream_has_the_status_of_its_type_and_what_had_begun_may_be_billed(
    kind: str, status: int, has_begun: bool
) -> None:
    began = events()[:2] if has_begun else []

    failure = outcome_of(streaming([*began, ("error", api_error(kind, "words"))]), request(max_tokens=LONG))

    assert isinstance(failure, Failure)
    assert (failure.cause, failure.status, failure.error_type, failure.message) == (Cause.STATUS, status, kind, "words")
    assert failure.maybe_billed == has_begun


def test_what_is_not_utf_8_is_malformed() -> None:
    async def answer(got: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(got)
        await response.write(f"data: {json.dumps(START)}\n\n".encode() + b'data: {"type": "ping", "x": "\xff"}\n\n')
        return response

    failure = outcome_of(answer, request(max_tokens=LONG))

    assert isinstance(failure, Failure)
    assert (failure.cause, failure.maybe_billed) == (Cause.MALFORMED, True)


def test_what_is_unknown_in_a_stream_is_left_out() -> None:
    thinking = {"type": "content_block_start", "index": 1, "content_block": {"type": "thinking", "thinking": ""}}
    thought = {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": "hmm"}}
    signed = {"type": "content_block_delta", "index": 1, "delta": {"type": "signature_delta", "signature": "c2ln"}}
    answer = told(
        {"type": "ping"},
        START,
        {"type": "of_the_future", "index": 0},
        BLOCK,
        with_(DELTA, delta={"type": "future_delta", "future": []}),
        DELTA,
        STOP,
        thinking,
        thought,
        signed,
        with_(END, usage={"output_tokens": 5, "input_tokens": None, "x": -1}),
        OVER,
        "[DONE]",
    )

    reply = outcome_of(answer, request(max_tokens=LONG))

    assert isinstance(reply, Reply)
    assert (reply.text, reply.usage) == ('{"a": 1}', Usage(12, output_tokens=5))
    thought_of = {"type": "thinking", "thinking": "hmm", "signature": "c2ln"}
    assert json.loads(reply.raw)["content"][1] == thought_of, "the API takes it back with its signature alone"


def test_a_streamed_refusal_keeps_its_words_and_output_that_is_not_told_at_the_end_is_not_told() -> None:
    details = {"category": "cyber", "explanation": "No."}
    end = with_(END, delta={"stop_reason": "refusal", "stop_details": details}, usage=None)

    reply = outcome_of(told(START, end, OVER), request(max_tokens=LONG))

    assert isinstance(reply, Reply)
    assert (reply.stop_reason, reply.refusal, reply.usage) == ("refusal", "cyber: No.", None)


VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3) | st.just([]) | st.just({})


@given(st.data())
def test_no_event_is_too_hostile(data: st.DataObject) -> None:
    """Whatever is changed in whatever event, there is a message or a failure."""
    message = StreamedMessage({})
    with contextlib.suppress(AttemptError):
        for _, event in data.draw(st.permutations(events()) | st.just(events())):
            changed = json.loads(json.dumps(event))
            inner = data.draw(st.sampled_from([changed, *(one for one in changed.values() if isinstance(one, dict))]))
            if inner and data.draw(st.booleans()):
                inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(VALUES)
            message.add(json.dumps(changed).encode())
        if message.ended:
            reply_of(message.whole())


def test_the_boundary_is_not_streamed() -> None:
    assert isinstance(outcome_of(responding(MESSAGE), request(max_tokens=LONGEST_PLAIN_MAX_TOKENS)), Reply)
