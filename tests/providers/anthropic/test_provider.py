"""The Anthropic client against a server on loopback: what comes back over the wire, and what it is called here."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from batchrun.errors import EnvironmentProblem
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.provider import (
    LONGEST_PLAIN_MAX_TOKENS,
    AnthropicFactory,
    AnthropicProvider,
    reply_from,
)
from batchrun.reply import Cause, Failure, Reply, ReportedLimit, ReportedLimits, Usage
from batchrun.request import Request
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.simulator import Simulator

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": '{"a": 1}'}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 5},
}


def request(*, max_tokens: int = 100, **more: Any) -> Request:
    return Request.of(
        {"model": "claude-haiku-4-5", "max_tokens": max_tokens, "messages": [{"role": "user", "content": "ü"}]} | more
    )


@asynccontextmanager
async def provider_against(answer: Answer, *, timeout_s: float = 60.0) -> AsyncIterator[AnthropicProvider]:
    app = web.Application()
    app.router.add_post("/v1/messages", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    provider = AnthropicProvider(
        timeout_s=timeout_s, concurrency=2, base_url=f"http://127.0.0.1:{port}", api_key="test"
    )
    try:
        yield provider
    finally:
        await provider.close()
        await runner.cleanup()


def outcome_of(answer: Answer, sent: Request | None = None, *, timeout_s: float = 60.0) -> Reply | Failure:
    """What the provider makes of one answer."""

    async def scenario() -> Reply | Failure:
        async with provider_against(answer, timeout_s=timeout_s) as provider:
            try:
                return await provider.send(sent or request())
            except AttemptError as error:
                return error.failure

    return asyncio.run(scenario())


def responding(body: object, *, status: int = 200, **headers: str) -> Answer:
    """A server that answers with this JSON, or with this text."""

    async def answer(_: web.Request) -> web.Response:
        sent = {"request-id": "req_1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if isinstance(body, str):
            return web.Response(text=body, status=status, headers=sent, content_type="text/html")
        return web.json_response(body, status=status, headers=sent)

    return answer


def reply_to(message: object) -> Reply:
    reply = outcome_of(responding(message))
    assert isinstance(reply, Reply)
    return reply


def failure_of(answer: Answer, **options: Any) -> Failure:
    failure = outcome_of(answer, **options)
    assert isinstance(failure, Failure)
    return failure


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
    "cache_creation that is no object": ({"input_tokens": 1, "output_tokens": 2, "cache_creation": [1]}, None),
}


@pytest.mark.parametrize("case", USAGES)
def test_usage_is_taken_whole_or_not_at_all(case: str) -> None:
    told, usage = USAGES[case]

    assert reply_to(MESSAGE | {"usage": told}).usage == usage


def test_a_refusal_is_a_reply() -> None:
    reply = reply_to(MESSAGE | {"content": [], "stop_reason": "refusal"})

    assert (reply.text, reply.stop_reason) == ("", "refusal")


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


def api_error(kind: str, message: str, **more: object) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


STATUSES: dict[str, tuple[Answer, Failure]] = {
    "401": (
        responding(api_error("authentication_error", "API key is invalid."), status=401),
        Failure(cause=Cause.STATUS, status=401, error_type="authentication_error", message="API key is invalid."),
    ),
    "404": (
        responding(api_error("not_found_error", "model: x"), status=404),
        Failure(cause=Cause.STATUS, status=404, error_type="not_found_error", message="model: x"),
    ),
    "413": (
        responding(api_error("request_too_large", "too large"), status=413),
        Failure(cause=Cause.STATUS, status=413, error_type="request_too_large", message="too large"),
    ),
    "429": (
        responding(api_error("rate_limit_error", "later"), status=429, retry_after="7"),
        Failure(cause=Cause.STATUS, status=429, error_type="rate_limit_error", message="later", retry_after_s=7.0),
    ),
    "529": (
        responding(api_error("overloaded_error", "Overloaded"), status=529),
        Failure(cause=Cause.STATUS, status=529, error_type="overloaded_error", message="Overloaded"),
    ),
    "502 with a page": (
        responding("<html><h1>Bad gateway</h1></html>", status=502),
        Failure(cause=Cause.STATUS, status=502, message="HTTP 502 without the API's error body"),
    ),
}


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
    assert not failure.maybe_billed


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
    "an error of status 200": api_error("api_error", "oops"),
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


# --- the connection


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
        provider = AnthropicProvider(timeout_s=60, concurrency=1, base_url=url, api_key="test")
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


# --- streamed, when the answer may be long

LONG = LONGEST_PLAIN_MAX_TOKENS + 1


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
        provider = AnthropicProvider(timeout_s=60, concurrency=1, base_url="http://127.0.0.1:9")
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
            provider = AnthropicProvider(timeout_s=60, concurrency=1, base_url=server.base_url, api_key="simulated")
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
