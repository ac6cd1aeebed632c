"""The Message Batches client against servers on loopback: what is sent, and what a failed call means."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web
from batch_server import (
    ENDED,
    KEY,
    REMOTE,
    TOLD,
    Body,
    Scenario,
    api_error,
    batches_at,
    cancel,
    create,
    outcome_of,
    page,
    reset_at_once,
    results,
    retrieve,
    serving,
    silent,
)
from loopback import Answer, responding

from batchrun.batch import RemoteBatch
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.client import no_answer
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure

EVERY_CALL = [create, retrieve, cancel, page, results]

every_call = pytest.mark.parametrize("scenario", EVERY_CALL)


# --- what is sent


def test_the_body_arrives_byte_for_byte_and_says_its_length() -> None:
    bodies: list[bytes] = []

    async def answer(got: web.Request) -> web.Response:
        bodies.append(await got.read())
        return web.json_response(TOLD)

    async def scenario() -> tuple[RemoteBatch, web.Request]:
        async with serving(answer) as server, batches_at(server.url) as batches:
            return await create(batches), server.seen[0]

    batch, got = asyncio.run(scenario())

    assert batch == REMOTE
    assert bodies == [b'{"requests":[]}']
    assert (got.method, got.raw_path) == ("POST", "/v1/messages/batches")
    assert (got.headers["content-length"], got.headers["content-type"]) == ("15", "application/json")
    assert "transfer-encoding" not in got.headers
    assert got.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.slow
def test_a_large_body_is_never_in_memory() -> None:
    body = Body([bytes([n]) * 50_000 for n in range(100)], times=10)
    came = hashlib.sha256()

    async def answer(got: web.Request) -> web.Response:
        assert got.headers["content-length"] == str(body.size) == "50000000"
        async for chunk in got.content.iter_any():
            came.update(chunk)
        return web.json_response(TOLD)

    tracemalloc.start()
    try:
        assert outcome_of(lambda batches: batches.create(body), answer) == REMOTE
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert came.digest() == hashlib.sha256(b"".join(body.chunks) * body.times).digest()
    assert peak < 10_000_000


@dataclass(frozen=True)
class BrokenBody(Body):
    """A body that can be read in part only."""

    error: Exception = field(default_factory=lambda: OSError(5, "Input/output error", "spool"))

    async def parts(self) -> AsyncIterator[bytes]:
        yield b'{"requests":'
        raise self.error


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error", "spool"), TimeoutError(), ValueError("a bug")], ids=repr
)
def test_what_breaks_reading_the_body_is_not_told_as_a_lost_answer(error: Exception) -> None:
    async def waiting(got: web.Request) -> web.Response:
        await got.read()
        raise AssertionError

    with pytest.raises(type(error)) as raised:
        outcome_of(lambda batches: batches.create(BrokenBody(error=error)), waiting)

    assert raised.value is error


def test_a_canceled_create_ends_at_once() -> None:
    async def scenario() -> None:
        sent = asyncio.Event()

        async def waiting(got: web.Request) -> web.StreamResponse:
            sent.set()
            return await silent(got)

        async with serving(waiting) as server, batches_at(server.url) as batches:
            creating = asyncio.create_task(create(batches))
            await sent.wait()
            creating.cancel()
            with pytest.raises(asyncio.CancelledError):
                await creating

    asyncio.run(scenario())


def test_where_each_call_goes() -> None:
    async def scenario() -> list[str]:
        answer = responding(TOLD | {"data": [], "has_more": False})
        async with serving(answer) as server, batches_at(server.url) as batches:
            await retrieve(batches)
            await cancel(batches)
            await batches.page()
            await batches.page(after_id="msgbatch_9", limit=20)
            return server.asked

    assert asyncio.run(scenario()) == [
        "GET /v1/messages/batches/msgbatch_1",
        "POST /v1/messages/batches/msgbatch_1/cancel",
        "GET /v1/messages/batches?limit=1000",
        "GET /v1/messages/batches?limit=20&after_id=msgbatch_9",
    ]


@pytest.mark.parametrize("batch_id", ["", ".", "../models", "a/b", "a?b", "a#b", "ä", "a\n", "%2e", "a" * 201])
def test_an_id_that_is_no_plain_token_goes_into_no_url(batch_id: str) -> None:
    async def scenario() -> list[str]:
        async with serving(responding(TOLD)) as server, batches_at(server.url) as batches:
            for call in (
                batches.retrieve(batch_id),
                batches.cancel(batch_id),
                anext(batches.results(replace(ENDED, batch_id=batch_id))),
            ):
                with pytest.raises(AttemptError) as error:
                    await call
                assert error.value.failure.status == 404
                assert error.value.failure.message.isprintable()
            return server.asked

    assert asyncio.run(scenario()) == []


# --- what fails


STATUSES: dict[str, tuple[Answer, int, str | None, float | None]] = {
    "400": (responding(api_error("invalid_request_error", "no"), status=400), 400, "invalid_request_error", None),
    "401": (responding(api_error("authentication_error", "no"), status=401), 401, "authentication_error", None),
    "404": (responding(api_error("not_found_error", "no"), status=404), 404, "not_found_error", None),
    "413": (responding(api_error("request_too_large", "no"), status=413), 413, "request_too_large", None),
    "429": (
        responding(api_error("rate_limit_error", "no"), status=429, retry_after="7"),
        429,
        "rate_limit_error",
        7.0,
    ),
    "502 with a page": (responding("<html>Bad gateway</html>", status=502), 502, None, None),
    "529": (responding(api_error("overloaded_error", "no"), status=529), 529, "overloaded_error", None),
    "302": (responding("", status=302, location="/v1/elsewhere"), 302, None, None),
    "307": (responding("", status=307, location="/v1/elsewhere"), 307, None, None),
}


@every_call
@pytest.mark.parametrize("case", STATUSES)
def test_an_error_status_keeps_the_apis_words_and_is_asked_once(case: str, scenario: Scenario) -> None:
    answer, status, error_type, retry_after_s = STATUSES[case]

    async def run() -> tuple[Failure, int]:
        async with serving(answer) as server, batches_at(server.url) as batches:
            with pytest.raises(AttemptError) as error:
                await scenario(batches)
            return error.value.failure, len(server.seen)

    failure, asked = asyncio.run(run())

    assert (failure.cause, failure.status, failure.error_type) == (Cause.STATUS, status, error_type)
    assert (failure.retry_after_s, failure.api_request_id) == (retry_after_s, "req_1")
    assert asked == 1
    assert KEY not in str(failure)


def test_a_refusal_that_does_not_wait_for_the_body_is_heard() -> None:
    body = Body([b"x" * 50_000], times=100)

    failure = outcome_of(lambda batches: batches.create(body), STATUSES["413"][0])

    assert failure.status == 413


async def reset_after_the_body(got: web.Request) -> web.StreamResponse:
    await got.read()
    return await reset_at_once(got)


async def reset_while_answering(got: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-length": "1000"})
    await response.prepare(got)
    await response.write(b'{"id": "msgb')
    return await reset_at_once(got)


@every_call
@pytest.mark.parametrize("answer", [reset_at_once, reset_after_the_body, reset_while_answering])
def test_a_broken_connection_leaves_it_open(answer: Answer, scenario: Scenario) -> None:
    failure = outcome_of(scenario, answer)

    assert failure.cause is Cause.DROPPED
    assert failure.maybe_billed


@pytest.mark.slow
@every_call
def test_no_answer_in_time_leaves_it_open(scenario: Scenario) -> None:
    failure = outcome_of(scenario, silent, timeout_s=1.3)  # time to connect, also on a busy machine

    assert failure.cause is Cause.TIMEOUT
    assert failure.maybe_billed
    assert "1.3" in failure.message


def test_a_large_body_has_more_time() -> None:
    async def answer(got: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        async for _ in got.content.iter_any():
            pass
        return web.json_response(TOLD)

    body = Body([b"x" * 100_000], times=50)

    assert outcome_of(lambda batches: batches.create(body), answer, timeout_s=0.1) == REMOTE


@every_call
def test_no_connection_is_unreachable_and_nothing_was_sent(scenario: Scenario) -> None:
    async def run() -> Failure:
        async with serving(silent) as server:
            url = server.url
        async with batches_at(url) as batches:
            with pytest.raises(AttemptError) as error:
                await scenario(batches)
            return error.value.failure

    failure = asyncio.run(run())

    assert failure.cause is Cause.UNREACHABLE
    assert not failure.maybe_billed


@every_call
def test_a_call_without_a_key_is_a_matter_of_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, scenario: Scenario
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    async def run() -> Failure:
        batches = AnthropicFactory(base_url="http://127.0.0.1:9").make_batches(timeout_s=60)
        try:
            with pytest.raises(AttemptError) as error:
                await scenario(batches)
            return error.value.failure
        finally:
            await batches.close()

    assert asyncio.run(run()).cause is Cause.CREDENTIALS


def test_a_bug_is_no_failure_of_a_call() -> None:
    bug = TypeError("unsupported operand")

    with pytest.raises(TypeError) as raised:
        no_answer(bug, timeout_s=1)

    assert raised.value is bug


MALFORMED: dict[str, object] = {
    "text": "hello",
    "nothing": "",
    "a page of HTML": "<html></html>",
    "cut off": '{"id": "msgbatch_1", "type',
    "a list": [],
    "null": None,
    "an error of status 200 of a type that says nothing": api_error("odd_error", "oops"),
    "no id": {key: value for key, value in TOLD.items() if key != "id"},
    "an id that is no token": TOLD | {"id": "../../admin"},
    "an id that is empty": TOLD | {"id": ""},
    "an id that ends a line": TOLD | {"id": "msgbatch_1\n"},
    "an id that is a number": TOLD | {"id": 7},
    "no status": TOLD | {"processing_status": None},
    "no date": TOLD | {"created_at": None},
    "a date that is none": TOLD | {"created_at": "yesterday"},
    "a date that is a number": TOLD | {"created_at": 1_787_150_691},
    "a date before all time": TOLD | {"created_at": "0001-01-01T00:00:00+23:00"},
    "a date before 1970": TOLD | {"created_at": "1969-12-31T23:59:59Z"},
    "a date after the end of time": TOLD | {"created_at": "9999-12-31T23:59:59-12:00"},
    "nested beyond reason": "[" * 100_000,
    "a number beyond reason": '{"id": ' + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("scenario", [create, retrieve, cancel])
@pytest.mark.parametrize("case", MALFORMED)
def test_a_200_that_is_no_batch_is_malformed_so_it_may_exist(case: str, scenario: Scenario) -> None:
    failure = outcome_of(scenario, responding(MALFORMED[case]))

    assert failure.cause is Cause.MALFORMED
    assert failure.maybe_billed
    assert failure.api_request_id == "req_1"
