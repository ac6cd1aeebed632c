"""What makes the clients of one provider, by its type; a provider's SDK is imported when a job asks that provider."""

from typing import Protocol

from batchrun.errors import EnvironmentProblem
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import BatchProvider, FileStore, ModelDirectory, Provider, TokenCounter
from batchrun.providers.anthropic.endpoint import Endpoint


class Factory(Protocol):
    """Makes the clients of one provider inside a running loop. Models have their names there, not engine names."""

    def check(self) -> None:
        """Raise UsageProblem for an unusable address, EnvironmentProblem where a credential or an extra is missing."""

    def endpoint(self) -> Endpoint:
        """Return where requests go. Raises UsageProblem when the address or the proxy cannot be used."""
        ...

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        """Make the client of streaming."""
        ...

    def make_counter(self, *, timeout_s: float) -> TokenCounter:
        """Make a counter of tokens."""
        ...

    def make_models(self, *, timeout_s: float) -> ModelDirectory:
        """Make a directory of models."""
        ...

    def make_batches(self, *, timeout_s: float) -> BatchProvider:
        """Make the client of batches."""
        ...

    def make_files(self, *, timeout_s: float) -> FileStore:
        """Make the store of files."""
        ...


def factory_of(section: ProviderSection) -> Factory:
    """Return what makes the clients of a provider; a missing extra is told by what is made."""
    match section.type:
        case "anthropic":
            from batchrun.providers.anthropic.provider import AnthropicFactory

            return AnthropicFactory.of(section)
        case "aws":
            from batchrun.providers.clouds.aws import AwsFactory

            return AwsFactory(section=section)
        case "google":
            from batchrun.providers.clouds.google import GoogleFactory

            return GoogleFactory(section=section)
        case "foundry":
            from batchrun.providers.clouds.foundry import FoundryFactory

            return FoundryFactory(section=section)
        case "bedrock":
            from batchrun.providers.clouds.bedrock import BedrockFactory

            return BedrockFactory(section=section)
        case "vertex":
            from batchrun.providers.clouds.vertex import VertexFactory

            return VertexFactory(section=section)
        case other:
            raise EnvironmentProblem(f"providers of type {other} cannot be asked yet.")
