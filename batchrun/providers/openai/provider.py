"""The provider that speaks to OpenAI and to servers like it, and the factory that makes every client of one."""

import json
import time
from dataclasses import dataclass
from typing import NoReturn

import httpx2

from batchrun.catalog.lifecycle import ModelLife
from batchrun.errors import EnvironmentProblem
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection
from batchrun.masking import without_secrets
from batchrun.providers.anthropic.client import answered_within, arrived_at, lower_headers, not_found
from batchrun.providers.anthropic.endpoint import Endpoint, refuse_unusable, trusted_certificates, usable_endpoint
from batchrun.providers.anthropic.json_values import fields_in, json_from
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.openai.address import Address, address_of
from batchrun.providers.openai.batches import OpenAIBatches
from batchrun.providers.openai.client import OpenAIClient
from batchrun.providers.openai.completion import list_in
from batchrun.providers.openai.dialect import Dialect
from batchrun.providers.openai.headers import as_messages_headers
from batchrun.reply import Reply
from batchrun.request import Request


class OpenAIProvider(OpenAIClient):
    """Sends requests in the words of the API that the provider's section names."""

    def __init__(self, address: Address, section: ProviderSection, *, timeout_s: float, concurrency: int) -> None:
        super().__init__(address, timeout_s=timeout_s, connections=concurrency + 4)
        self._dialect = Dialect.of(section, address)

    async def send(self, request: Request) -> Reply:
        """Send the request once, within the timeout as a whole. Raises AttemptError."""
        params = json.loads(request.wire)
        body = self._dialect.body(params)
        async with answered_within(self._timeout_s):
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
        told = fields_in(json_from(answer.content, as_messages_headers(lower_headers(answer))))
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
    def address(self) -> Address:
        """Where requests go. Raises EnvironmentProblem for a key that is missing or none."""
        if self.simulator:
            return Address(url=f"{self.simulator}/v1", named_by="--simulate", key="simulated", trust_env=False)
        return address_of(self.section)

    def check(self) -> None:
        """Raise UsageProblem when base URL or proxy cannot be used, EnvironmentProblem for key or certificates."""
        self.endpoint()
        trusted_certificates()

    def endpoint(self) -> Endpoint:
        """Return where requests go. Raises UsageProblem when base URL or proxy cannot be used."""
        address = self.address
        refuse_unusable(address.url, address.named_by)
        return usable_endpoint(httpx2.URL(address.url), trust_env=address.trust_env, named_by=address.named_by)

    def make(self, *, concurrency: int, timeout_s: float) -> OpenAIProvider:
        """Make a provider inside the running loop."""
        return OpenAIProvider(self.address, self.section, timeout_s=timeout_s, concurrency=concurrency)

    def make_models(self, *, timeout_s: float) -> OpenAIModels:
        """Make a client of the list of models inside the running loop."""
        return OpenAIModels(self.address, timeout_s=timeout_s)

    def make_batches(self, *, timeout_s: float) -> OpenAIBatches:
        """Make a client of the Batch API inside the running loop."""
        return OpenAIBatches(self.address, self.section, timeout_s=timeout_s)

    def make_counter(self, *, timeout_s: float) -> NoReturn:  # noqa: ARG002 - there is none
        """Say that neither a counter of tokens nor files for requests are there. No plan offers either."""
        raise EnvironmentProblem("a provider of type openai neither counts tokens nor keeps files for requests.")

    make_files = make_counter
