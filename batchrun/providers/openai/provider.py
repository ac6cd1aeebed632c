"""The provider that speaks to OpenAI and to servers like it, and the factory that makes every client of one."""

import json
import time
from dataclasses import dataclass
from os import environ
from typing import Any, NoReturn

import httpx2
import openai

from batchrun.catalog.lifecycle import ModelLife
from batchrun.errors import EnvironmentProblem
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection, is_openais
from batchrun.masking import without_secrets
from batchrun.providers.anthropic.client import arrived_at, lower_headers, not_found
from batchrun.providers.anthropic.credential import key_of, key_variable
from batchrun.providers.anthropic.endpoint import Endpoint, refuse_unusable, trusted_certificates, usable_endpoint
from batchrun.providers.anthropic.json_values import fields_in, json_from
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.capabilities import capabilities_of
from batchrun.providers.openai.batches import OpenAIBatches
from batchrun.providers.openai.client import OpenAIClient
from batchrun.providers.openai.completion import list_in
from batchrun.providers.openai.dialect import Dialect
from batchrun.providers.openai.headers import as_messages_headers
from batchrun.reply import Reply
from batchrun.request import Request

DEFAULT = "https://api.openai.com/v1"
VARIABLE = "OPENAI_BASE_URL"


class OpenAIProvider(OpenAIClient):
    """Sends requests in the words of the API that the provider's section names."""

    async def send(self, request: Request) -> Reply:
        """Send the request once, within the timeout as a whole. Raises AttemptError."""
        params = json.loads(request.wire)
        body = self._dialect.body(params)
        sent_at = time.perf_counter()
        response = await self._post(self._dialect.path, body)
        headers = as_messages_headers(lower_headers(response))
        message = self._dialect.message(params, json_from(response.content, headers))
        return without_secrets(reply_of(message, headers, first_byte_s=arrived_at(response) - sent_at))


class OpenAIModels(OpenAIClient):
    """The list of models: a free call, which tells names and no more."""

    async def life(self, name: str) -> ModelLife:
        """Look for a model in the list. Raises AttemptError, with status 404 when the list lacks the model."""
        answer = await self._get("models")
        told = fields_in(json_from(answer.content, answer.headers))
        if not any(fields_in(one).get("id") == name for one in list_in(told.get("data"))):
            raise not_found(f"there is no model {escape_control(name)[:100]}")
        return ModelLife(
            name=name, lifecycle=None, deprecated=None, retires=None, max_input_tokens=None, max_output_tokens=None
        )


@dataclass(frozen=True, slots=True)
class OpenAIFactory:
    """Makes the clients of one provider of type `openai`."""

    section: ProviderSection
    simulator: str | None = None
    """The address of a simulator that answers in the provider's place."""

    @property
    def url(self) -> str:
        """The base URL."""
        if self.simulator:
            return f"{self.simulator}/v1"
        return self.section.base_url or environ.get(VARIABLE, "").strip() or DEFAULT

    @property
    def named_by(self) -> str:
        """What names the base URL, if it is not OpenAI's own."""
        return "--simulate" if self.simulator else "base_url" if self.section.base_url else VARIABLE

    @property
    def trust_env(self) -> bool:
        """Whether the proxies of the environment apply."""
        return self.simulator is None

    @property
    def key(self) -> str | None:
        """The key. It is None for a server that is asked without one.

        OPENAI_API_KEY goes to OpenAI, and to OPENAI_BASE_URL. A `base_url` in a file, which may be from somebody else,
        is sent the key that `api_key_env` names beside it, and no other. Raises EnvironmentProblem for a key that is
        missing or none.
        """
        key = "simulated" if self.simulator else key_of(self.section)
        if key is None and is_openais(self.url):
            name = key_variable(self.section)
            hint = f"set {name}, or rehearse without a key: add --simulate"
            raise EnvironmentProblem(f"no API key: {name} is not set.", hint=hint)
        return key

    @property
    def dialect(self) -> Dialect:
        """How the server is spoken to."""
        is_structured = capabilities_of(self.section).structured_output
        return Dialect(self.section.api == "responses", is_structured, is_openais(self.url))

    def sdk(self, **options: Any) -> openai.AsyncOpenAI:
        """Make the SDK's client. What the environment has for OpenAI goes to no address of a file."""
        headers = {"accept-encoding": "gzip", **self.section.headers}
        key, project = self.key or "none", self.section.project  # without a key the SDK looks for one
        sdk = openai.AsyncOpenAI(api_key=key, base_url=self.url, project=project, default_headers=headers, **options)
        if self.simulator or self.section.is_elsewhere:
            sdk.organization, sdk.project = None, project
            sdk._custom_headers = headers  # noqa: SLF001 - there is no other way
        return sdk

    def check(self) -> None:
        """Raise UsageProblem when base URL or proxy cannot be used, EnvironmentProblem for key or certificates."""
        self.endpoint()
        _ = self.key  # whose absence is told here
        trusted_certificates()

    def endpoint(self) -> Endpoint:
        """Return where requests go. Raises UsageProblem when base URL or proxy cannot be used."""
        refuse_unusable(self.url, self.named_by)
        return usable_endpoint(httpx2.URL(self.url), trust_env=self.trust_env, named_by=self.named_by)

    def make(self, *, concurrency: int, timeout_s: float) -> OpenAIProvider:
        """Make a provider inside the running loop."""
        return OpenAIProvider(self, timeout_s=timeout_s, connections=concurrency + 4)

    def make_models(self, *, timeout_s: float) -> OpenAIModels:
        """Make a client of the list of models inside the running loop."""
        return OpenAIModels(self, timeout_s=timeout_s)

    def make_batches(self, *, timeout_s: float) -> OpenAIBatches:
        """Make a client of the Batch API inside the running loop."""
        return OpenAIBatches(self, timeout_s=timeout_s)

    def make_counter(self, *, timeout_s: float) -> NoReturn:  # noqa: ARG002 - there is none
        """Say that neither a counter of tokens nor files for requests are there. No plan offers either."""
        raise EnvironmentProblem("a provider of type openai neither counts tokens nor keeps files for requests.")

    make_files = make_counter
