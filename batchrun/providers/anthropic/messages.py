"""The provider that speaks to the Messages API, one call at a time."""

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from opentelemetry import trace

from batchrun.masking import current_secrets, without_secrets
from batchrun.providers.anthropic.client import ApiClient, answered_within, arrived_at, lower_headers
from batchrun.providers.anthropic.json_values import decoded
from batchrun.providers.anthropic.message_parsing import reply_from, reply_of
from batchrun.providers.anthropic.message_stream import message_of
from batchrun.providers.anthropic.tool_instead import answered_in_text, asks_by_schema
from batchrun.reply import Reply
from batchrun.request import Request

if TYPE_CHECKING:
    import anthropic

    from batchrun.providers.anthropic.provider import SdkFactory

PATH = "/v1/messages"
TRACED = cast("anthropic.RequestOptions", {"span_name": "anthropic.messages.create"})
"""The SDK makes a span of a call only if the call has a name, which a call with a body of our own has not. An SDK that
does not know this option leaves it aside."""
LONGEST_PLAIN_MAX_TOKENS = 21_333
"""Above this the API may need more than ten minutes, so the reply is streamed to keep the connection alive."""


class AnthropicProvider(ApiClient):
    """Sends requests as they are. But for marks for the cache, the bytes sent are the bytes that name the request."""

    def __init__(self, platform: "SdkFactory", *, timeout_s: float, concurrency: int) -> None:
        super().__init__(platform, timeout_s=timeout_s, connections=concurrency + 4)
        self._secrets = current_secrets(headers=True)
        # The URL is whole, so that the SDK builds none for each request: building takes a tenth of the SDK's time.
        self._url = PATH if platform.rewrites else str(self._client.base_url.join(PATH.removeprefix("/")))

    async def send(self, request: Request) -> Reply:
        """Send the request once, within the timeout as a whole. Raises AttemptError."""
        there = self._platform.translated(request)
        is_long = request.max_tokens > LONGEST_PLAIN_MAX_TOKENS
        async with answered_within(self._timeout_s):
            reply = await (self._send_streamed(there) if is_long else self._send_plain(there))
            by_tool = there is not request and asks_by_schema(json.loads(request.body))
            return without_secrets(_in_text(reply) if by_tool else reply, self._secrets)

    async def _send_plain(self, request: Request) -> Reply:
        sent_at = time.perf_counter()
        is_traced = trace.get_current_span().is_recording()
        response = await self._post(self._url, request.wire, TRACED if is_traced else None)
        return reply_from(response.content, lower_headers(response), first_byte_s=arrived_at(response) - sent_at)

    async def _send_streamed(self, request: Request) -> Reply:
        sent_at = time.perf_counter()
        async with self._client.messages.stream(**self._params(request.wire)) as stream:
            headers = lower_headers(stream.response)
            # The SDK would read the events with neither bounds nor mistrust.
            message = await message_of(self._platform.events(stream.response), headers)
            return reply_of(message, headers, first_byte_s=arrived_at(stream.response) - sent_at)


def _in_text(reply: Reply) -> Reply:
    """Return a reply to a request that asked by a tool where a schema was asked for."""
    text = reply_of(answered_in_text(decoded(reply.raw.encode())))
    return replace(reply, text=text.text, tool_input=text.tool_input, stop_reason=text.stop_reason, raw=text.raw)
