"""The provider that speaks to the Anthropic API, and the factory that makes every client of the API."""

import json
import time
from dataclasses import dataclass
from os import environ

import anthropic
import httpx2

from batchrun.errors import EnvironmentProblem
from batchrun.providers.anthropic.batches import AnthropicBatches
from batchrun.providers.anthropic.client import ApiClient, answered_within, arrived_at, malformed
from batchrun.providers.anthropic.message_parsing import reply_from
from batchrun.providers.anthropic.models import AnthropicModels
from batchrun.providers.anthropic.token_counter import AnthropicCounter
from batchrun.providers.masking import without_secrets
from batchrun.reply import Reply
from batchrun.request import Request

LONGEST_PLAIN_MAX_TOKENS = 21_333
"""Above this the API may need more than ten minutes, so the reply is streamed to keep the connection alive."""


class AnthropicProvider(ApiClient):
    """Sends requests as they are. But for marks for the cache, the bytes sent are the bytes that name the request."""

    def __init__(self, *, timeout_s: float, concurrency: int, base_url: str | None = None, api_key: str | None = None):
        super().__init__(timeout_s=timeout_s, connections=concurrency + 4, base_url=base_url, api_key=api_key)
        # The URL is whole, so that the SDK builds none for each request: building takes a tenth of the SDK's time.
        self._url = str(self._client.base_url.join("v1/messages"))

    async def send(self, request: Request) -> Reply:
        """Send the request once, within the timeout as a whole. Raises AttemptError."""
        async with answered_within(self._timeout_s):
            if request.max_tokens > LONGEST_PLAIN_MAX_TOKENS:
                return await self._send_streamed(request)
            return await self._send_plain(request)

    async def _send_plain(self, request: Request) -> Reply:
        sent_at = time.perf_counter()
        response = await self._client.post(self._url, content=request.wire, cast_to=httpx2.Response)
        return _reply(response.content, response, sent_at=sent_at)

    async def _send_streamed(self, request: Request) -> Reply:
        sent_at = time.perf_counter()
        try:
            async with self._client.messages.stream(**json.loads(request.wire)) as stream:
                message = await stream.get_final_message()
                return _reply(message.to_json(indent=None).encode(), stream.response, sent_at=sent_at)
        # The SDK's parser gives up on an event that is no JSON, a stream without a message, a block that never began.
        except (ValueError, AssertionError, LookupError, RuntimeError) as error:
            raise malformed("the stream of the answer is broken", None) from error


def _reply(body: bytes, response: httpx2.Response, *, sent_at: float) -> Reply:
    # A look-up in the client's own headers goes through all headers, and so does each step of `items`: hence a dict.
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw}
    return without_secrets(reply_from(body, headers, first_byte_s=arrived_at(response) - sent_at))


@dataclass(frozen=True, slots=True)
class AnthropicFactory:
    """Makes clients of one endpoint; where nothing is given, the SDK asks the environment."""

    base_url: str | None = None
    api_key: str | None = None

    def check(self) -> None:
        """Raise EnvironmentProblem when there is no key, token or profile that a request could carry."""
        hint = "set ANTHROPIC_API_KEY, or rehearse without a key: add --simulate"
        try:
            client = anthropic.Anthropic(api_key=self.api_key, base_url=self.base_url)
        except anthropic.AnthropicError as error:
            raise EnvironmentProblem(f"no usable API key: {error}", hint=hint) from error
        with client:
            key = client.api_key or client.auth_token or ""
            if not (key.isascii() and key.isprintable()):
                raise EnvironmentProblem(
                    "the API key has characters in it that no key has, such as a line break at its end.",
                    hint="check how ANTHROPIC_API_KEY is set",
                )
            if not (client.api_key or client.auth_token or client.credentials or "ANTHROPIC_CUSTOM_HEADERS" in environ):
                raise EnvironmentProblem("no API key: ANTHROPIC_API_KEY is not set.", hint=hint)

    def make(self, *, concurrency: int, timeout_s: float) -> AnthropicProvider:
        """Make a provider inside the running loop."""
        return AnthropicProvider(
            timeout_s=timeout_s, concurrency=concurrency, base_url=self.base_url, api_key=self.api_key
        )

    def make_counter(self, *, timeout_s: float) -> AnthropicCounter:
        """Make a client of the token-counting endpoint inside the running loop."""
        return AnthropicCounter(timeout_s=timeout_s, base_url=self.base_url, api_key=self.api_key)

    def make_batches(self, *, timeout_s: float) -> AnthropicBatches:
        """Make a client of the Message Batches API inside the running loop."""
        return AnthropicBatches(timeout_s=timeout_s, base_url=self.base_url, api_key=self.api_key)

    def make_models(self, *, timeout_s: float) -> AnthropicModels:
        """Make a client of the Models API inside the running loop."""
        return AnthropicModels(timeout_s=timeout_s, base_url=self.base_url, api_key=self.api_key)
