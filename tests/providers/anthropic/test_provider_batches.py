"""The Message Batches client against servers on loopback: what goes over the wire, and what is made of what comes."""

import asyncio
import gzip
import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from batchrun.batch import BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.providers import AttemptError, BatchProvider
from batchrun.providers.anthropic.batches import AnthropicBatches, results_url
from batchrun.providers.anthropic.client import no_answer
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Scenario = Callable[[BatchProvider], Awaitable[Any]]

KEY = "sk-ant-SECRET0123456789"
CREATED = 1_787_150_691.493319
TOLD: dict[str, Any] = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": {"processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-08-19T14:44:51.493319+00:00",
    "expires_at": "2026-08-20T14:44:51.493319+00:00",
    "ended_at": None,
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": None,
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "4"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 20, "output_tokens": 4},
}
REMOTE = RemoteBatch(
    batch_id="msgbatch_1",
    status="in_progress",
    counts=TOLD["request_counts"],
    created_at=CREATED,
    expires_at=CREATED + 24 * 3600,
)
ENDED = replace(REMOTE, status="ended")


@dataclass(frozen=True)
class Body:
    """A body of these parts, so often."""

    chunks: Sequence[bytes] = (b'{"requests":', b"[]}")
    times: int = 1

    @property
    def size(self) -> int:
        return self.times * sum(map(len, self.chunks))

    async def parts(self) -> AsyncIterator[bytes]:
        for _ in range(self.times):
            for chunk in self.chunks:
                yield chunk


@dataclass
class Server:
    """A server on loopback that gives one answer to everything, and remembers what it was asked."""

    answer: Answer
    port: int = 0
    seen: list[web.Request] = field(default_factory=list)

    async def take(self, got: web.Request) -> web.StreamResponse:
        self.seen.append(got)
        return await self.answer(got)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        return [f"{got.method} {got.raw_path}" for got in self.seen]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.take)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def batches_at(url: str, *, timeout_s: float = 60.0) -> AsyncIterator[AnthropicBatches]:
    batches = AnthropicFactory(base_url=url, api_key=KEY).make_batches(timeout_s=timeout_s)
    try:
        yield batches
    finally:
        await batches.close()


def outcome_of(scenario: Scenario, answer: Answer, *, timeout_s: float = 60.0) -> Any:
    """What comes of one call, or its failure."""

    async def run() -> Any:
        async with serving(answer) as server, batches_at(server.url, timeout_s=timeout_s) as batches:
            try:
                return await scenario(batches)
            except AttemptError as error:
                return error.failure

    return asyncio.run(run())


def responding(body: object, *, status: int = 200, **headers: str) -> Answer:
    """A server that answers with this JSON, or with this text."""

    async def answer(_: web.Request) -> web.Response:
        sent = {"request-id": "req_1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if isinstance(body, str):
            return web.Response(text=body, status=status, headers=sent, content_type="text/html")
        return web.json_response(body, status=status, headers=sent)

    return answer


async def create(batches: BatchProvider) -> RemoteBatch:
    return await batches.create(Body())


async def retrieve(batches: BatchProvider) -> RemoteBatch:
    return await batches.retrieve("msgbatch_1")


async def cancel(batches: BatchProvider) -> RemoteBatch:
    return await batches.cancel("msgbatch_1")


async def page(batches: BatchProvider) -> BatchPage:
    return await batches.page()


async def results(batches: BatchProvider) -> list[BatchResult]:
    return [result async for result in batches.results(ENDED)]


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


def api_error(kind: str, message: str, **more: object) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


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


async def reset_at_once(got: web.Request) -> web.StreamResponse:
    assert got.transport
    got.transport.abort()
    return web.Response()


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


async def silent(got: web.Request) -> web.StreamResponse:
    await got.read()
    await asyncio.Event().wait()
    raise AssertionError


@every_call
def test_no_answer_in_time_leaves_it_open(scenario: Scenario) -> None:
    failure = outcome_of(scenario, silent, timeout_s=0.3)

    assert failure.cause is Cause.TIMEOUT
    assert failure.maybe_billed
    assert "0.3" in failure.message


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
    "an error of status 200": api_error("api_error", "oops"),
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


# --- what a batch is


BATCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as it is": ({}, {}),
    "with fields of the future": ({"priority": {"x": 1}}, {}),
    "ended": (
        {"processing_status": "ended", "ended_at": "2026-08-19T14:44:52.493319Z"},
        {"status": "ended", "ended_at": CREATED + 1},
    ),
    "in another zone": ({"expires_at": "2026-08-20T16:44:51.493319+02:00"}, {}),
    "in no zone": ({"created_at": "2026-08-19T14:44:51.493319"}, {}),
    "in nanoseconds": ({"created_at": "2026-08-19T14:44:51.493319999Z"}, {}),
    "without an expiry": ({"expires_at": None}, {"expires_at": None}),
    "with an expiry that is none": ({"expires_at": [1]}, {"expires_at": None}),
    # A date that the calendar of the summary does not have would break every summary from then on.
    "before all time": ({"expires_at": "0001-01-01T00:00:00+23:00"}, {"expires_at": None}),
    "before 1970": ({"expires_at": "1969-12-31T23:59:59Z"}, {"expires_at": None}),
    "in 1970": ({"expires_at": "1970-01-01T00:00:00Z"}, {"expires_at": 0.0}),
    "at the end of time": ({"expires_at": "9999-12-31T23:59:59Z"}, {"expires_at": 253_402_300_799.0}),
    "after the end of time": ({"expires_at": "9999-12-31T23:59:59-12:00"}, {"expires_at": None}),
    "ended after the end of time": ({"ended_at": "9999-12-31T23:59:59-00:01"}, {"ended_at": None}),
    "archived": ({"archived_at": "2026-09-19T14:44:51Z"}, {"archived": True}),
    "with results": ({"results_url": "https://x/\u202e"}, {"results_url": "https://x/\\u202e"}),
    "with results that are no address": ({"results_url": {}}, {"results_url": None}),
    "without counts": ({"request_counts": None}, {"counts": {}}),
    "with counts that are none": (
        {"request_counts": {"processing": "2", "succeeded": True, "errored": -1, "expired": 2**70, "total": 5}},
        {"counts": {"processing": 0, "succeeded": 0, "errored": 0, "expired": 0}},
    ),
    "of a status of the future": ({"processing_status": "paused\x1b"}, {"status": "paused\\x1b"}),
}


@pytest.mark.parametrize("case", BATCHES)
@pytest.mark.parametrize("scenario", [create, retrieve, cancel])
def test_a_batch(case: str, scenario: Scenario) -> None:
    told, changes = BATCHES[case]

    assert outcome_of(scenario, responding(TOLD | told)) == replace(REMOTE, **changes)


def test_fields_that_may_be_missing() -> None:
    told = {name: TOLD[name] for name in ("id", "processing_status", "created_at")}

    assert outcome_of(retrieve, responding(told)) == replace(REMOTE, counts={}, expires_at=None)


@pytest.mark.parametrize(("header", "seconds"), [("10", 10.0), ("1e9", 600.0), ("soon", None)])
def test_a_good_answer_says_when_to_ask_again(header: str, seconds: float | None) -> None:
    batch = outcome_of(retrieve, responding(TOLD, retry_after=header))

    assert batch.retry_after_s == seconds


PAGES: dict[str, tuple[dict[str, Any], list[str], bool]] = {
    "the last": ({"data": [TOLD, TOLD | {"id": "msgbatch_2"}], "has_more": False}, ["msgbatch_1", "msgbatch_2"], False),
    "one of more": ({"data": [TOLD], "has_more": True, "last_id": "msgbatch_1"}, ["msgbatch_1"], True),
    "an empty one": ({"data": [], "has_more": False, "first_id": None}, [], False),
    "an empty one that promises more": ({"data": [], "has_more": True}, [], False),
    "one that does not say": ({"data": [TOLD]}, ["msgbatch_1"], False),
}


@pytest.mark.parametrize(("told", "ids", "has_more"), PAGES.values(), ids=PAGES)
def test_a_page(told: dict[str, Any], ids: list[str], has_more: bool) -> None:
    got = outcome_of(page, responding(told))

    assert [batch.batch_id for batch in got.batches] == ids
    assert got.has_more is has_more


@pytest.mark.parametrize(
    "told",
    ["", "<html>", [], {}, {"data": None}, {"data": {}}, {"data": [TOLD, {}]}, {"data": [None]}, api_error("x", "y")],
    ids=repr,
)
def test_a_page_that_cannot_be_read_whole_is_none_for_it_would_prove_that_a_batch_is_missing(told: object) -> None:
    assert outcome_of(page, responding(told)).cause is Cause.MALFORMED


# --- results: where from


def ended(url: str | None) -> RemoteBatch:
    return replace(ENDED, results_url=url)


OWN = "/v1/messages/batches/msgbatch_1/results"
ADDRESSES: dict[str, tuple[str | None, str]] = {
    "none": (None, OWN),
    "empty": ("", OWN),
    "its own": ("http://api.test:8000/v1/x/results?a=1", "http://api.test:8000/v1/x/results?a=1"),
    "its own in capitals": ("HTTP://API.test:8000/v1/x", "http://api.test:8000/v1/x"),
    "its own with a name and a password": ("http://me:pw@api.test:8000/v1/x", "http://api.test:8000/v1/x"),
    "its own with a fragment": ("http://api.test:8000/v1/x#y", "http://api.test:8000/v1/x"),
    "relative": ("/v1/x?a=1", "/v1/x?a=1"),
    "relative to nothing": ("results", OWN),
    "another host": ("http://evil.test:8000/v1/x", OWN),
    "another port": ("http://api.test/v1/x", OWN),
    "another scheme": ("https://api.test:8000/v1/x", OWN),
    "another host without a scheme": ("//evil.test/v1/x", OWN),
    "a host as a name": ("http://api.test:8000@evil.test/v1/x", OWN),
    "a backslash in a name": ("http://evil.test\\@api.test:8000/v1/x", "http://api.test:8000/v1/x"),
    "a backslash after the host": ("http://api.test:8000\\@evil.test/v1/x", OWN),
    "a longer host": ("http://api.test.evil.test:8000/v1/x", OWN),
    "a file": ("file:///etc/passwd", OWN),
    "no address": ("http://[::1/x", OWN),
    "no port": ("http://api.test:99999999/x", OWN),
    "words": ("soon\n", OWN),
}


@pytest.mark.parametrize(("told", "asked"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_address_of_results(told: str | None, asked: str) -> None:
    assert results_url(ended(told), httpx2.URL("http://api.test:8000/")) == asked


@pytest.mark.parametrize(
    ("base", "told"), [("https://api.test", "https://api.test:443/x"), ("https://api.test:443", "https://api.test/x")]
)
def test_a_port_that_goes_without_saying(base: str, told: str) -> None:
    assert results_url(ended(told), httpx2.URL(base)) == "https://api.test/x"


@pytest.mark.slow
@given(
    st.one_of(
        st.text(),
        st.text(alphabet="htps:/@\\?#[]%2eaevil.test0189\t ").map("http://api.test:8000".__add__),
        st.text(alphabet="/\\@:?#.%evil").map("/".__add__),
    )
)
def test_no_address_leads_elsewhere(told: str) -> None:
    base = httpx2.URL("http://api.test:8000/gateway/")

    asked = base.join(results_url(ended(told), base))

    assert (asked.scheme, asked.netloc) == ("http", b"api.test:8000")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_key_never_goes_to_another_origin(host: str) -> None:
    async def scenario() -> tuple[list[str], list[str]]:
        async with (
            serving(lines_of(succeeded("a"))) as own,
            serving(responding({})) as other,
            batches_at(own.url) as batches,
        ):
            told = f"http://{host}:{other.port}/v1/messages/batches/msgbatch_1/results"
            assert [result.request_id async for result in batches.results(ended(told))] == ["a"]
            return own.asked, other.asked

    assert asyncio.run(scenario()) == ([f"GET {OWN}"], [])


def test_a_redirect_is_not_followed() -> None:
    async def scenario() -> tuple[Failure, list[str]]:
        async with serving(responding({})) as other:
            async with (
                serving(responding("", status=302, location=f"{other.url}/take")) as own,
                batches_at(own.url) as batches,
            ):
                with pytest.raises(AttemptError) as error:
                    await results(batches)
            return error.value.failure, other.asked

    failure, asked = asyncio.run(scenario())

    assert (failure.cause, failure.status) == (Cause.STATUS, 302)
    assert asked == []


@pytest.mark.parametrize(
    ("told", "path"),
    [
        (None, f"/gateway{OWN}"),
        ("https://api.anthropic.com/v1/messages/batches/msgbatch_1/results", f"/gateway{OWN}"),
        ("{own}/gateway/files/1?token=x%3Dy", "/gateway/files/1?token=x%3Dy"),
    ],
)
def test_a_gateway_keeps_working(told: str | None, path: str) -> None:
    async def scenario() -> list[str]:
        async with serving(lines_of(succeeded("a"))) as own, batches_at(f"{own.url}/gateway") as batches:
            url = told and told.replace("{own}", own.url)
            assert [result async for result in batches.results(ended(url))]
            assert own.seen[0].headers["authorization"] == f"Bearer {KEY}"
            return own.asked

    assert asyncio.run(scenario()) == [f"GET {path}"]


# --- results: what comes


def succeeded(custom_id: str, text: str = "4") -> bytes:
    message = MESSAGE | {"content": [{"type": "text", "text": text}]}
    told = {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}
    return json.dumps(told, ensure_ascii=False).encode()


def lines_of(*lines: bytes, end: bytes = b"\n") -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"\n".join(lines) + end, content_type="application/x-jsonl")

    return answer


def in_pieces(*pieces: bytes, then: Answer | None = None) -> Answer:
    """Each piece on its own, a moment after the other."""

    async def answer(got: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(got)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.01)
        if then is not None:
            await then(got)
        return response

    return answer


def test_results_come_line_by_line() -> None:
    got = outcome_of(results, lines_of(succeeded("a"), b'{"custom_id":"b","result":{"type":"expired"}}', b""))

    assert [(result.request_id, result.type) for result in got] == [
        ("a", ResultType.SUCCEEDED),
        ("b", ResultType.EXPIRED),
    ]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_the_last_line_counts_whether_or_not_it_is_ended(end: bytes) -> None:
    got = outcome_of(results, lines_of(succeeded("a"), succeeded("b"), end=end))

    assert [result.request_id for result in got] == ["a", "b"]
    assert all(result.reply for result in got)


def test_no_results_are_no_results() -> None:
    assert outcome_of(results, lines_of(end=b"")) == []


def test_results_that_are_compressed() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(succeeded("a") + b"\n"), headers={"content-encoding": "gzip"})

    assert [result.request_id for result in outcome_of(results, answer)] == ["a"]


def test_line_breaks_of_other_kinds_and_cut_characters_stay_in_their_line() -> None:
    text = "one\u2028two\u2029three\x85four ü漢🙂"
    line = succeeded("a", text) + b"\n"
    inside = line.index("漢".encode()) + 1

    (got,) = outcome_of(results, in_pieces(line[:inside], line[inside:]))

    assert got.reply.text == text


async def collected(batches: BatchProvider, into: list[str]) -> None:
    async for result in batches.results(ENDED):
        into.append(result.request_id)  # noqa: PERF401 - what came before the end is what counts


LONG_S, SHORT_S = 60.0, 0.5
"""Patience that no test waits for, and patience that a test waits for to its end."""
CUT = {
    "cut": (in_pieces(succeeded("a") + b"\n" + succeeded("b")[:50], then=reset_at_once), LONG_S, Cause.DROPPED),
    "cut between lines": (in_pieces(succeeded("a") + b"\n", then=reset_at_once), LONG_S, Cause.DROPPED),
    "stopped": (in_pieces(succeeded("a") + b"\n" + succeeded("b"), then=silent), SHORT_S, Cause.TIMEOUT),
}


@pytest.mark.parametrize(("answer", "timeout_s", "cause"), CUT.values(), ids=CUT)
def test_a_download_that_breaks_keeps_its_whole_lines_only(answer: Answer, timeout_s: float, cause: Cause) -> None:
    came: list[str] = []

    failure = outcome_of(lambda batches: collected(batches, came), answer, timeout_s=timeout_s)

    assert failure.cause is cause
    assert came == ["a"]


def test_a_download_may_take_longer_than_a_call() -> None:
    line = succeeded("a") + b"\n"

    got = outcome_of(results, in_pieces(*[line] * 60), timeout_s=SHORT_S)

    assert len(got) == 60


async def endless(got: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(got)
    while True:
        await response.write(succeeded("a") + b"\n")


async def leave(batches: AnthropicBatches) -> None:
    async with aclosing(batches.results(ENDED)) as coming:
        await anext(coming)


async def read_on(batches: AnthropicBatches) -> None:
    with pytest.raises(AttemptError):
        await results(batches)


LEFT: dict[str, tuple[Answer, float, Callable[[AnthropicBatches], Awaitable[Any]]]] = {
    "in the middle": (endless, LONG_S, leave),
    "at the end": (lines_of(succeeded("a")), LONG_S, results),
    "when it was cut": (*CUT["cut"][:2], read_on),
    "when it stopped": (*CUT["stopped"][:2], read_on),
}


@pytest.mark.parametrize(("answer", "timeout_s", "leaving"), LEFT.values(), ids=LEFT)
def test_a_download_that_is_left_is_closed(
    answer: Answer, timeout_s: float, leaving: Callable[[AnthropicBatches], Awaitable[Any]]
) -> None:
    kept: list[httpx2.Response] = []

    async def keep(response: httpx2.Response) -> None:
        kept.append(response)

    async def scenario(batches: AnthropicBatches) -> None:
        batches._client._client.event_hooks = {"response": [keep]}
        await leaving(batches)
        assert [response.is_closed for response in kept] == [True]

    outcome_of(scenario, answer, timeout_s=timeout_s)
