"""The Messages client against servers on loopback: replies, errors, keys, and the simulator on the other side."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from loopback import responding
from message_server import LONG, MESSAGE, STATUSES, api_error, failure_of, outcome_of, request

from batchrun.errors import EnvironmentProblem
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.message_parsing import reply_from
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure, Reply, ReportedLimit, ReportedLimits, Usage
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.simulator import Simulator


def reply_to(message: object) -> Reply:
    reply = outcome_of(responding(message))
    assert isinstance(reply, Reply)
    return reply


# --- replies


def test_a_message_becomes_a_reply() -> None:
    assert replace(reply_to(MESSAGE), first_byte_s=None) == Reply(
        text='{"a": 1}',
        stop_reason="end_turn",
        usage=Usage(input_tokens=12, output_tokens=5),
        model="claude-haiku-4-5-20251001",
        api_request_id="req_1",
        raw=json.dumps(MESSAGE),
    )


def test_thinking_is_no_text_and_texts_are_joined() -> None:
    content = [
        {"type": "thinking", "thinking": "hmm", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": '{"a":'},
        {"type": "text", "text": " 1}"},
    ]

    assert reply_to(MESSAGE | {"content": content}).text == '{"a": 1}'


USAGES: dict[str, tuple[object, Usage | None]] = {
    "plain": ({"input_tokens": 1, "output_tokens": 2}, Usage(1, output_tokens=2)),
    "cache fields of the default time": (
        {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 40},
        Usage(1, 30, 0, 40, 2),
    ),
    "cache fields by time to live": (
        {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_creation_input_tokens": 30,
            "cache_read_input_tokens": 40,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        },
        Usage(1, 10, 20, 40, 2),
    ),
    "cache fields that are null": (
        {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": None, "cache_creation": None},
        Usage(1, output_tokens=2),
    ),
    "missing": (None, None),
    "empty": ({}, None),
    "without output": ({"input_tokens": 1}, None),
    "no numbers": ({"input_tokens": "1", "output_tokens": 2}, None),
    "fractions": ({"input_tokens": 1.5, "output_tokens": 2}, None),
    "negative": ({"input_tokens": -1, "output_tokens": 2}, None),
    "true": ({"input_tokens": True, "output_tokens": 2}, None),
    "no object": ([1, 2], None),
    "more than can be": ({"input_tokens": 2**70, "output_tokens": 2}, None),
    "cache_creation that is no object": (
        {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 7, "cache_creation": [1]},
        Usage(1, 0, 7, 0, 2),
    ),
    "an hour that is no count": (
        {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": "20"},
        },
        Usage(1, 10, 20, 0, 2),
    ),
    "a sum that is less than its parts": (
        {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        },
        Usage(1, 10, 20, 0, 2),
    ),
    "an odd counter of the cache": (
        {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": -5, "cache_creation_input_tokens": "x"},
        Usage(1, output_tokens=2),
    ),
    "thinking": (
        {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 9}},
        Usage(1, output_tokens=9, thinking_tokens=9),
    ),
    "no thinking": (
        {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 0}},
        Usage(1, output_tokens=9, thinking_tokens=0),
    ),
    "more thinking than output": (
        {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 10}},
        Usage(1, output_tokens=9),
    ),
    "thinking that is no count": (
        {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": -1}},
        Usage(1, output_tokens=9),
    ),
    "odd counters that nobody needs": (
        {"input_tokens": 1, "output_tokens": 2, "server_tool_use": -1, "output_tokens_details": [1e400], "x": {}},
        Usage(1, output_tokens=2),
    ),
}


@pytest.mark.parametrize("case", USAGES)
def test_every_counter_is_read_by_itself(case: str) -> None:
    told, usage = USAGES[case]

    assert reply_to(MESSAGE | {"usage": told}).usage == usage


@pytest.mark.parametrize("counter", ["output_tokens", "cache_read_input_tokens", "x"])
def test_a_counter_of_ten_thousand_digits_costs_no_answer(counter: str) -> None:
    body = json.dumps(MESSAGE | {"usage": {"input_tokens": 1, "output_tokens": 2, counter: 0}})
    huge = body.replace(f'"{counter}": 0', f'"{counter}": {"9" * 10_000}')

    reply = reply_from(huge.encode(), {})

    assert reply.text == '{"a": 1}'
    assert reply.usage == (None if counter == "output_tokens" else Usage(1, output_tokens=2))


@pytest.mark.parametrize("content", [[], None], ids=repr)
@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"category": "cyber", "explanation": "This asks\nfor malware."}, "cyber: This asks\\nfor malware."),
        ({"category": "bio", "explanation": None}, "bio"),
        ({"category": None, "explanation": "No."}, "No."),
        ({"category": 7, "explanation": ["x"]}, None),
        ({}, None),
        ("cyber", None),
        (None, None),
    ],
    ids=repr,
)
def test_a_refusal_is_a_reply_and_keeps_its_category_and_explanation(
    content: object, details: object, said: str | None
) -> None:
    reply = reply_to(MESSAGE | {"content": content, "stop_reason": "refusal", "stop_details": details})

    assert (reply.text, reply.stop_reason, reply.refusal) == ("", "refusal", said)
    assert reply.usage == Usage(12, output_tokens=5)


def test_an_answer_that_names_no_model_is_an_answer() -> None:
    assert reply_to({name: value for name, value in MESSAGE.items() if name != "model"}).text == '{"a": 1}'


def test_names_are_cut() -> None:
    reply = reply_from(json.dumps(MESSAGE | {"model": "m" * 10**6, "stop_reason": "s" * 10**6}).encode(), {})

    assert (len(reply.model), len(reply.stop_reason or "")) == (200, 200)


def test_a_reply_with_half_a_character_can_be_kept() -> None:
    async def answer(_: web.Request) -> web.Response:
        body = json.dumps(MESSAGE | {"content": [{"type": "text", "text": "\ud83d"}]})
        return web.Response(body=body.encode(), content_type="application/json")

    reply = outcome_of(answer)

    assert isinstance(reply, Reply)
    assert reply.raw.isascii()


def raw_of(body: bytes) -> str:
    return reply_from(body, {}).raw


def test_a_body_in_ascii_is_kept_as_it_came() -> None:
    body = json.dumps(MESSAGE | {"id": "\u2028"}, indent=1)

    assert raw_of(body.encode()) == body


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["plain", "ü漢🙂"])
def test_a_body_in_any_encoding_is_kept_as_ascii(encoding: str, text: str) -> None:
    message = MESSAGE | {"content": [{"type": "text", "text": text}]}

    raw = raw_of(json.dumps(message, ensure_ascii=False).encode(encoding))

    assert raw == json.dumps(message)


def test_names_with_half_a_character_can_be_kept() -> None:
    body = json.dumps(MESSAGE | {"model": "claude\ud800", "stop_reason": "end\udfff"}).encode()

    reply = reply_from(body, {"request-id": b"req_\xff".decode("utf-8", "surrogateescape")})

    assert (reply.model, reply.stop_reason, reply.api_request_id) == ("claude\\ud800", "end\\udfff", "req_\\udcff")
    assert "".join((reply.model, reply.stop_reason or "", reply.api_request_id or "", reply.raw)).isascii()


LIMITS: dict[str, tuple[str, int | None]] = {
    "a number": ("4000", 4000),
    "nothing": ("", None),
    "zero": ("0", None),
    "words": ("many", None),
    "a fraction": ("1.5", None),
    "negative": ("-1", None),
    "digits of another script": ("٤٠٠٠", None),
    "hundreds of digits": ("9" * 400, None),
    "thousands of digits": ("9" * 5_000, None),
}


@pytest.mark.parametrize(("header", "limit"), LIMITS.values(), ids=LIMITS)
def test_a_limit_that_is_no_limit_costs_no_reply(header: str, limit: int | None) -> None:
    headers = {f"anthropic-ratelimit-{name}-limit": header for name in ("requests", "input-tokens", "output-tokens")}

    reply = reply_from(json.dumps(MESSAGE).encode(), headers)

    told = ReportedLimit(limit=limit)
    assert reply.limits == ReportedLimits(requests=told, input_tokens=told, output_tokens=told)


def test_the_bytes_that_name_a_request_are_the_bytes_on_the_wire() -> None:
    seen: list[tuple[bytes, str]] = []

    async def answer(got: web.Request) -> web.Response:
        seen.append((await got.read(), got.headers["content-type"]))
        return web.json_response(MESSAGE)

    sent = request()
    outcome_of(answer, sent)

    assert seen == [(sent.body, "application/json")]


# --- errors


@pytest.mark.parametrize("case", STATUSES)
def test_an_error_status_keeps_the_apis_words(case: str) -> None:
    answer, expected = STATUSES[case]
    failure = failure_of(answer)

    told = (failure.cause, failure.status, failure.error_type, failure.message, failure.retry_after_s)
    assert told == (
        expected.cause,
        expected.status,
        expected.error_type,
        expected.message,
        expected.retry_after_s,
    )
    assert failure.api_request_id == "req_1"
    assert failure.maybe_billed == expected.in_doubt


TAKEN = {408, 502, 504, 520, 524}


@pytest.mark.parametrize("max_tokens", [100, LONG])
@pytest.mark.parametrize("status", [400, 408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529])
@pytest.mark.parametrize("body", ["<html>", api_error("any_error", "words")], ids=["page", "error"])
def test_an_answer_that_was_lost_behind_a_gateway_may_have_been_billed(
    status: int, body: object, max_tokens: int
) -> None:
    failure = failure_of(responding(body, status=status), sent=request(max_tokens=max_tokens))

    assert (failure.cause, failure.status) == (Cause.STATUS, status)
    assert failure.maybe_billed == (status in TAKEN)


def test_a_gateway_that_passes_on_an_overload_has_lost_nothing() -> None:
    assert not failure_of(responding(api_error("overloaded_error", "Overloaded"), status=502)).maybe_billed
    assert failure_of(
        responding(api_error("api_error", "x", details={"error_code": "change_outcome_unknown"}), status=409)
    ).maybe_billed


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("api_error", 500), ("authentication_error", 401), ("timeout_error", 504)],
)
@pytest.mark.parametrize("form", [{"type": "error"}, {}], ids=repr)
def test_an_error_of_status_200_is_the_error_of_its_type(kind: str, status: int, form: dict[str, str]) -> None:
    body = {"error": {"type": kind, "message": "words\n"}, "request_id": "req_2"} | form

    failure = failure_of(responding(body, retry_after="7"))

    assert (failure.cause, failure.status, failure.error_type) == (Cause.STATUS, status, kind)
    assert (failure.message, failure.api_request_id, failure.retry_after_s) == ("words\\n", "req_2", 7.0)
    assert failure.maybe_billed == (status == 504)


TOLD = {
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "0",
    "anthropic-ratelimit-input-tokens-limit": "2000000",
    "anthropic-ratelimit-input-tokens-remaining": "1996000",
    "anthropic-ratelimit-output-tokens-limit": "400000",
}


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_errors_tell_the_limits_too(status: int) -> None:
    failure = failure_of(responding(api_error("any", "any"), status=status, **TOLD))

    assert failure.limits == ReportedLimits(
        requests=ReportedLimit(1000, 0),
        input_tokens=ReportedLimit(2_000_000, 1_996_000),
        output_tokens=ReportedLimit(400_000),
    )


def test_limits_that_nothing_is_said_about_are_none() -> None:
    assert failure_of(responding(api_error("any", "any"), status=529)).limits is None
    assert reply_to(MESSAGE).limits is None


@pytest.mark.parametrize("case", ["429", "529", "502 with a page"])
def test_an_attempt_is_one_request_the_sdk_never_repeats_it(case: str) -> None:
    answer, _ = STATUSES[case]
    seen = []

    async def counting(got: web.Request) -> web.StreamResponse:
        seen.append(got)
        return await answer(got)

    failure_of(counting)

    assert len(seen) == 1


MALFORMED: dict[str, object] = {
    "text": "hello",
    "a page of HTML": "<html></html>",
    "cut off": '{"type": "message", "content": [',
    "a list": [],
    "null": None,
    "a number": 3,
    "an error of status 200 of a type that says nothing": api_error("odd_error", "oops"),
    "no content": {key: value for key, value in MESSAGE.items() if key != "content"},
    "content that is null": MESSAGE | {"content": None},
    "a block without a type": MESSAGE | {"content": [{}]},
    "a block of words": MESSAGE | {"content": ["words"]},
    "no stop reason": MESSAGE | {"stop_reason": None},
    "a stop reason that is a list": MESSAGE | {"stop_reason": ["end_turn"]},
    "no content and no stop reason": MESSAGE | {"content": [], "stop_reason": None},
    "nested beyond reason": "[" * 100_000,
    "text that is null": MESSAGE | {"content": [{"type": "text", "text": None}]},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_200_that_is_no_message_is_malformed_and_maybe_billed(case: str) -> None:
    failure = failure_of(responding(MALFORMED[case]))

    assert failure.cause is Cause.MALFORMED
    assert failure.maybe_billed
    assert failure.api_request_id == "req_1", "support asks for it"


# --- keys


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.usefixtures("no_keys")
def test_without_a_key_nothing_is_begun() -> None:
    with pytest.raises(EnvironmentProblem, match="ANTHROPIC_API_KEY") as problem:
        AnthropicFactory().check()

    assert "--simulate" in str(problem.value.hint)


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_key_or_a_token_is_enough(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "test")

    AnthropicFactory().check()


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
@pytest.mark.parametrize("key", ["sk-SECRET\r", "sk-SECRET\nx", "sk-SECRET\u2026"])
def test_a_key_with_characters_that_no_header_takes_is_told_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    monkeypatch.setenv(name, key)

    with pytest.raises(EnvironmentProblem, match="characters in it that no key has") as problem:
        AnthropicFactory().check()

    assert "SECRET" not in f"{problem.value} {problem.value.hint}"


@pytest.mark.usefixtures("no_keys")
def test_a_request_without_a_key_is_a_matter_of_credentials() -> None:
    async def scenario() -> Failure:
        provider = AnthropicFactory(base_url="http://127.0.0.1:9").make(timeout_s=60, concurrency=1)
        try:
            with pytest.raises(AttemptError) as error:
                await provider.send(request())
            return error.value.failure
        finally:
            await provider.close()

    assert asyncio.run(scenario()).cause is Cause.CREDENTIALS


# --- the simulator is on the other side of the same wire


@pytest.mark.parametrize("max_tokens", [500, LONG], ids=["plain", "streamed"])
def test_the_simulator_answers_a_structured_request(max_tokens: int) -> None:
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    sent = request(max_tokens=max_tokens, output_config={"format": {"type": "json_schema", "schema": schema}})

    async def scenario() -> Reply:
        async with SimulatorServer(Simulator(PROFILES["calm"], speed=1_000)) as server:
            provider = AnthropicFactory(base_url=server.base_url, api_key="simulated").make(timeout_s=60, concurrency=1)
            try:
                return await provider.send(sent)
            finally:
                await provider.close()

    reply = asyncio.run(scenario())

    assert set(json.loads(reply.text)) == {"title"}
    assert reply.stop_reason == "end_turn"
    assert reply.usage is not None
    assert reply.usage.output_tokens > 0
    assert reply.api_request_id
