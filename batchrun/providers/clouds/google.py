"""Claude on Google Cloud, which Anthropic runs; and Google's chain of credentials, for Vertex too."""

import asyncio
from dataclasses import dataclass
from typing import Any

from anthropic.lib.google_cloud import AsyncAnthropicGoogleCloud

from batchrun.errors import EnvironmentProblem
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers.anthropic.provider import SdkFactory
from batchrun.providers.clouds.settings import missing_extra, setting

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
LOG_IN = "type: gcloud auth application-default login; or set GOOGLE_APPLICATION_CREDENTIALS"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleFactory(SdkFactory):
    """Makes clients of Claude on Google Cloud."""

    def client(self, **options: Any) -> AsyncAnthropicGoogleCloud:
        """Make the client of the SDK. Raises EnvironmentProblem where the project or the workspace is missing."""
        return AsyncAnthropicGoogleCloud(
            project=project_of(self.section, "ANTHROPIC_GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT"),
            location=self.section.region,
            workspace_id=setting(self.section, "workspace", "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID"),
            token_provider=GoogleToken().token,
            base_url=self.section.base_url,
            **options,
        )

    def check_key(self) -> None:
        """Raise EnvironmentProblem where there are no credentials."""
        credentials_of(self.section)


class GoogleToken:
    """A token of Google's chain of credentials, which is refreshed beside the event loop, and once for everybody."""

    def __init__(self) -> None:
        self._credentials: Any = None
        self._refreshing = asyncio.Lock()

    async def token(self) -> str:
        """Return a token that is good for some minutes. Raises the errors of google-auth."""
        if self._credentials is None or not self._credentials.valid:
            async with self._refreshing:
                await asyncio.to_thread(self._refresh)
        return str(self._credentials.token)

    def _refresh(self) -> None:
        import google.auth
        from google.auth.transport.requests import Request

        if self._credentials is None:
            self._credentials, _ = google.auth.default(scopes=SCOPES)
        if not self._credentials.valid:
            self._credentials.refresh(Request())


def credentials_of(section: ProviderSection) -> tuple[Any, str | None]:
    """Return Google's application default credentials and their project, if they have one. Makes no call.

    Raises EnvironmentProblem if google-auth or the credentials are missing.
    """
    try:
        import google.auth
        import google.auth.transport.requests
    except ImportError as error:
        raise missing_extra(section, "google", "google-auth") from error
    try:
        credentials, project = google.auth.default(scopes=SCOPES)
    except google.auth.exceptions.GoogleAuthError as error:
        why = f"the credentials of Google cannot be used: {escape_control(error)}"
        raise EnvironmentProblem(why, hint=LOG_IN) from error
    return credentials, project


def project_of(section: ProviderSection, *variables: str) -> str:
    """Return the project. Raises EnvironmentProblem where not even the credentials have one."""
    try:
        return setting(section, "project", *variables)
    except EnvironmentProblem:
        return setting(section, "project", *variables, otherwise=credentials_of(section)[1])
