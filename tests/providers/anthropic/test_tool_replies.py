"""The input of a tool in a reply, as a whole message and as the events of a stream bring the input."""

import json
from typing import Any

import pytest

from batchrun.providers import AttemptError
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.anthropic.message_stream import StreamedMessage
from batchrun.reply import Reply

CALL: dict[str, Any] = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "give_answer",
    "input": {"title": "é \ud83d", "n": 1},
}
TEXT = {"type": "text", "text": "Let me see."}


def message(*blocks: Any) -> dict[str, Any]:
    return {"content": list(blocks), "stop_reason": "tool_use", "model": "m", "usage": None}


def streamed(*pieces: str, block: Any = CALL) -> Reply:
    stream = StreamedMessage({})
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    for event in (
        {"type": "message_start", "message": {"model": "m", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ):
        stream.add(json.dumps(event).encode())
    return reply_of(stream.whole())


def test_the_input_of_a_tool_is_json_beside_the_text() -> None:
    reply = reply_of(message(TEXT, CALL))
    assert (reply.text, reply.tool_input) == ("Let me see.", '{"title": "\\u00e9 \\ud83d", "n": 1}')


def test_a_reply_without_a_call_has_no_input() -> None:
    assert reply_of(message(TEXT)).tool_input is None


def test_two_calls_are_not_one_answer() -> None:
    assert reply_of(message(CALL, CALL)).tool_input == "\n".join([json.dumps(CALL["input"])] * 2)


PIECES = {
    "whole": ('{"title": "a", "n": 1}',),
    "pieces": ("", '{"title"', ': "a", ', '"n": 1}'),
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
def test_the_pieces_of_a_stream_are_the_same_input(pieces: tuple[str, ...]) -> None:
    reply = streamed(*pieces)
    assert reply.tool_input == '{"title": "a", "n": 1}'
    assert json.loads(reply.raw)["content"] == [{**CALL, "input": {"title": "a", "n": 1}}]


@pytest.mark.parametrize("pieces", [("",), ('{"title": "a',), ("[" * 100_000,)], ids=["blank", "cut", "deep"])
def test_an_input_that_is_no_json_stays_text(pieces: tuple[str, ...]) -> None:
    assert streamed(*pieces).tool_input == "".join(pieces)


def test_a_stream_without_pieces_keeps_the_input_of_its_beginning() -> None:
    assert streamed().tool_input == "{}"


@pytest.mark.parametrize("block", [{"type": "tool_use"}, {"type": "tool_use", "name": "x"}])
def test_a_call_without_an_input_is_malformed(block: dict[str, Any]) -> None:
    with pytest.raises(AttemptError, match="the answer is no message"):
        reply_of(message(block))


def test_a_complete_call_without_content_is_malformed() -> None:
    with pytest.raises(AttemptError, match="the answer is no message"):
        reply_of({**message(), "content": None})
