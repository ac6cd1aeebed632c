"""The SDK builds the first request to an address, and the others are copies of the first with bodies of their own.

The SDK takes longer to build a request than aiohttp takes to send the request and to read the answer.
"""

from collections.abc import Mapping

import anthropic
import httpx2
from anthropic._models import FinalRequestOptions


def reuse_requests(client: anthropic.AsyncAnthropic) -> None:
    """Let a client build one request for each address, of the requests with ready bodies and no headers of their own.

    A token may change: the SDK adds a token of its own credentials while it sends, and gives a token of a cloud as a
    header of the request, which is built as ever.
    """
    build, built = client._build_request, dict[tuple[str, str], httpx2.Request]()  # noqa: SLF001 - no other way

    def copied(options: FinalRequestOptions, *, retries_taken: int = 0) -> httpx2.Request:
        body, address = options.content, (options.method, options.url)
        if not isinstance(body, bytes) or isinstance(options.headers, Mapping) or options.params or retries_taken:
            return build(options, retries_taken=retries_taken)
        if address not in built:
            built[address] = build(options)
            del built[address].headers["content-length"]
        first = built[address]
        return httpx2.Request(
            first.method, first.url, headers=first.headers, content=body, extensions=dict(first.extensions)
        )

    client._build_request = copied  # type: ignore[method-assign]  # noqa: SLF001
