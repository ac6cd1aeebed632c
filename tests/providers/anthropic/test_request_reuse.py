"""A request that is a copy of an earlier one is the request that the SDK would build."""

import anthropic
import httpx2
import pytest
from anthropic._models import FinalRequestOptions

from batchrun.providers.anthropic.request_reuse import reuse_requests

URL = "https://example.com/v1/messages"


def client() -> anthropic.AsyncAnthropic:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200))
    return anthropic.AsyncAnthropic(
        api_key="k" * 40, base_url="https://example.com", http_client=httpx2.AsyncClient(transport=transport)
    )


def post(body: bytes, **options: object) -> FinalRequestOptions:
    return FinalRequestOptions.construct(method="post", url=URL, content=body, **options)  # type: ignore[arg-type]


def told(request: httpx2.Request) -> tuple[object, ...]:
    return request.method, request.url, sorted(request.headers.raw), request.content, request.extensions


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(post(b'{"a":1}'), id="a longer body"),
        pytest.param(post(b""), id="no body"),
        pytest.param(post(b"{}", headers={"x-own": "1", "Authorization": "Bearer other"}), id="headers of its own"),
        pytest.param(post(b"{}", params={"beta": "true"}), id="parameters"),
        pytest.param(FinalRequestOptions.construct(method="post", url=URL, json_data={"b": 2}), id="a body to be made"),
        pytest.param(FinalRequestOptions.construct(method="get", url=URL), id="another method"),
        pytest.param(FinalRequestOptions.construct(method="post", url=f"{URL}/x", content=b"1"), id="another address"),
    ],
)
def test_a_later_request_is_the_one_that_the_sdk_builds(options: FinalRequestOptions) -> None:
    reusing = client()
    reuse_requests(reusing)
    reusing._build_request(post(b"{}"))
    assert told(reusing._build_request(options)) == told(client()._build_request(options))


def test_what_is_done_to_one_request_is_not_done_to_the_next() -> None:
    reusing = client()
    reuse_requests(reusing)
    first = reusing._build_request(post(b"{}"))
    first.headers["authorization"], first.extensions["timeout"] = "signed", None
    assert told(reusing._build_request(post(b"{}"))) == told(client()._build_request(post(b"{}")))
