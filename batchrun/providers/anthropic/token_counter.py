"""The free token-counting endpoint, one call at a time."""

from typing import Any

import httpx2

from batchrun.providers.anthropic.client import answered_within, client_for, malformed
from batchrun.providers.anthropic.message_parsing import MOST_TOKENS, json_from, request_id_in
from batchrun.providers.anthropic.wire import count_body
from batchrun.request import Request

CONNECTIONS = 8


class AnthropicCounter:
    """Counts the input tokens of requests; nothing is billed, and the limits of messages are not touched."""

    def __init__(self, *, timeout_s: float, base_url: str | None = None, api_key: str | None = None) -> None:
        self._timeout_s = timeout_s
        self._client = client_for(timeout_s=timeout_s, connections=CONNECTIONS, base_url=base_url, api_key=api_key)

    async def count(self, request: Request) -> int:
        """Count Claude's tokens of the prompt, schema included, within the timeout as a whole. Raises AttemptError."""
        body = count_body(request)
        async with answered_within(self._timeout_s):
            response = await self._client.post("/v1/messages/count_tokens", content=body, cast_to=httpx2.Response)
        api_request_id = request_id_in(response.headers)
        return _tokens(json_from(response.content, api_request_id), api_request_id)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _tokens(answer: Any, api_request_id: str | None) -> int:
    tokens = answer.get("input_tokens") if isinstance(answer, dict) else None
    if type(tokens) is not int or not 0 < tokens < MOST_TOKENS:
        raise malformed("the answer is no count of tokens", api_request_id)
    return tokens
