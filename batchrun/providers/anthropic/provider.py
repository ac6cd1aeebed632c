"""The provider that speaks to the Anthropic API, and the factory that makes every client of the API."""

import json
import time
from dataclasses import dataclass
from os import environ
from typing import cast

import anthropic
import httpx2
from opentelemetry import trace

from batchrun.errors import EnvironmentProblem
from batchrun.job.provider_sections import ProviderSection
from batchrun.masking import without_secrets
from batchrun.providers.anthropic.batches import AnthropicBatches
from batchrun.providers.anthropic.bounds import STREAM, pieces_of
from batchrun.providers.anthropic.client import ApiClient, answered_within, arrived_at
from batchrun.providers.anthropic.endpoint import (
    Endpoint,
    environment_base_url,
    origin,
    refuse_unusable,
    trusted_certificates,
    usable_endpoint,
)
from batchrun.providers.anthropic.files import AnthropicFiles
from batchrun.providers.anthropic.message_parsing import reply_from, reply_of
from batchrun.providers.anthropic.message_stream import message_of
from batchrun.providers.anthropic.models import AnthropicModels
from batchrun.providers.anthropic.token_counter import AnthropicCounter
from batchrun.reply import Reply
from batchrun.request import Request

TRACED = cast("anthropic.RequestOptions", {"span_name": "anthropic.messages.create"})
"""The SDK makes a span of a call only if the call has a name, which a call with a body of our own has not. An SDK that
does not know this option leaves it aside."""
CUSTOM_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
NO_KEY_HINT = "set ANTHROPIC_API_KEY, or rehearse without a key: add --simulate"
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
        is_long = request.max_tokens > LONGEST_PLAIN_MAX_TOKENS
        async with answered_within(self._timeout_s):
            return without_secrets(await (self._send_streamed(request) if is_long else self._send_plain(request)))

    async def _send_plain(self, request: Request) -> Reply:
        sent_at = time.perf_counter()
        is_traced = trace.get_current_span().is_recording()
        response = await self._client.post(
            self._url, content=request.wire, cast_to=httpx2.Response, options=TRACED if is_traced else {}
        )
        return reply_from(response.content, _lower(response), first_byte_s=arrived_at(response) - sent_at)

    async def _send_streamed(self, request: Request) -> Reply:
        sent_at = time.perf_counter()
        async with self._client.messages.stream(**json.loads(request.wire)) as stream:
            headers = _lower(stream.response)
            # The SDK would read the events with neither bounds nor mistrust.
            message = await message_of(pieces_of(stream.response, bound=STREAM), headers)
            return reply_of(message, headers, first_byte_s=arrived_at(stream.response) - sent_at)


def _lower(response: httpx2.Response) -> dict[str, str]:
    # A look-up in the client's own headers goes through all headers, and so does each step of `items`: hence a dict.
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw}


@dataclass(frozen=True, slots=True)
class AnthropicFactory:
    """Makes clients of one endpoint; where nothing is given, the SDK asks the environment."""

    base_url: str | None = None
    api_key: str | None = None

    @classmethod
    def of(cls, section: ProviderSection) -> "AnthropicFactory":
        """Make the factory of a provider of a job."""
        return cls(base_url=section.base_url, api_key=environ.get(section.api_key_env) if section.api_key_env else None)

    def check(self) -> None:
        """Raise UsageProblem when base URL or proxy cannot be used, EnvironmentProblem for key or certificates."""
        self.endpoint()
        self.check_key()
        trusted_certificates()

    def endpoint(self) -> Endpoint:
        """Return where requests go. Raises UsageProblem when base URL or proxy cannot be used."""
        if given := self.base_url or environment_base_url():
            refuse_unusable(given, origin())
        with self._unconnected() as client:
            return usable_endpoint(client.base_url, trust_env=self.base_url is None)

    def check_key(self) -> None:
        """Raise EnvironmentProblem when there is no key, token or profile that a request could carry."""
        with self._unconnected() as client:
            key = client.api_key or client.auth_token or ""
            if not (key.isascii() and key.isprintable()):
                raise EnvironmentProblem(
                    "the API key has characters in it that no key has, such as a line break at its end.",
                    hint="check how ANTHROPIC_API_KEY is set",
                )
            if not (client.api_key or client.auth_token or client.credentials or CUSTOM_HEADERS in environ):
                raise EnvironmentProblem("no API key: ANTHROPIC_API_KEY is not set.", hint=NO_KEY_HINT)
        if not all(
            line.strip().replace("\t", "").isprintable() for line in environ.get(CUSTOM_HEADERS, "").split("\n")
        ):
            raise EnvironmentProblem(
                f"{CUSTOM_HEADERS} has characters in it that no header has.", hint=f"check how {CUSTOM_HEADERS} is set"
            )

    def _unconnected(self) -> anthropic.Anthropic:
        """Make the SDK's client as the environment has it, without connections: neither proxies nor certificates."""
        try:
            return anthropic.Anthropic(
                api_key=self.api_key,
                base_url=self.base_url or environment_base_url(),
                http_client=httpx2.Client(transport=httpx2.BaseTransport(), trust_env=False),
            )
        except anthropic.AnthropicError as error:
            raise EnvironmentProblem(f"no usable API key: {error}", hint=NO_KEY_HINT) from error

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

    def make_files(self, *, timeout_s: float) -> AnthropicFiles:
        """Make a client of the Files API inside the running loop."""
        return AnthropicFiles(timeout_s=timeout_s, base_url=self.base_url, api_key=self.api_key)

    def make_models(self, *, timeout_s: float) -> AnthropicModels:
        """Make a client of the Models API inside the running loop."""
        return AnthropicModels(timeout_s=timeout_s, base_url=self.base_url, api_key=self.api_key)
