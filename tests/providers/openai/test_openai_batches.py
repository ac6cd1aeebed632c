"""The client of OpenAI's batches against a server on loopback: what is sent, what counts as created, what was done."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.web_request import FileField

from batchrun.batch import BatchResult, RemoteBatch, ResultType
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError, BatchProvider
from batchrun.providers.factories import factory_of
from batchrun.providers.openai import batches as module

FILE, BATCHES = "/v1/files", "/v1/batches"
IN, OUT, WRONG = "/v1/files/file-in/content", "/v1/files/file-out/content", "/v1/files/file-err/content"
DONE = {"output_file_id": "file-out", "error_file_id": "file-err"}
KEY = "sk-SECRET0123456789"
Given = object | Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAL_KEY", KEY)


def told(status: str = "validating", counts: tuple[int, int, int] = (0, 0, 0), **more: Any) -> dict[str, Any]:
    return {
        "id": "batch_1",
        "status": status,
        "created_at": 1_000,
        "input_file_id": "file-in",
        "request_counts": dict(zip(("total", "completed", "failed"), counts, strict=True)),
        "metadata": {"nonce": "n", "requests": "3"},
    } | more


def refused(code: str, line: int | None = None) -> dict[str, Any]:
    return told("failed", errors={"data": [{"code": code, "message": f"words of {code}", "line": line}]})


def answer_of(name: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": name}, "finish_reason": "stop"}
    body = {"model": "gpt", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    return json.dumps({"custom_id": f"n-{name}", "response": {"status_code": 200, "body": body}}).encode() + b"\n"


def asked_for(*names: str) -> bytes:
    return b"".join(json.dumps({"custom_id": f"n-{name}"}).encode() + b"\n" for name in names)


@dataclass
class Server:
    """Answers by path, in turn where there is a list of answers."""

    given: Mapping[str, Given]
    asked: list[str] = field(default_factory=list)
    bodies: dict[str, Any] = field(default_factory=dict)
    url: str = ""

    async def answer(self, got: web.Request) -> web.StreamResponse:
        self.asked.append(f"{got.method} {got.path_qs}")
        if got.content_type == "multipart/form-data":
            form = await got.post()
            file = form["file"]
            assert isinstance(file, FileField)
            self.bodies[got.path] = form["purpose"], file.filename, file.file.read(), got.headers
        elif got.method == "POST":
            self.bodies[got.path] = await got.json()
        given = self.given[got.path]
        if isinstance(given, list):
            given = given.pop(0) if len(given) > 1 else given[0]
        if callable(given):
            return await given(got)  # type: ignore[no-any-return]
        if isinstance(given, bytes):
            return web.Response(body=given)
        return web.json_response(given, status=200 if isinstance(given, dict) and "error" not in given else 429)


@asynccontextmanager
async def asking(given: Mapping[str, Given], **section: Any) -> AsyncIterator[tuple[BatchProvider, Server]]:
    server = Server(given)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    section = {"type": "openai", "base_url": server.url, "api_key_env": "TRIAL_KEY", **section}
    batches = factory_of(ProviderSection(**section)).make_batches(timeout_s=5)
    try:
        yield batches, server
    finally:
        await batches.close()
        await runner.cleanup()


@dataclass
class Body:
    model: str = "openai/gpt"
    nonce: str = "n"
    requests: int = 2
    size: int = 1
    heard: list[str] = field(default_factory=list)
    ends: str = ""

    async def members(self) -> AsyncIterator[bytes]:
        for number in range(self.requests):
            params = {
                "model": "gpt",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": f"Ä{number}{self.ends}"}],
            }
            line = {"custom_id": f"n-{number}", "params": params}
            yield json.dumps(line, ensure_ascii=bool(self.ends)).encode()
        self.heard.append("announced")

    def parts(self) -> AsyncIterator[bytes]:
        raise AssertionError


def create(given: Mapping[str, Given], body: Body | None = None, **section: Any) -> tuple[Any, Server]:
    """What comes of a create call, or its error."""

    async def run() -> tuple[Any, Server]:
        async with asking(given, **section) as (batches, server):
            try:
                return await batches.create(body or Body()), server
            except AttemptError as error:
                return error, server

    return asyncio.run(run())


def results(given: Mapping[str, Given]) -> tuple[list[BatchResult], str | None]:
    """The results that came, and why no more came."""

    async def run() -> tuple[list[BatchResult], str | None]:
        came: list[BatchResult] = []
        async with asking(given) as (batches, _):
            ended = RemoteBatch(batch_id="batch_1", status="ended", counts={}, created_at=1.0)
            try:
                async for one in batches.results(ended):
                    came.append(one)  # noqa: PERF401 - what came before an error counts
            except AttemptError as error:
                return came, error.failure.message
        return came, None

    return asyncio.run(run())


# --- creation


@pytest.mark.parametrize(("api", "path"), [("chat", "/v1/chat/completions"), ("responses", "/v1/responses")])
def test_requests_are_uploaded_as_lines_and_the_batch_carries_the_nonce(api: str, path: str) -> None:
    given = {FILE: {"id": "file-in"}, BATCHES: told(), f"{BATCHES}/batch_1": told("in_progress", (2, 0, 0))}
    batch, server = create(given, api=api)

    assert server.asked == ["POST /v1/files", "POST /v1/batches", "GET /v1/batches/batch_1"]
    purpose, name, sent, headers = server.bodies[FILE]
    assert (purpose, name) == ("batch", "n.jsonl")
    assert "transfer-encoding" not in headers
    lines = [json.loads(line) for line in sent.splitlines()]
    assert [(one["custom_id"], one["method"], one["url"]) for one in lines] == [
        ("n-0", "POST", path),
        ("n-1", "POST", path),
    ]
    assert "Ä0".encode() in sent
    assert server.bodies[BATCHES] == {
        "input_file_id": "file-in",
        "endpoint": path,
        "completion_window": "24h",
        "metadata": {"nonce": "n", "requests": "2"},
    }
    assert (batch.batch_id, batch.status, batch.nonce, batch.requests) == ("batch_1", "in_progress", "n", 2)


def test_half_a_character_is_sent_as_it_is() -> None:
    _, server = create({FILE: {"id": "file-in"}, BATCHES: told("in_progress")}, Body(requests=1, ends="\ud800"))
    assert "\\u00c40\\ud800" in server.bodies[FILE][2].decode()


def test_the_upload_is_over_before_the_batch_may_exist() -> None:
    body = Body()

    async def upload(_: web.Request) -> web.Response:
        body.heard.append("uploaded")
        return web.json_response({"id": "file-in"})

    create({FILE: upload, BATCHES: told("in_progress")}, body)
    assert body.heard == ["uploaded", "announced"]


def cut(got: web.Request) -> Any:
    assert got.transport
    got.transport.abort()
    return asyncio.sleep(0, web.Response())


@pytest.mark.parametrize("answer", [{"error": {"message": "slow down"}}, {"id": "../x"}, [1], cut])
def test_an_upload_that_fails_creates_nothing(answer: Given) -> None:
    error, server = create({FILE: answer})
    assert error.before_create
    assert server.asked == ["POST /v1/files"]


def test_a_file_that_is_too_large_is_not_uploaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    error, server = create({})
    assert (error.before_create, error.failure.status, server.asked) == (True, 413, [])


@pytest.mark.parametrize("answer", [{"error": {"message": "slow down"}}, {"id": "batch_1"}, cut])
def test_a_create_call_that_fails_may_have_created_a_batch(answer: Given) -> None:
    error, _ = create({FILE: {"id": "file-in"}, BATCHES: answer})
    assert not error.before_create


@pytest.mark.parametrize(
    ("code", "others", "status"),
    [
        ("token_limit_exceeded", [told("in_progress", id="batch_2")], 429),
        ("token_limit_exceeded", [told("completed", id="batch_2")], 413),
        ("token_limit_exceeded", [], 413),
        ("model_not_found", [], 404),
        ("empty_file", [], 400),
    ],
)
def test_a_batch_that_is_refused_at_once_was_not_created(code: str, others: list[object], status: int) -> None:
    failed = refused(code)
    listed = {"data": [*others, failed], "has_more": False}
    error, _ = create({FILE: {"id": "file-in"}, BATCHES: [told(), listed], f"{BATCHES}/batch_1": failed})
    assert error.before_create
    assert (error.failure.status, error.failure.message) == (status, f"words of {code}")


@pytest.mark.parametrize("look", [refused("invalid_json_line", 1), {"error": {"message": "slow down"}}])
def test_a_batch_that_is_refused_for_one_request_or_cannot_be_looked_at_is_there(look: Given) -> None:
    batch, _ = create({FILE: {"id": "file-in"}, BATCHES: told(), f"{BATCHES}/batch_1": look})
    assert batch.batch_id == "batch_1"


# --- the list, and cancellation


def test_a_page_is_as_long_as_the_api_gives_pages() -> None:
    async def run() -> list[str]:
        async with asking({BATCHES: {"data": [told()], "has_more": True}}) as (batches, server):
            page = await batches.page(after_id="batch_9")
            await batches.page(limit=1)
            assert ([one.nonce for one in page.batches], page.has_more) == (["n"], True)
            assert page.server_time is not None
            return server.asked

    assert asyncio.run(run()) == ["GET /v1/batches?limit=100&after=batch_9", "GET /v1/batches?limit=1"]


def test_a_canceled_batch_and_an_id_that_leads_elsewhere() -> None:
    async def run() -> None:
        async with asking({f"{BATCHES}/batch_1/cancel": told("cancelling")}) as (batches, server):
            assert (await batches.cancel("batch_1")).status == "canceling"
            for ask in (batches.retrieve, batches.cancel):
                with pytest.raises(AttemptError, match="no batch has the id"):
                    await ask("../files")
            assert len(server.asked) == 1

    asyncio.run(run())


# --- results


def ended(status: str, counts: tuple[int, int, int], **files: Any) -> dict[str, Given]:
    return {f"{BATCHES}/batch_1": told(status, counts, **files), IN: asked_for("a", "b", "c"), OUT: answer_of("a")}


def said(came: list[BatchResult]) -> list[tuple[str, ResultType | None]]:
    return [(one.request_id, one.type) for one in came]


def test_the_results_are_in_two_files() -> None:
    failed = {"custom_id": "n-b", "response": {"status_code": 500, "body": {"error": {"message": "no"}}}}
    given = ended("completed", (2, 1, 1), **DONE) | {WRONG: json.dumps(failed).encode()}
    came, broke = results(given)
    assert (said(came), broke) == ([("a", ResultType.SUCCEEDED), ("b", ResultType.ERRORED)], None)
    assert came[0].reply
    assert came[0].reply.text == "a"


@pytest.mark.parametrize(("status", "kind"), [("expired", ResultType.EXPIRED), ("cancelled", ResultType.CANCELED)])
def test_what_has_no_line_was_not_processed(status: str, kind: ResultType) -> None:
    came, _ = results(ended(status, (3, 1, 0), output_file_id="file-out"))
    assert said(came) == [("a", ResultType.SUCCEEDED), ("b", kind), ("c", kind)]
    assert {one.nonce for one in came} == {"n"}


def test_nothing_is_concluded_where_an_answer_is_missing() -> None:
    came, broke = results(ended("cancelled", (3, 2, 0), output_file_id="file-out"))
    assert (said(came), broke) == ([("a", ResultType.SUCCEEDED)], None)


def test_a_line_that_came_twice_is_one_answer() -> None:
    given = ended("cancelled", (3, 2, 0), output_file_id="file-out") | {OUT: answer_of("a") * 2}
    assert said(results(given)[0]) == [("a", ResultType.SUCCEEDED)] * 2


def test_nothing_is_concluded_from_a_completed_batch() -> None:
    came, _ = results(ended("completed", (3, 1, 0), output_file_id="file-out"))
    assert said(came) == [("a", ResultType.SUCCEEDED)]


def test_a_refused_batch_tells_each_request_why() -> None:
    came, _ = results({f"{BATCHES}/batch_1": refused("invalid_json_line", 2), IN: asked_for("a", "b", "c")})
    assert said(came) == [(name, ResultType.ERRORED) for name in "abc"]
    assert [one.failure and one.failure.status for one in came] == [429, 400, 429]
    assert came[1].failure
    assert came[1].failure.message == "words of invalid_json_line"


async def breaking(got: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(got)
    await response.write(answer_of("a"))
    assert got.transport
    got.transport.abort()
    return response


def test_a_download_that_breaks_says_so_and_concludes_nothing() -> None:
    came, broke = results(ended("cancelled", (3, 1, 0), output_file_id="file-out") | {OUT: breaking})
    assert len(came) <= 1
    assert broke
    assert "broke" in broke
