"""The SDK builds the first requests to an address, and the others are copies of them with bodies of their own.

The SDK takes longer to build a request than aiohttp takes to send the request and to read the answer. The names used
here are the SDK's own: where a version has not got them, or uses them in another way, the SDK builds every request.
"""

from typing import Any

import anthropic
import httpx2

try:
    from anthropic._models import FinalRequestOptions

    POST: Any = FinalRequestOptions.construct(method="post", url="")
    """The options of a post, to be copied: `client.post` makes them anew, which takes ten times as long."""
except (ImportError, AttributeError, TypeError):
    POST = None

BODY_ALONE = frozenset({"method", "url", "content", "json_data", "files", "idempotency_key", "span_name"})
"""The options of requests that may be alike but for their bodies."""


def reuse_requests(client: anthropic.AsyncAnthropic) -> None:
    """Let a client copy requests with ready bodies and no options of their own, once two to an address were alike.

    A token may change: the SDK adds a token of its own credentials while it sends, and gives a token of a cloud as a
    header of the request, which is built as ever. A signature is made of the copy.
    """
    build = getattr(client, "_build_request", None)
    first, alike = dict[str, httpx2.Request](), dict[str, httpx2.Request]()

    def built(options: Any, *args: Any, **more: Any) -> Any:
        is_plain = is_body_alone(options) and not args and not any(more.values())
        if is_plain and options.url in alike:
            return with_body(alike[options.url], options.content)
        request = build(options, *args, **more)  # type: ignore[misc]  # put into the client only if there is one
        if is_plain and isinstance(request, httpx2.Request):
            copy = with_body(request, b"")
            before = first.setdefault(options.url, copy)
            if before is not copy and (before.headers, before.extensions) == (copy.headers, copy.extensions):
                alike[options.url] = copy
        return request

    if build:
        client._build_request = built  # type: ignore[method-assign]  # noqa: SLF001 - no other way


def is_body_alone(options: Any) -> bool:
    """Whether the options of a post say nothing but the address and a body that is ready."""
    own: set[str] | None = getattr(options, "model_fields_set", None)
    return own is not None and own <= BODY_ALONE and options.method == "post" and isinstance(options.content, bytes)


def with_body(request: httpx2.Request, body: bytes) -> httpx2.Request:
    """Copy a request with another body. A stream is taken as it is, where `content` would be looked at anew."""
    copy = httpx2.Request(
        request.method, request.url, headers=request.headers, stream=httpx2.ByteStream(body),
        extensions=request.extensions,
    )  # fmt: skip
    copy.headers["Content-Length"] = str(len(body))
    copy.headers.encoding = request.headers.encoding
    copy.read()
    return copy
