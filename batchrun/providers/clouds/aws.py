"""Claude on AWS: the API of Anthropic with its batches, models and files, behind Amazon's credentials."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from anthropic.lib.aws import AsyncAnthropicAWS
from anthropic.lib.aws._auth import get_auth_headers

from batchrun.batch import BatchBody
from batchrun.providers.anthropic.credential import key_of
from batchrun.providers.anthropic.provider import SdkFactory
from batchrun.providers.clouds.amazon import check_credentials, region_of
from batchrun.providers.clouds.settings import setting

HASH = "x-amz-content-sha256"
"""The header with the hash of a body that is sent piece by piece, and so cannot be hashed when it is signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsFactory(SdkFactory):
    """Makes clients of Claude on AWS."""

    @property
    def key(self) -> str | None:
        """The API key; None where Amazon's chain of credentials signs, as it does for a profile."""
        return key_of(self.section)

    def client(self, **options: Any) -> AsyncAnthropicAWS:
        """Make the client of the SDK. Raises EnvironmentProblem where the region or the workspace is missing."""
        workspace = setting(self.section, "workspace", "ANTHROPIC_AWS_WORKSPACE_ID")
        return _Client(
            api_key=self.key,
            aws_region=region_of(self.section),
            aws_profile=self.section.profile,
            workspace_id=workspace,
            base_url=self.section.base_url,
            **options,
        )

    def check_key(self) -> None:
        """Raise EnvironmentProblem where there is neither a key nor a signature."""
        if self.key is None:
            check_credentials(self.section)

    async def signing(self, body: BatchBody) -> Mapping[str, str]:
        """Return the hash of a body, which is read once more for that."""
        if self.key is not None:
            return {}
        sha = hashlib.sha256()
        async for part in body.parts():
            sha.update(part)
        return {HASH: sha.hexdigest()}


class _Client(AsyncAnthropicAWS):
    """The SDK's client, which also signs a body that is sent piece by piece."""

    async def _prepare_request(self, request: httpx2.Request) -> None:
        if HASH not in request.headers:
            await super()._prepare_request(request)
            return
        signed = await asyncio.to_thread(
            get_auth_headers,
            method=request.method,
            url=str(request.url),
            headers=request.headers,
            aws_access_key=None,
            aws_secret_key=None,
            aws_session_token=None,
            region=self.aws_region,
            profile=self.aws_profile,
            data=None,
            service_name="aws-external-anthropic",
        )
        request.headers.update(signed)
