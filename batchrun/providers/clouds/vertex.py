"""Claude on Vertex AI: messages and counts, for which the SDK puts project, region and model into the URL."""

from dataclasses import dataclass
from typing import Any, ClassVar

from anthropic.lib.vertex import AsyncAnthropicVertex

from batchrun.providers import BatchProvider
from batchrun.providers.anthropic.provider import SdkFactory
from batchrun.providers.clouds.google import GoogleToken, credentials_of, project_of
from batchrun.providers.clouds.settings import setting
from batchrun.providers.clouds.vertex_batches import VertexBatches


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexFactory(SdkFactory):
    """Makes clients of Vertex AI."""

    rewrites: ClassVar[bool] = True

    def client(self, **options: Any) -> AsyncAnthropicVertex:
        """Make the client of the SDK. Raises EnvironmentProblem where the project or the region is missing."""
        sdk = _Client(
            region=setting(self.section, "region", "CLOUD_ML_REGION"),
            project_id=project_of(self.section, "ANTHROPIC_VERTEX_PROJECT_ID", "GOOGLE_CLOUD_PROJECT"),
            base_url=self.section.base_url,
            **options,
        )
        sdk.google_token = GoogleToken()
        return sdk

    def check_key(self) -> None:
        """Raise EnvironmentProblem where there are no credentials."""
        credentials_of(self.section)

    def make_batches(self, *, timeout_s: float) -> BatchProvider:
        """Make a client of the batch prediction jobs of Vertex AI inside the running loop."""
        return VertexBatches(self, self.section, timeout_s=timeout_s)


class _Client(AsyncAnthropicVertex):
    """The SDK's client, which would have each of many calls at once refresh the token."""

    google_token: GoogleToken

    async def _ensure_access_token(self) -> str:
        return await self.google_token.token()
