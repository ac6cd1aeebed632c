"""What makes the clients of one provider, by its type; a provider's SDK is imported when a job asks that provider."""

from typing import TYPE_CHECKING, Protocol

from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import BatchProvider, FileStore, ModelDirectory, Provider, TokenCounter
from batchrun.providers.clouds.settings import missing_extra

if TYPE_CHECKING:
    from batchrun.providers.anthropic.endpoint import Endpoint


class Factory(Protocol):
    """Makes the clients of one provider inside a running loop. Models have their names there, not engine names."""

    def check(self) -> None:
        """Raise UsageProblem for an unusable address, EnvironmentProblem where a credential or an extra is missing."""

    def endpoint(self) -> "Endpoint":
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


def factory_of(section: ProviderSection, simulator: str | None = None) -> Factory:
    """Return what makes the clients of a provider, or of a simulator in the provider's place, at this address.

    A missing extra is told here, as EnvironmentProblem, or by what is made.
    """
    if section.type == "openai":
        return _openai_factory(section, simulator)
    if simulator:
        from batchrun.providers.anthropic.provider import AnthropicFactory

        return AnthropicFactory(base_url=simulator, api_key="simulated")
    return _claude_factory(section)


def _openai_factory(section: ProviderSection, simulator: str | None) -> Factory:
    try:
        from batchrun.providers.openai.provider import OpenAIFactory
    except ImportError as error:
        raise missing_extra(section, "openai", "openai") from error
    # The simulator knows Chat Completions alone.
    return OpenAIFactory(section.model_copy(update={"api": "chat"}) if simulator else section, simulator)


def _claude_factory(section: ProviderSection) -> Factory:
    match section.type:
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
        case _:
            from batchrun.providers.anthropic.provider import AnthropicFactory

            return AnthropicFactory(section=section)
