"""The SDK's client: how the client is made here, and how its errors become failures."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import anthropic
import httpx2

from batchrun.escaping import escape_control
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.providers.anthropic.retry_after import retry_after_s
from batchrun.reply import Cause, Failure

LONGEST_MESSAGE = 1_000
ARRIVED_AT = "batchrun_arrived_at"
UNANSWERED = (anthropic.AnthropicError, httpx2.HTTPError, aiohttp.ClientError, OSError, TypeError)
"""What a call may raise instead of an answer; a TypeError is how the SDK says that there is no key."""


class ApiClient:
    """The SDK's client for one endpoint of the API, which sends everything once.

    The SDK's own retries are off (`max_retries=0`): each of its tries would be a second paid request that no
    ledger knows of, since the API has no idempotency key.
    """

    def __init__(
        self, *, timeout_s: float, connections: int = 16, base_url: str | None = None, api_key: str | None = None
    ) -> None:
        timeout = timeout_for(timeout_s)
        # With fewer kept alive, the pool would close and reopen connections all the time.
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._timeout_s = timeout_s
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=timeout,
            # A given URL is a simulator's on this machine: no proxy of the environment stands between.
            http_client=anthropic.DefaultAioHttpClient(
                limits=limits,
                timeout=timeout,
                trust_env=base_url is None,
                event_hooks={"response": [record_arrival]},
            ),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _get(self, path: str, params: dict[str, object] | None = None) -> httpx2.Response:
        async with answered_within(self._timeout_s):
            return await self._client.get(
                path, cast_to=httpx2.Response, options={"params": params or {}, "follow_redirects": False}
            )


async def record_arrival(response: httpx2.Response) -> None:
    """Record when the headers of an answer were there; the body is still to come."""
    response.extensions[ARRIVED_AT] = time.perf_counter()


def arrived_at(response: httpx2.Response) -> float:
    """Return when the headers of an answer were there, by `time.perf_counter`."""
    return float(response.extensions[ARRIVED_AT])


def timeout_for(timeout_s: float) -> httpx2.Timeout:
    """Make the timeouts: so long for every byte, less for a new connection, and no end to the wait for a free one."""
    return httpx2.Timeout(timeout_s, connect=min(timeout_s, 10.0), pool=None)


@asynccontextmanager
async def answered_within(timeout_s: float) -> AsyncIterator[None]:
    """Give the call inside this time as a whole. Raises AttemptError."""
    with failures_mapped(timeout_s):
        async with asyncio.timeout(timeout_s):
            yield


@contextmanager
def failures_mapped(timeout_s: float) -> Iterator[None]:
    """Raise AttemptError for whatever the call inside raises instead of an answer."""
    try:
        yield
    except anthropic.APIStatusError as error:
        raise AttemptError(status_failure(error)) from error
    except UNANSWERED as error:
        raise AttemptError(no_answer(error, timeout_s=timeout_s)) from error


def status_failure(error: anthropic.APIStatusError) -> Failure:
    """Make the failure of an error status, or of an error inside a stream that had begun with status 200."""
    without_body = f"HTTP {error.status_code} without the API's error body"
    return Failure(
        cause=Cause.STATUS,
        status=error.status_code,
        error_type=error.type and escape_control(error.type),
        error_code=error_code_of(error),
        message=escape_control(error.api_message or without_body)[:LONGEST_MESSAGE],
        retry_after_s=retry_after_s(error.response.headers),
        api_request_id=error.request_id and escape_control(error.request_id),
        limits=reported_limits(error.response.headers),
    )


def error_code_of(error: anthropic.APIStatusError) -> str | None:
    """Return the code of an error. Gateways that imitate another API have their code, if no status, beside the type."""
    match error.body:
        case {"error": {"code": str(code)}} if not code.isdigit():
            return escape_control(error.error_code or code)[:LONGEST_MESSAGE]
        case _:
            return error.error_code and escape_control(error.error_code)


def no_answer(error: Exception, *, timeout_s: float) -> Failure:
    """Make the failure of one of `UNANSWERED`. Raises an error that has nothing to do with the call: a bug."""
    match error:
        case TimeoutError() | anthropic.APITimeoutError() | httpx2.TimeoutException():
            return Failure(cause=Cause.TIMEOUT, message=f"no answer within {timeout_s:g} s")
        case anthropic.APIConnectionError() | httpx2.HTTPError() | aiohttp.ClientError() | OSError():
            return connection_failure(error)
        case anthropic.CredentialsError():
            return Failure(cause=Cause.CREDENTIALS, message=str(error))
        case anthropic.AnthropicError():
            return Failure(cause=Cause.MALFORMED, message=escape_control(error)[:LONGEST_MESSAGE])
        case TypeError() if "authentication method" in str(error):
            return Failure(cause=Cause.CREDENTIALS, message="there is no API key")
        case _:
            raise error


def connection_failure(error: BaseException) -> Failure:
    """Tell a connection that was never made from one that broke: a connection never made cannot have cost anything."""
    chain = list(causes(error))
    words = escape_control(str(chain[-1]) or type(chain[-1]).__name__)[:LONGEST_MESSAGE]
    if any(isinstance(link, aiohttp.ClientConnectorError | ConnectionRefusedError) for link in chain):
        return Failure(cause=Cause.UNREACHABLE, message=words)
    return Failure(cause=Cause.DROPPED, message=f"the connection broke: {words}")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and the errors that led to it, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def malformed(words: str, api_request_id: str | None) -> AttemptError:
    """Make the error of an answer with status 200 that cannot be used, and may have been billed."""
    return AttemptError(Failure(cause=Cause.MALFORMED, message=words, api_request_id=api_request_id))


def not_found(words: str) -> AttemptError:
    """Make the error of a name that the API is never asked for, since the name in a URL could lead elsewhere."""
    return AttemptError(Failure(cause=Cause.STATUS, status=404, error_type="not_found_error", message=words))
