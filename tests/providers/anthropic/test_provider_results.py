"""The results of a batch: where they are read from, and what comes."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import httpx2
import pytest
from aiohttp import web
from batch_server import ENDED, KEY, batches_at, ended, outcome_of, reset_at_once, results, serving, silent, succeeded
from hypothesis import given
from hypothesis import strategies as st
from loopback import Answer, responding

from batchrun.batch import ResultType
from batchrun.providers import AttemptError, BatchProvider
from batchrun.providers.anthropic.batches import AnthropicBatches, results_urls
from batchrun.reply import Cause, Failure

pytestmark = pytest.mark.slow

OWN = "/v1/messages/batches/msgbatch_1/results"

ADDRESSES: dict[str, tuple[str | None, list[str]]] = {
    "none": (None, []),
    "empty": ("", []),
    "its own": (f"http://api.test:8000/gw{OWN}", []),
    "another below the base": ("http://api.test:8000/gw/v1/x/results?a=1", ["/gw/v1/x/results?a=1"]),
    "in capitals": ("HTTP://API.test:8000/gw/x", ["/gw/x"]),
    "with a name and a password": ("http://me:pw@api.test:8000/gw/x", ["/gw/x"]),
    "with a fragment": ("http://api.test:8000/gw/x#y", ["/gw/x"]),
    "relative to the batch's own": ("results", []),
    "relative to the batch's own, and another": ("lines", ["/gw/v1/messages/batches/msgbatch_1/lines"]),
    "relative to the base": ("/gw/x?a=1", ["/gw/x?a=1"]),
    "up, and below the base still": ("../x", ["/gw/v1/messages/batches/x"]),
    "another host": ("http://evil.test:8000/gw/x", []),
    "another port": ("http://api.test/gw/x", []),
    "another scheme": ("https://api.test:8000/gw/x", []),
    "another host without a scheme": ("//evil.test/gw/x", []),
    "a host as a name": ("http://api.test:8000@evil.test/gw/x", []),
    "a backslash in a name": ("http://evil.test\\@api.test:8000/gw/x", ["/gw/x"]),
    "a backslash after the host": ("http://api.test:8000\\@evil.test/gw/x", []),
    "a longer host": ("http://api.test.evil.test:8000/gw/x", []),
    "a file": ("file:///etc/passwd", []),
    "no address": ("http://[::1/x", []),
    "no port": ("http://api.test:99999999/x", []),
    "hidden dots": ("http://api.test:8000/gw/%2e%2e/x", []),
    "more hidden dots": ("http://api.test:8000/gw/a%2f..%2f%2E./x", []),
    "words": ("soon\n", []),
}


@pytest.mark.parametrize(("told", "before"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_own_address_is_asked_after_what_is_told(told: str | None, before: list[str]) -> None:
    asked = results_urls(ended(told), httpx2.URL("http://api.test:8000/gw/"))

    assert asked == [f"http://api.test:8000{path}" for path in [*before, f"/gw{OWN}"]]


@pytest.mark.parametrize("told", ["http://api.test:8000/v1/x", "/v1/x", "../../../../../v1/x"])
def test_an_address_without_the_gateways_path_is_asked_last(told: str) -> None:
    asked = results_urls(ended(told), httpx2.URL("http://api.test:8000/gw/"))

    assert asked == [f"http://api.test:8000/gw{OWN}", "http://api.test:8000/v1/x"]


@pytest.mark.parametrize(
    ("base", "told"), [("https://api.test", "https://api.test:443/x"), ("https://api.test:443", "https://api.test/x")]
)
def test_a_port_that_goes_without_saying(base: str, told: str) -> None:
    assert results_urls(ended(told), httpx2.URL(base)) == ["https://api.test/x", f"https://api.test{OWN}"]


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

    addresses = results_urls(ended(told), base)

    assert f"{base}{OWN[1:]}" in addresses
    assert {(url.scheme, url.netloc) for url in map(httpx2.URL, addresses)} == {("http", b"api.test:8000")}


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


NO_RESULTS: dict[str, Answer] = {
    "nothing is there": responding({}, status=404),
    "it may not be asked": responding({}, status=403),
    "it fails": responding({}, status=500),
    "it leads elsewhere": responding("", status=302, location="http://127.0.0.1:1/x"),
    "a page": responding("<!doctype html>\n<title>Gateway</title>\n"),
    "nothing at all": responding(""),
    "no connection": reset_at_once,
}


@pytest.mark.parametrize("told", ["{own}/v1/messages/batches/msgbatch_1/results", "{own}/gw/files/1"])
@pytest.mark.parametrize("instead", NO_RESULTS.values(), ids=NO_RESULTS)
def test_results_are_had_at_the_own_address_whatever_is_told(told: str, instead: Answer) -> None:
    async def answer(got: web.Request) -> web.StreamResponse:
        return await (lines_of(succeeded("a")) if got.path == f"/gw{OWN}" else instead)(got)

    async def scenario() -> list[str]:
        async with serving(answer) as own, batches_at(f"{own.url}/gw") as batches:
            url = told.replace("{own}", own.url)
            return [result.request_id async for result in batches.results(ended(url))]

    assert asyncio.run(scenario()) == ["a"]


def test_results_are_had_where_they_are_told_if_the_own_address_has_none() -> None:
    async def answer(got: web.Request) -> web.StreamResponse:
        return await (lines_of(succeeded("a")) if got.path == "/files/1" else responding({}, status=404))(got)

    async def scenario() -> list[str]:
        async with serving(answer) as own, batches_at(f"{own.url}/gw") as batches:
            return [result.request_id async for result in batches.results(ended(f"{own.url}/files/1"))]

    assert asyncio.run(scenario()) == ["a"]


def test_a_download_that_breaks_is_not_begun_again_elsewhere() -> None:
    """What came before is good, and whoever collects begins again."""

    async def scenario() -> tuple[list[str], list[str]]:
        cut = in_pieces(succeeded("a") + b"\n", then=reset_at_once)
        async with serving(cut) as own, batches_at(f"{own.url}/gw") as batches:
            results = batches.results(ended(f"{own.url}/gw/files/1"))
            came = [(await anext(results)).request_id]
            with pytest.raises(AttemptError):
                await anext(results)
            return came, own.asked

    assert asyncio.run(scenario()) == (["a"], ["GET /gw/files/1"])


# --- results: what comes


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
