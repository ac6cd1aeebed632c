"""Everything that is read from the API has a bound: bodies as they come and decompressed, lines, headers."""

import asyncio
import contextlib
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from batch_server import ENDED, TOLD, serving
from hypothesis import given
from hypothesis import strategies as st
from loopback import Answer
from message_server import LONG, MESSAGE, api_error, outcome_of, request

from batchrun.providers import AttemptError
from batchrun.providers.anthropic import bounds
from batchrun.providers.anthropic.bounds import BODY, BoundedBody, Lines, UnreadableBodyError
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure, Reply

SMALL = 50_000
"""The bounds in most tests, so that the tests are fast."""


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BODY", "ERROR_BODY", "STREAM", "LINE"):
        monkeypatch.setattr(bounds, name, SMALL)


async def _results(factory: AnthropicFactory) -> Any:
    client = factory.make_batches(timeout_s=60)
    try:
        return [result async for result in client.results(ENDED)]
    finally:
        await client.close()


async def _called(client: Any, call: Callable[[Any], Awaitable[Any]]) -> Any:
    try:
        return await call(client)
    finally:
        await client.close()


CALLS: dict[str, Callable[[AnthropicFactory], Awaitable[Any]]] = {
    "a message": lambda api: _called(api.make(concurrency=1, timeout_s=60), lambda one: one.send(request())),
    "a streamed message": lambda api: _called(
        api.make(concurrency=1, timeout_s=60), lambda one: one.send(request(max_tokens=LONG))
    ),
    "a count": lambda api: _called(api.make_counter(timeout_s=60), lambda one: one.count(request())),
    "a model": lambda api: _called(api.make_models(timeout_s=60), lambda one: one.life("m")),
    "a batch": lambda api: _called(api.make_batches(timeout_s=60), lambda one: one.retrieve("b")),
    "a page of the list": lambda api: _called(api.make_batches(timeout_s=60), lambda one: one.page()),
    "results": _results,
}


def failure_of(call: Callable[[AnthropicFactory], Awaitable[Any]], answer: Answer) -> Failure:
    """Why the call brought nothing."""

    async def run() -> Failure:
        async with serving(answer) as server:
            with pytest.raises(AttemptError) as error:
                await call(AnthropicFactory(base_url=server.url, api_key="k"))
            return error.value.failure

    return asyncio.run(run())


class Endless:
    """A server that sends the same piece until nobody listens, and counts what it has sent."""

    def __init__(self, piece: bytes, *, status: int = 200, **headers: str) -> None:
        self.piece, self.status, self.headers = piece, status, headers
        self.sent = 0

    async def __call__(self, got: web.Request) -> web.StreamResponse:
        await got.read()
        sent = {name.replace("_", "-"): value for name, value in self.headers.items()}
        response = web.StreamResponse(status=self.status, headers=sent)
        await response.prepare(got)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(self.piece)
                self.sent += len(self.piece)
        return response


WITHIN_BUFFERS = 20_000_000
"""What a server may have sent until it notices that nobody listens: the buffers of both sides."""


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("call", CALLS)
def test_an_endless_answer_is_malformed_and_its_connection_is_closed(call: str) -> None:
    endless = Endless(b"x" * 10_000)

    failure = failure_of(CALLS[call], endless)

    assert failure.cause is Cause.MALFORMED
    assert "50,000 bytes" in failure.message
    assert endless.sent < WITHIN_BUFFERS


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("call", CALLS)
def test_an_endless_error_is_the_error_of_its_status(call: str) -> None:
    endless = Endless(b"x" * 10_000, status=401)

    failure = failure_of(CALLS[call], endless)

    assert (failure.cause, failure.status) == (Cause.STATUS, 401)
    assert len(failure.message) < 2_000
    assert not failure.maybe_billed
    assert endless.sent < WITHIN_BUFFERS


GZIP, DEFLATE = 31, 15
"""How zlib is told the format."""


def bomb(kind: int = GZIP, *, megabytes: int = 100) -> bytes:
    """A small body that decompresses to a large one. The checksum is wrong, but stands where nobody should get to."""
    packer = zlib.compressobj(9, wbits=kind)
    begun = packer.compress(b"[") + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(b" " * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH)  # stands for itself
    return begun + megabyte * megabytes + packer.flush()


def compressed(body: bytes, encoding: str, *, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers={"content-encoding": encoding})

    return answer


BOMBS = {
    "gzip": (bomb(), "gzip"),
    "deflate": (bomb(DEFLATE), "deflate"),
    "gzip twice": (gzip.compress(bomb()), "gzip, gzip"),
    "another encoding": (b"x", "br"),
    "an unknown encoding": (b"x", "gunzip-me"),
    "what cannot be decompressed": (b"hello", "gzip"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("call", CALLS)
def test_what_grows_by_decompression_is_counted_while_it_grows(call: str, kind: str) -> None:
    body, encoding = BOMBS[kind]

    assert failure_of(CALLS[call], compressed(body, encoding)).cause is Cause.MALFORMED
    refused = failure_of(CALLS[call], compressed(body, encoding, status=401))
    assert (refused.cause, refused.status) == (Cause.STATUS, 401)


@pytest.mark.usefixtures("small_bounds")
def test_what_decompresses_to_nothing_is_counted_as_it_came() -> None:
    assert failure_of(CALLS["a message"], compressed(gzip.compress(b"") * 3_000, "gzip")).cause is Cause.MALFORMED


@pytest.mark.slow
def test_the_loop_goes_on_while_a_bomb_is_read() -> None:
    """A bomb of a gigabyte once took minutes in one step of the loop."""
    stood_still: list[float] = []

    async def watch() -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0)
            stood_still.append(time.process_time() - before)

    async def run() -> None:
        async with serving(compressed(bomb(megabytes=1_000), "gzip")) as server:
            watching = asyncio.create_task(watch())
            with pytest.raises(AttemptError):
                await CALLS["a message"](AnthropicFactory(base_url=server.url, api_key="k"))
            watching.cancel()

    asyncio.run(run())

    assert max(stood_still) < 5


@pytest.mark.slow
@pytest.mark.parametrize("call", ["a message", "results"])
def test_the_bounds_themselves(call: str) -> None:
    endless = Endless(b" x" * 100_000)

    failure = failure_of(CALLS[call], endless)

    assert failure.cause is Cause.MALFORMED
    assert f"{BODY:,} bytes" in failure.message
    assert endless.sent < BODY + WITHIN_BUFFERS


def test_a_charset_that_is_no_charset_costs_nothing_but_the_words() -> None:
    """Python's own codec of this name decompresses without a bound."""

    async def answer(_: web.Request) -> web.Response:
        headers = {"content-type": "application/json; charset=zlib_codec"}
        return web.Response(
            body=json.dumps(api_error("overloaded_error", "Overloaded")).encode(), status=529, headers=headers
        )

    failure = failure_of(CALLS["a message"], answer)

    assert (failure.status, failure.message) == (529, "Overloaded")


ENCODED = {
    "gzip": (gzip.compress, "gzip"),
    "gzip in capitals": (gzip.compress, "GZIP"),
    "x-gzip": (gzip.compress, "x-gzip"),
    "deflate": (zlib.compress, "deflate"),
    "identity": (bytes, "identity"),
    "in two parts": (lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:]), "gzip"),
}


@pytest.mark.parametrize(("pack", "encoding"), ENCODED.values(), ids=ENCODED)
def test_a_compressed_answer_is_read(pack: Callable[[bytes], bytes], encoding: str) -> None:
    reply = outcome_of(compressed(pack(json.dumps(MESSAGE).encode()), encoding))

    assert isinstance(reply, Reply)
    assert reply.text == '{"a": 1}'


def test_only_what_can_be_decompressed_step_by_step_is_asked_for() -> None:
    asked: list[str] = []

    async def answer(got: web.Request) -> web.Response:
        asked.append(got.headers["accept-encoding"])
        return web.json_response(MESSAGE)

    outcome_of(answer)

    assert asked == ["gzip"]


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("size", [4_000, 4_000_000])
@pytest.mark.parametrize(("head", "tail"), [(b"x-a: ", b"\r\n"), (b"", b": x\r\n"), (b"", b"\r\n")])
def test_a_monstrous_header_is_a_failure_of_the_attempt(status: int, size: int, head: bytes, tail: bytes) -> None:
    line = head + b"a" * size + tail
    lines = line if size > 100_000 else line * 1_000

    async def run() -> Failure:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %d OK\r\n" % status + lines + b"content-length: 2\r\n\r\n{}")
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(AttemptError) as error:
                await CALLS["a message"](AnthropicFactory(base_url=url, api_key="k"))
            return error.value.failure

    failure = asyncio.run(run())

    assert failure.cause is Cause.DROPPED
    assert len(failure.message) <= 1_100


# --- lines and pages


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("piece", [b"\n", b" ", b"{}"])
def test_a_line_without_end_and_lines_without_end_are_malformed(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LINES", 1_000)

    assert failure_of(CALLS["results"], Endless(piece * 5_000)).cause is Cause.MALFORMED


@pytest.mark.parametrize("entries", [1_000, 1_001])
def test_a_page_has_no_more_entries_than_anybody_asks_for(entries: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"data": [TOLD] * entries, "has_more": False})

    async def run() -> int | Failure:
        async with serving(answer) as server:
            try:
                page = await CALLS["a page of the list"](AnthropicFactory(base_url=server.url, api_key="k"))
            except AttemptError as error:
                return error.failure
            return len(page.batches)

    got = asyncio.run(run())

    if entries == 1_000:
        assert got == entries
    else:
        assert isinstance(got, Failure)
        assert got.cause is Cause.MALFORMED


# --- any body, cut in any way


class Source:
    """The bytes of a body, in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece

    async def aclose(self) -> None:
        """Nothing is open."""


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_a_body_is_the_same_however_it_is_cut(body: bytes, cut: int, step: int, is_packed: bool) -> None:
    sent = gzip.compress(body) if is_packed else body
    pieces = [sent[begin : begin + cut] for begin in range(0, len(sent), cut)]
    bounded = BoundedBody(Source(pieces), encoding="gzip" if is_packed else "", is_error=False)  # type: ignore[arg-type]

    async def read() -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bounds, "STEP", step)
            parts = [part async for part in bounded]
        assert all(len(part) <= step for part in parts) or not is_packed
        return b"".join(parts)

    assert asyncio.run(read()) == body


def test_a_line_as_long_as_allowed_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LINE", 10)

    assert list(Lines().whole(b"0123456789\n")) == [b"0123456789"]
    with pytest.raises(UnreadableBodyError):
        list(Lines().whole(b"01234567890\n"))
