"""What a client needs to know of the provider that the client speaks to."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import httpx2

from batchrun.batch import BatchBody
from batchrun.request import Request


class Platform(Protocol):
    """What a client of one provider is made of: one of the SDK's clients, and how requests are put there."""

    @property
    def trust_env(self) -> bool:
        """Whether the proxies of the environment apply."""

    @property
    def named_by(self) -> str:
        """What names the address, if it is neither the environment nor the SDK's profile."""

    @property
    def rewrites(self) -> bool:
        """Whether the SDK makes another request of a Messages request, and so has to see the parameters."""

    def sdk(self, **options: Any) -> Any:
        """Make the SDK's client with these options of every client of the SDK."""

    def model_id(self, name: str) -> str:
        """Return what the server calls a model."""

    def translated(self, request: Request) -> Request:
        """Return a request as the server takes the request."""

    def events(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield the bytes of a streamed message, as server-sent events."""

    async def signing(self, body: BatchBody) -> Mapping[str, str]:
        """Return the headers that a body needs, which is sent piece by piece."""
