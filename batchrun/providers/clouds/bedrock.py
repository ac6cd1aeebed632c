"""Claude on Bedrock: messages, for which the SDK puts the model into the URL, streamed in Amazon's event stream."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from os import environ
from typing import Any, ClassVar

import httpx2
from anthropic.lib.bedrock import AsyncAnthropicBedrock

from batchrun.errors import EnvironmentProblem
from batchrun.providers import BatchProvider
from batchrun.providers.anthropic.bounds import STREAM, UnreadableBodyError, pieces_of
from batchrun.providers.anthropic.cloud_errors import stream_error
from batchrun.providers.anthropic.credential import USUAL_KEYS, key_of
from batchrun.providers.anthropic.provider import SdkFactory
from batchrun.providers.clouds.amazon import check_credentials, region_of, session_of

PREFIX = "anthropic."
FRAMED_STREAM = 2 * STREAM
"""The most bytes of an event stream: each event is in base64, padded, and in a frame with a checksum."""

NO_EVENT = b'{"type":"ping"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockFactory(SdkFactory):
    """Makes clients of Bedrock."""

    rewrites: ClassVar[bool] = True

    @property
    def key(self) -> str | None:
        """The API key; None where Amazon's chain of credentials signs."""
        return key_of(self.section)

    def client(self, **options: Any) -> AsyncAnthropicBedrock:
        """Make the client of the SDK. Raises EnvironmentProblem where boto3 or the region is missing."""
        session_of(self.section)
        usual = USUAL_KEYS["bedrock"]
        if self.section.profile and environ.get(usual):  # which the SDK would take all the same
            raise EnvironmentProblem(f"{usual} is set, and the provider has a profile.", hint=f"unset {usual}")
        return AsyncAnthropicBedrock(
            api_key=self.key,
            aws_region=region_of(self.section),
            aws_profile=self.section.profile,
            base_url=self.section.base_url,
            **options,
        )

    def check_key(self) -> None:
        """Raise EnvironmentProblem where there is neither a key nor a signature."""
        if self.key is None:
            check_credentials(self.section)

    def model_id(self, name: str) -> str:
        """Return what Bedrock calls a model. The ids of profiles, ARNs and ids of Bedrock stay as they are."""
        return name if "." in name or ":" in name or name in self.section.models else PREFIX + name

    def events(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield the events of a streamed message as lines."""
        return unframed(pieces_of(response, bound=FRAMED_STREAM))

    def make_batches(self, *, timeout_s: float) -> BatchProvider:
        """Make a client of the batch inference jobs of Bedrock, which Amazon's chain of credentials signs."""
        from batchrun.providers.clouds.bedrock_batches import BedrockBatches

        return BedrockBatches(self, self.section, timeout_s=timeout_s)


async def unframed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the events of an event stream as lines of server-sent events. Raises UnreadableBodyError.

    A frame has 24 MiB at most.
    """
    from botocore.eventstream import EventStreamBuffer, ParserError

    buffer = EventStreamBuffer()
    async for piece in pieces:
        buffer.add_data(piece)
        try:
            for frame in buffer:
                yield b"data:%s\n" % _event(frame.headers, json.loads(frame.payload)).replace(b"\n", b" ")
        except (ParserError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UnreadableBodyError("the stream of the answer is no event stream") from error


def _event(headers: Mapping[str, Any], told: Any) -> bytes:
    if headers.get(":message-type") == "event":
        return base64.b64decode(told["bytes"], validate=True) if headers.get(":event-type") == "chunk" else NO_EVENT
    kind = headers.get(":exception-type") or headers.get(":error-code") or ""
    return json.dumps(stream_error(str(kind), told)).encode()
