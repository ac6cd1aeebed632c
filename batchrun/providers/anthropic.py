"""The Anthropic client: the only place that imports `anthropic`, and where its errors become ours."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import environ
from typing import Any

import aiohttp
import anthropic
import httpx2

from batchrun.errors import EnvironmentProblem
from batchrun.providers import AttemptError
from batchrun.providers.retry_after import retry_after_s
from batchrun.reply import Cause, Failure, Reply, ToldLimits, Usage
from batchrun.request import Request
from batchrun.untrusted import inert

LONGEST_PLAIN_MAX_TOKENS = 21_333
"""Above this the API may need more than ten minutes, so the reply is streamed to keep the connection alive."""
LONGEST_MESSAGE = 1_000
MOST_DIGITS = 12
MOST_TOKENS = 2**40
"""A count above this is no count: it would not even fit the ledger."""
JSON_BODY = {"content-type": "application/json"}


class AnthropicProvider:
    """Sends requests as they are: the bytes that name a request are the bytes on the wire.

    The SDK's own retries are off (`max_retries=0`): each of its tries would be a second paid request that no
    ledger knows of, since the API has no idempotency key.
    """

    def __init__(self, *, timeout_s: float, concurrency: int, base_url: str | None = None, api_key: str | None = None):
        self._timeout_s = timeout_s
        timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, 10.0), pool=None)
        # Below this the pool would close and reopen connections all the time.
        limits = httpx2.Limits(max_connections=concurrency + 4, max_keepalive_connections=concurrency + 4)
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=timeout,
            # A given URL is a simulator's on this machine: no proxy of the environment stands between.
            http_client=anthropic.DefaultAioHttpClient(limits=limits, timeout=timeout, trust_env=base_url is None),
        )

    async def send(self, request: Request) -> Reply:
        """Send the request once, within the timeout as a whole. Raises AttemptError."""
        try:
            async with asyncio.timeout(self._timeout_s):
                if request.max_tokens > LONGEST_PLAIN_MAX_TOKENS:
                    return await self._send_streamed(request)
                return await self._send_plain(request)
        except TimeoutError as error:
            raise AttemptError(self._timed_out()) from error
        except anthropic.AnthropicError as error:
            raise AttemptError(self._failure(error)) from error
        except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
            raise AttemptError(connection_failure(error)) from error
        except TypeError as error:
            if "authentication method" not in str(error):
                raise
            raise AttemptError(Failure(cause=Cause.CREDENTIALS, message="there is no API key")) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send_plain(self, request: Request) -> Reply:
        response = await self._client.post(
            "/v1/messages", content=request.body, cast_to=httpx2.Response, options={"headers": JSON_BODY}
        )
        return reply_from(response.content, response.headers)

    async def _send_streamed(self, request: Request) -> Reply:
        try:
            async with self._client.messages.stream(**json.loads(request.body)) as stream:
                message = await stream.get_final_message()
                return reply_from(message.to_json(indent=None).encode(), stream.response.headers)
        # An event that is no JSON, a stream without a message, a block that never began: the SDK's parser gives up.
        except (ValueError, AssertionError, LookupError, RuntimeError) as error:
            raise malformed("the stream of the answer is broken", None) from error

    def _timed_out(self) -> Failure:
        return Failure(cause=Cause.TIMEOUT, message=f"no answer within {self._timeout_s:g} s")

    def _failure(self, error: anthropic.AnthropicError) -> Failure:
        match error:
            case anthropic.APIStatusError():
                return status_failure(error)
            case anthropic.APITimeoutError():
                return self._timed_out()
            case anthropic.APIConnectionError():
                return connection_failure(error)
            case anthropic.CredentialsError():
                return Failure(cause=Cause.CREDENTIALS, message=str(error))
            case _:
                return Failure(cause=Cause.MALFORMED, message=inert(error)[:LONGEST_MESSAGE])


@dataclass(frozen=True, slots=True)
class AnthropicFactory:
    """Makes providers for one endpoint; where nothing is given the SDK asks the environment."""

    base_url: str | None = None
    api_key: str | None = None

    def check(self) -> None:
        """Raise EnvironmentProblem when there is no key, token or profile that a request could carry."""
        hint = "set ANTHROPIC_API_KEY, or rehearse without a key: add --simulate"
        try:
            client = anthropic.Anthropic(api_key=self.api_key, base_url=self.base_url)
        except anthropic.AnthropicError as error:
            raise EnvironmentProblem(f"no usable API key: {error}", hint=hint) from error
        with client:
            key = client.api_key or client.auth_token or ""
            if not (key.isascii() and key.isprintable()):
                raise EnvironmentProblem(
                    "the API key has characters in it that no key has, such as a line break at its end.",
                    hint="check how ANTHROPIC_API_KEY is set",
                )
            if not (client.api_key or client.auth_token or client.credentials or "ANTHROPIC_CUSTOM_HEADERS" in environ):
                raise EnvironmentProblem("no API key: ANTHROPIC_API_KEY is not set.", hint=hint)

    def make(self, *, concurrency: int, timeout_s: float) -> AnthropicProvider:
        """Make a provider inside the running loop."""
        return AnthropicProvider(
            timeout_s=timeout_s, concurrency=concurrency, base_url=self.base_url, api_key=self.api_key
        )


def status_failure(error: anthropic.APIStatusError) -> Failure:
    """An error status, or an error inside a stream that had begun with status 200."""
    return Failure(
        cause=Cause.STATUS,
        status=error.status_code,
        error_type=error.type and inert(error.type),
        error_code=error.error_code and inert(error.error_code),
        message=inert(error.api_message or f"HTTP {error.status_code} without the API's error body")[:LONGEST_MESSAGE],
        retry_after_s=retry_after_s(error.response.headers),
        api_request_id=error.request_id and inert(error.request_id),
    )


def connection_failure(error: BaseException) -> Failure:
    """Tell a connection that was never made from one that broke: the first cannot have cost anything."""
    chain = list(causes(error))
    words = inert(str(chain[-1]) or type(chain[-1]).__name__)[:LONGEST_MESSAGE]
    if any(isinstance(link, aiohttp.ClientConnectorError | ConnectionRefusedError) for link in chain):
        return Failure(cause=Cause.UNREACHABLE, message=words)
    return Failure(cause=Cause.DROPPED, message=f"the connection broke: {words}")


def causes(error: BaseException | None) -> Any:
    """The error and what it came from, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def reply_from(body: bytes, headers: Mapping[str, str]) -> Reply:
    """Read a body with status 200. Raises AttemptError when it is no message."""
    api_request_id = inert(headers["request-id"]) if "request-id" in headers else None
    try:
        message = json.loads(body)
        # ASCII, so that a lone surrogate in the reply cannot keep it out of the ledger.
        raw = json.dumps(message, ensure_ascii=True)
        text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
        stop_reason, model, usage = message["stop_reason"], inert(message["model"]), usage_from(message.get("usage"))
    except (ValueError, RecursionError) as error:
        raise malformed("the answer is not JSON", api_request_id) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise malformed("the answer is no message", api_request_id) from error
    if not isinstance(stop_reason, str):
        raise malformed("the answer broke off: it has no stop reason", api_request_id)
    return Reply(text, inert(stop_reason), usage, model, api_request_id, raw, told_limits(headers))


def malformed(words: str, api_request_id: str | None) -> AttemptError:
    """An answer with status 200 that cannot be used, and may have been billed."""
    return AttemptError(Failure(cause=Cause.MALFORMED, message=words, api_request_id=api_request_id))


def told_limits(headers: Mapping[str, str]) -> ToldLimits:
    """The organisation's limits for this model, as the headers of an answer tell them."""

    def told(name: str) -> int | None:
        value = headers.get(f"anthropic-ratelimit-{name}-limit", "")
        return int(value) or None if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS else None

    return ToldLimits(requests=told("requests"), input_tokens=told("input-tokens"), output_tokens=told("output-tokens"))


def usage_from(usage: Any) -> Usage | None:
    """The billed tokens; None when they are not told, or not as whole numbers."""
    if not isinstance(usage, dict):
        return None
    written = usage.get("cache_creation") or {}
    if not isinstance(written, dict):
        return None
    written_1h = written.get("ephemeral_1h_input_tokens") or 0
    tokens: tuple[Any, ...] = (
        usage.get("input_tokens"),
        (usage.get("cache_creation_input_tokens") or 0) - written_1h,
        written_1h,
        usage.get("cache_read_input_tokens") or 0,
        usage.get("output_tokens"),
    )
    if not all(type(count) is int and 0 <= count < MOST_TOKENS for count in tokens):
        return None
    return Usage(*tokens)
