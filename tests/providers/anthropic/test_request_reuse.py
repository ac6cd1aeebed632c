"""A request that is a copy of an earlier one is the request that the SDK would build."""

import asyncio
import json

import anthropic
import httpx2
import pytest
from anthropic import AccessToken
from anthropic._models import FinalRequestOptions
from loopback import responding
from message_server import MESSAGE, outcome_of

from batchrun.providers.anthropic.request_reuse import reuse_requests
from batchrun.reply import Reply

URL = "https://example.com/v1/messages"


def client() -> anthropic.AsyncAnthropic:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200))
    return anthropic.AsyncAnthropic(
        api_key="k" * 40, base_url="https://example.com", http_client=httpx2.AsyncClient(transport=transport)
    )


def post(body: bytes, **options: object) -> FinalRequestOptions:
    return FinalRequestOptions.construct(method="post", url=URL, content=body, **options)  # type: ignore[arg-type]


def reusing_client() -> anthropic.AsyncAnthropic:
    """A client that has seen that requests to the address are alike."""
    reusing = client()
    reuse_requests(reusing)
    for _ in range(2):
        reusing._build_request(post(b"{}"))
    return reusing


async def texts_of_posts(client: anthropic.AsyncAnthropic) -> list[str]:
    return [(await client.post(URL, content=b"0" * size, cast_to=httpx2.Response)).text for size in range(4)]


def told(request: httpx2.Request) -> tuple[object, ...]:
    return request.method, request.url, sorted(request.headers.raw), request.content, request.extensions


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(post(b'{"a":1}'), id="a longer body"),
        pytest.param(post(b""), id="no body"),
        pytest.param(post(b"{}", headers={"x-own": "1", "Authorization": "Bearer other"}), id="headers of its own"),
        pytest.param(post(b"{}", params={"beta": "true"}), id="parameters"),
        pytest.param(post(b"{}", timeout=3.0), id="a timeout of its own"),
        pytest.param(FinalRequestOptions.construct(method="post", url=URL, json_data={"b": 2}), id="a body to be made"),
        pytest.param(FinalRequestOptions.construct(method="get", url=URL), id="another method"),
        pytest.param(FinalRequestOptions.construct(method="post", url=f"{URL}/x", content=b"1"), id="another address"),
    ],
)
def test_a_later_request_is_the_one_that_the_sdk_builds(options: FinalRequestOptions) -> None:
    reusing = reusing_client()
    assert told(reusing._build_request(options)) == told(client()._build_request(options))


def test_what_is_done_to_one_request_is_not_done_to_the_next() -> None:
    reusing = reusing_client()
    first = reusing._build_request(post(b"{}"))
    first.headers["authorization"], first.extensions["timeout"] = "signed", None
    assert told(reusing._build_request(post(b"{}"))) == told(client()._build_request(post(b"{}")))


def builds(
    client: anthropic.AsyncAnthropic, monkeypatch: pytest.MonkeyPatch, *, number: int = 5
) -> tuple[int, set[str]]:
    """How many of some requests through `client.post` the SDK builds, and the keys for idempotency that they have."""
    build, built = client._build_request, list[httpx2.Request]()
    monkeypatch.setattr(client, "_build_request", lambda *args, **more: built.append(build(*args, **more)) or built[-1])
    reuse_requests(client)

    async def post_all() -> list[httpx2.Response]:
        return [await client.post(URL, content=b"%d" % one, cast_to=httpx2.Response) for one in range(number)]

    answers = asyncio.run(post_all())
    assert [one.request.content for one in answers] == [b"%d" % one for one in range(number)]
    return len(built), {one.request.headers.get("idempotency-key", "") for one in answers}


def test_two_requests_are_built_and_the_others_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    assert builds(client(), monkeypatch) == (2, {""})


def test_requests_that_differ_in_a_header_are_never_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    keyed = client()
    keyed._idempotency_header = "idempotency-key"  # a second request with the key of the first is answered by the first
    built, keys = builds(keyed, monkeypatch)
    assert (built, len(keys)) == (5, 5)


def test_custom_headers_are_those_of_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-team: blue\nx-name: Zoë")
    reusing = reusing_client()
    assert told(reusing._build_request(post(b"1"))) == told(client()._build_request(post(b"1")))
    assert reusing._build_request(post(b"1")).headers["x-name"] == "Zoë"


def test_a_token_that_is_refreshed_is_that_of_the_request() -> None:
    tokens = iter(f"token-{number}" for number in range(9))
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, text=request.headers["authorization"]))
    refreshed = anthropic.AsyncAnthropic(
        credentials=lambda **_: AccessToken(next(tokens), expires_at=0),
        base_url="https://example.com",
        http_client=httpx2.AsyncClient(transport=transport),
    )
    reuse_requests(refreshed)
    assert asyncio.run(texts_of_posts(refreshed)) == [f"Bearer token-{number}" for number in range(4)]


def test_a_signature_is_that_of_each_body() -> None:
    class Signing(anthropic.AsyncAnthropic):
        async def _prepare_request(self, request: httpx2.Request) -> None:
            request.headers["x-signature"] = f"{request.read()!r} {request.headers['content-length']}"

    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, text=request.headers["x-signature"]))
    signing = Signing(
        api_key="k" * 40, base_url="https://example.com", http_client=httpx2.AsyncClient(transport=transport)
    )
    reuse_requests(signing)
    assert asyncio.run(texts_of_posts(signing)) == [f"{b'0' * number!r} {number}" for number in range(4)]


def test_an_sdk_whose_requests_are_built_in_another_way_builds_each() -> None:
    class Later(anthropic.AsyncAnthropic):
        def _build_request(self, options: object, attempt: object, *, retries_taken: int = 0) -> tuple[object, ...]:  # type: ignore[override]
            return options, attempt, retries_taken

    later = Later(api_key="k" * 40)
    reuse_requests(later)
    options = post(b"1")
    assert [later._build_request(options, 7, retries_taken=0) for _ in range(3)] == [(options, 7, 0)] * 3


def test_an_sdk_that_builds_requests_elsewhere_is_left_as_it_is() -> None:
    reuse_requests(object())  # type: ignore[arg-type]


def test_without_the_names_of_the_sdk_a_body_is_posted_in_the_public_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.providers.anthropic.client.POST", None)

    reply = outcome_of(responding(MESSAGE))
    assert isinstance(reply, Reply)
    assert reply.raw == json.dumps(MESSAGE)
