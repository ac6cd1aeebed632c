"""The free token-counting endpoint, one call at a time."""

from batchrun.providers.anthropic.client import ApiClient, answered_within, malformed
from batchrun.providers.anthropic.json_values import count_in, fields_in, json_from, request_id_in
from batchrun.providers.anthropic.wire import count_body
from batchrun.request import Request


class AnthropicCounter(ApiClient):
    """Counts the input tokens of requests; nothing is billed, and the limits of messages are not touched."""

    async def count(self, request: Request) -> int:
        """Count Claude's tokens of the prompt, schema included, within the timeout as a whole. Raises AttemptError."""
        body = count_body(self._platform.translated(request))
        async with answered_within(self._timeout_s):
            response = await self._post("/v1/messages/count_tokens", body)
        tokens = count_in(fields_in(json_from(response.content, response.headers)).get("input_tokens"))
        if not tokens:
            raise malformed("the answer is no count of tokens", request_id_in(response.headers))
        return tokens
