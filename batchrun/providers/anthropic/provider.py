"""What makes every client of a provider that one of the SDK's clients speaks to, the API of Anthropic first."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from os import environ
from typing import Any, ClassVar

import anthropic
import httpx2

from batchrun.batch import BatchBody
from batchrun.catalog.provider_prices import row_name
from batchrun.errors import EnvironmentProblem
from batchrun.job.provider_sections import ANTHROPIC, ProviderSection
from batchrun.providers import BatchProvider
from batchrun.providers.anthropic.batches import AnthropicBatches
from batchrun.providers.anthropic.bounds import STREAM, pieces_of
from batchrun.providers.anthropic.credential import key_of
from batchrun.providers.anthropic.endpoint import (
    Endpoint,
    environment_base_url,
    origin,
    refuse_unusable,
    trusted_certificates,
    usable_endpoint,
)
from batchrun.providers.anthropic.files import AnthropicFiles
from batchrun.providers.anthropic.messages import AnthropicProvider
from batchrun.providers.anthropic.models import AnthropicModels
from batchrun.providers.anthropic.token_counter import AnthropicCounter
from batchrun.providers.anthropic.tool_instead import choice_for, request_by_tool
from batchrun.providers.capabilities import capabilities_of
from batchrun.request import Request

COMPRESSED = {"accept-encoding": "gzip"}
NO_KEY = "none"
"""What the SDK is told in the place of a key where none is sent: the SDK would look for one in the environment."""
CUSTOM_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
NO_KEY_HINT = "set ANTHROPIC_API_KEY, or rehearse without a key: add --simulate"


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkFactory(ABC):
    """Makes the clients of a provider that one of the SDK's clients speaks to."""

    section: ProviderSection = field(default_factory=ProviderSection)
    rewrites: ClassVar[bool] = False

    @property
    def trust_env(self) -> bool:
        """Whether the proxies of the environment apply."""
        return True

    @property
    def named_by(self) -> str:
        """What names the address, if it is neither the environment nor the SDK's profile."""
        if self.section.base_url:
            return "base_url"
        return "" if self.section.type == ANTHROPIC else f'type = "{self.section.type}"'

    def sdk(self, **options: Any) -> Any:
        """Make the SDK's client, with headers of the provider's own and with those of ANTHROPIC_CUSTOM_HEADERS never.

        The SDK's clients of all providers send those headers, which may have a credential for another server.
        """
        sdk = self.client(**options)
        sdk._custom_headers = self.headers  # noqa: SLF001 - there is no other way
        return sdk

    @property
    def headers(self) -> dict[str, Any]:
        """The headers of every request."""
        return COMPRESSED | self.section.headers

    @abstractmethod
    def client(self, **options: Any) -> Any:
        """Make the client of the SDK. Raises EnvironmentProblem where a setting or an extra is missing."""

    def model_id(self, name: str) -> str:
        """Return what the server calls a model: what the job calls it."""
        return name

    def translated(self, request: Request) -> Request:
        """Return the request, with a tool in the place of a schema where the server holds no answer to a schema."""
        row = row_name(request.model, self.section)
        if capabilities_of(self.section, row).structured_output:
            return request
        return request_by_tool(request, choice_for(row))

    def events(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield the bytes of a streamed message, as server-sent events."""
        return pieces_of(response, bound=STREAM)

    async def signing(self, body: BatchBody) -> Mapping[str, str]:  # noqa: ARG002 - most servers need none
        """Return the headers that a body needs, which is sent piece by piece."""
        return {}

    def check(self) -> None:
        """Raise UsageProblem when base URL or proxy cannot be used, EnvironmentProblem for key or certificates."""
        self.endpoint()
        self.check_key()
        trusted_certificates()

    @abstractmethod
    def check_key(self) -> None:
        """Raise EnvironmentProblem when there is no credential that a request could carry."""

    def endpoint(self) -> Endpoint:
        """Return where requests go. Raises UsageProblem when base URL or proxy cannot be used."""
        if self.section.base_url:
            refuse_unusable(self.section.base_url, self.named_by)
        sdk = self.sdk(http_client=httpx2.AsyncClient(transport=httpx2.AsyncBaseTransport(), trust_env=False))
        return usable_endpoint(sdk.base_url, trust_env=self.trust_env, named_by=self.named_by)

    def make(self, *, concurrency: int, timeout_s: float) -> AnthropicProvider:
        """Make a provider inside the running loop."""
        return AnthropicProvider(self, timeout_s=timeout_s, concurrency=concurrency)

    def make_counter(self, *, timeout_s: float) -> AnthropicCounter:
        """Make a client of the token-counting endpoint inside the running loop."""
        return AnthropicCounter(self, timeout_s=timeout_s)

    def make_batches(self, *, timeout_s: float) -> BatchProvider:
        """Make a client of the Message Batches API inside the running loop."""
        return AnthropicBatches(self, timeout_s=timeout_s)

    def make_files(self, *, timeout_s: float) -> AnthropicFiles:
        """Make a client of the Files API inside the running loop."""
        return AnthropicFiles(self, timeout_s=timeout_s)

    def make_models(self, *, timeout_s: float) -> AnthropicModels:
        """Make a client of the Models API inside the running loop."""
        return AnthropicModels(self, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicFactory(SdkFactory):
    """Makes clients of one endpoint; where nothing is given, the SDK asks the environment."""

    base_url: str | None = None
    """The address of a simulator on this machine, to which no proxy leads."""
    api_key: str | None = field(default=None, repr=False)

    @property
    def trust_env(self) -> bool:
        """Whether the proxies of the environment apply."""
        return self.base_url is None

    @property
    def address(self) -> str | None:
        """The base URL, unless the SDK's profile names it, or nothing."""
        return self.base_url or self.section.base_url or environment_base_url()

    @property
    def key(self) -> str | None:
        """The key that is given; None where the environment or a profile has the credential.

        A `base_url` in a file may be from somebody else: no key is sent there, unless `api_key_env` names one.
        """
        return self.api_key or key_of(self.section) or (NO_KEY if self.section.is_elsewhere else None)

    @property
    def headers(self) -> dict[str, Any]:
        """The headers of every request, without the one for a key where there is none."""
        own = COMPRESSED | self.section.headers
        return own | {"Authorization": anthropic.Omit()} if self.key == NO_KEY else own

    def sdk(self, **options: Any) -> Any:
        """Make the SDK's client; the API of Anthropic is sent the headers of ANTHROPIC_CUSTOM_HEADERS too."""
        if self.section.is_elsewhere:
            return super(AnthropicFactory, self).sdk(**options)
        return self.client(default_headers=self.headers, **options)

    def client(self, **options: Any) -> anthropic.AsyncAnthropic:
        """Make the client of the SDK."""
        return anthropic.AsyncAnthropic(api_key=self.key, base_url=self.address, **options)

    def endpoint(self) -> Endpoint:
        """Return where requests go. Raises UsageProblem when base URL or proxy cannot be used."""
        if self.address:
            refuse_unusable(self.address, self.named_by or origin())
        with self._unconnected() as client:
            return usable_endpoint(client.base_url, trust_env=self.trust_env, named_by=self.named_by)

    def check_key(self) -> None:
        """Raise EnvironmentProblem when there is no key, token or profile that a request could carry."""
        with self._unconnected() as client:
            key = client.api_key or client.auth_token or ""
            if not (key.isascii() and key.isprintable()):
                raise EnvironmentProblem(
                    "the API key has characters in it that no key has, such as a line break at its end.",
                    hint="check how ANTHROPIC_API_KEY is set",
                )
            by_headers = CUSTOM_HEADERS in environ and not self.section.is_elsewhere
            if not (client.api_key or client.auth_token or client.credentials or by_headers):
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
                api_key=self.key,
                base_url=self.address,
                http_client=httpx2.Client(transport=httpx2.BaseTransport(), trust_env=False),
            )
        except anthropic.AnthropicError as error:
            raise EnvironmentProblem(f"no usable API key: {error}", hint=NO_KEY_HINT) from error
