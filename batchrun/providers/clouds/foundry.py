"""Claude on Azure AI Foundry: messages and counts, of models that have the names of deployments."""

from dataclasses import dataclass
from os import environ
from typing import Any

from anthropic.lib.foundry import AsyncAnthropicFoundry

from batchrun.errors import EnvironmentProblem
from batchrun.masking import never_told
from batchrun.providers.anthropic.credential import ENTER, key_of, key_variable
from batchrun.providers.anthropic.provider import SdkFactory
from batchrun.providers.clouds.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundryFactory(SdkFactory):
    """Makes clients of Foundry."""

    @property
    def address(self) -> str:
        """The base URL, from the name of the resource where nothing names the URL. Raises EnvironmentProblem."""
        given = self.section.base_url
        if given is None and self.section.resource is None:
            given = environ.get("ANTHROPIC_FOUNDRY_BASE_URL")
        resource = given or setting(self.section, "resource", "ANTHROPIC_FOUNDRY_RESOURCE")
        return given or f"https://{resource}.services.ai.azure.com/anthropic/"

    def client(self, **options: Any) -> AsyncAnthropicFoundry:
        """Make the client of the SDK. Raises EnvironmentProblem where the resource or the key is missing."""
        never_told("anthropic._base_client")  # the header `api-key`
        key = key_of(self.section)
        if not key:
            name = key_variable(self.section)
            raise EnvironmentProblem(
                f"a provider of type foundry needs a key: {name} is not set.", hint=ENTER.format(name)
            )
        return AsyncAnthropicFoundry(api_key=key, base_url=self.address, **options)

    def check_key(self) -> None:
        """Raise EnvironmentProblem where there is no key, as making the client does."""
        self.endpoint()
