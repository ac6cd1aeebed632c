"""One line of a batch's results, and lines out of bytes: nothing that comes is too strange to be told apart."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import MESSAGE

from batchrun.batch import BatchResult, ResultType
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import result_from
from batchrun.providers.anthropic.bounds import Lines
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.reply import Cause, Failure, Reply, Usage


def api_error(kind: str, message: str, **more: object) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


def line(result: object, custom_id: object = "a") -> bytes:
    return json.dumps({"custom_id": custom_id, "result": result}).encode()


def test_a_message_becomes_a_reply() -> None:
    assert result_from(line({"type": "succeeded", "message": MESSAGE})) == BatchResult(
        request_id="a",
        type=ResultType.SUCCEEDED,
        reply=Reply(
            text="4",
            stop_reason="end_turn",
            usage=Usage(input_tokens=20, output_tokens=4),
            model="claude-haiku-4-5-20251001",
            api_request_id=None,
            raw=json.dumps(MESSAGE),
        ),
    )


def test_the_thinking_of_a_message_is_kept() -> None:
    usage = {"input_tokens": 20, "output_tokens": 4, "output_tokens_details": {"thinking_tokens": 3}}

    reply = result_from(line({"type": "succeeded", "message": MESSAGE | {"usage": usage}})).reply

    assert reply
    assert reply.usage == Usage(20, output_tokens=4, thinking_tokens=3)


@pytest.mark.parametrize("message", [None, [], "x", {}, MESSAGE | {"stop_reason": None}, MESSAGE | {"content": 3}])
def test_a_message_that_cannot_be_read_has_succeeded_all_the_same(message: object) -> None:
    result = result_from(line({"type": "succeeded", "message": message}))

    assert (result.type, result.reply) == (ResultType.SUCCEEDED, None)
    assert result.failure is not None
    assert result.failure.cause is Cause.MALFORMED
    assert result.failure.maybe_billed


@pytest.mark.parametrize("kind", ["canceled", "expired"])
def test_what_was_not_processed_says_no_more(kind: str) -> None:
    assert result_from(line({"type": kind})) == BatchResult(request_id="a", type=ResultType(kind))


@pytest.mark.slow
def test_a_message_nested_beyond_reason_cannot_be_read() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]

    with pytest.raises(AttemptError, match="no message"):
        reply_of(MESSAGE | {"x": nested})


def test_an_error_keeps_the_apis_words() -> None:
    error = api_error("invalid_request_error", "too\nlong " + "x" * 2_000, details={"error_code": "request_too_long"})
    result = result_from(line({"type": "errored", "error": error}))

    assert result == BatchResult(
        request_id="a",
        type=ResultType.ERRORED,
        failure=Failure(
            cause=Cause.STATUS,
            status=400,
            error_type="invalid_request_error",
            error_code="request_too_long",
            message=("too\\nlong " + "x" * 2_000)[:1_000],
            api_request_id="req_1",
        ),
    )


ERRORS: dict[str, tuple[object, int | None, str | None]] = {
    "overloaded": (api_error("overloaded_error", "x"), 529, "overloaded_error"),
    "api": (api_error("api_error", "x"), 500, "api_error"),
    "of the future": (api_error("tired_error", "x"), None, "tired_error"),
    "without a type": ({"error": {"message": "x"}}, None, None),
    "with a type that is a list": ({"error": {"type": ["x"], "message": "x"}}, None, None),
    "without anything": ({}, None, None),
    "that is null": (None, None, None),
    "that is words": ("x", None, None),
    "of words": ({"error": "x", "request_id": 7}, None, None),
    "with details that are none": ({"error": {"details": [], "message": {}}}, None, None),
}


@pytest.mark.parametrize(("error", "status", "error_type"), ERRORS.values(), ids=ERRORS)
def test_an_error(error: object, status: int | None, error_type: str | None) -> None:
    failure = result_from(line({"type": "errored", "error": error})).failure

    assert failure is not None
    assert (failure.cause, failure.status, failure.error_type) == (Cause.STATUS, status, error_type)
    assert failure.message
    assert not failure.maybe_billed


NO_RESULTS = {
    "nothing": b"",
    "words": b"hello",
    "half of one": line({"type": "succeeded", "message": MESSAGE})[:40],
    "a list": b"[]",
    "null": b"null",
    "a number": b"17",
    "a number beyond reason": b"9" * 10_000,
    "nested beyond reason": b"[" * 100_000,
    "nested beyond reason inside": b'{"custom_id":' * 100_000,
    "no UTF-8": b'{"custom_id": "\xff"}',
    "a byte order mark of another kind": b"\xff\xfe{",
    "no id": b'{"result": {"type": "unheard"}}',
    "an id that is a list": line({}, custom_id=["a"]),
}


@pytest.mark.parametrize("case", NO_RESULTS)
def test_a_line_that_is_no_result(case: str) -> None:
    assert result_from(NO_RESULTS[case]) == BatchResult(type=None)


@pytest.mark.parametrize("result", [None, [], "succeeded", {"type": "unheard"}, {"type": ["succeeded"]}, {}])
def test_a_result_of_no_known_type_keeps_its_id(result: object) -> None:
    assert result_from(line(result)) == BatchResult(request_id="a", type=None)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*ResultType, "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "message", "error", "details", "content", "usage", "stop_reason", "model", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def is_showable(result: BatchResult) -> bool:
    told = [result.nonce, result.request_id]
    if result.failure:
        told += [result.failure.message, result.failure.error_type or "", result.failure.error_code or ""]
    return all(len(words) <= 1_000 and not {"\n", "\x1b", "\u202e"} & set(words) for words in told)


@pytest.mark.slow
@given(st.binary())
def test_no_bytes_are_too_hostile(told: bytes) -> None:
    assert is_showable(result_from(told))


@pytest.mark.slow
@given(ANYTHING, ANYTHING, st.sampled_from(list(ResultType)))
def test_no_result_is_too_hostile(custom_id: object, inner: object, kind: ResultType) -> None:
    told = {"custom_id": custom_id, "result": {"type": kind, "message": inner, "error": inner}}
    result = result_from(json.dumps(told).encode())

    assert result.type is kind
    assert is_showable(result)
    assert (result.reply or result.failure) or kind in {ResultType.CANCELED, ResultType.EXPIRED}


PIECES = st.lists(st.sampled_from([b"a", b"\n", b"\r", "\u2028".encode(), b" ", b"bc", b"\n\n"]))


@pytest.mark.slow
@given(PIECES, st.lists(st.integers(min_value=0)))
def test_lines_are_the_same_however_they_are_cut(pieces: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(pieces)
    ends = sorted({cut % (len(whole) + 1) for cut in cuts} | {0, len(whole)})
    lines = Lines()

    got = [line for a, b in pairwise(ends) for line in lines.whole(whole[a:b])] + [*lines.rest()]

    assert got == [line for line in whole.split(b"\n") if line.strip()]
