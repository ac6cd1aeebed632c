"""The SDK's client: how it is made here, and how its errors become ours."""

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
JSON_BODY = {"content-type": "application/json"}
UNANSWERED = (anthropic.AnthropicError, httpx2.HTTPError, aiohttp.ClientError, OSError, TypeError)
"""What a call may raise instead of an answer; a TypeError is how the SDK says that there is no key."""


def client_for(
    *, timeout_s: float, connections: int, base_url: str | None, api_key: str | None
) -> anthropic.AsyncAnthropic:
    """Make a client that sends everything once.

    The SDK's own retries are off (`max_retries=0`): each of its tries would be a second paid request that no
    ledger knows of, since the API has no idempotency key.
    """
    timeout = timeout_for(timeout_s)
    # Below this the pool would close and reopen connections all the time.
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    return anthropic.AsyncAnthropic(
        api_key=api_key,
        base_url=base_url,
        max_retries=0,
        timeout=timeout,
        # A given URL is a simulator's on this machine: no proxy of the environment stands between.
        http_client=anthropic.DefaultAioHttpClient(
            limits=limits,
            timeout=timeout,
            trust_env=base_url is None,
            event_hooks={"response": [note_arrival]},
        ),
    )


async def note_arrival(response: httpx2.Response) -> None:
    """Note when the headers of an answer were there; its body is still to come."""
    response.extensions[ARRIVED_AT] = time.perf_counter()


def arrived_at(response: httpx2.Response) -> float:
    """When its headers were there, by `time.perf_counter`."""
    return float(response.extensions[ARRIVED_AT])


def timeout_for(timeout_s: float) -> httpx2.Timeout:
    """Wait so long for every byte, and no longer than needed for a connection; one in use is waited for."""
    return httpx2.Timeout(timeout_s, connect=min(timeout_s, 10.0), pool=None)


@asynccontextmanager
async def answered_within(timeout_s: float) -> AsyncIterator[None]:
    """A call that has so long as a whole. Raises AttemptError."""
    with failures_mapped(timeout_s):
        async with asyncio.timeout(timeout_s):
            yield


@contextmanager
def failures_mapped(timeout_s: float) -> Iterator[None]:
    """What a call raises instead of an answer, as AttemptError."""
    try:
        yield
    except anthropic.APIStatusError as error:
        raise AttemptError(status_failure(error)) from error
    except UNANSWERED as error:
        raise AttemptError(no_answer(error, timeout_s=timeout_s)) from error


def status_failure(error: anthropic.APIStatusError) -> Failure:
    """An error status, or an error inside a stream that had begun with status 200."""
    return Failure(
        cause=Cause.STATUS,
        status=error.status_code,
        error_type=error.type and escape_control(error.type),
        error_code=error.error_code and escape_control(error.error_code),
        message=escape_control(error.api_message or f"HTTP {error.status_code} without the API's error body")[
            :LONGEST_MESSAGE
        ],
        retry_after_s=retry_after_s(error.response.headers),
        api_request_id=error.request_id and escape_control(error.request_id),
        limits=reported_limits(error.response.headers),
    )


def no_answer(error: Exception, *, timeout_s: float) -> Failure:
    """What one of `UNANSWERED` says. Raises what is no matter of the call: a bug."""
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
    """Tell a connection that was never made from one that broke: the first cannot have cost anything."""
    chain = list(causes(error))
    words = escape_control(str(chain[-1]) or type(chain[-1]).__name__)[:LONGEST_MESSAGE]
    if any(isinstance(link, aiohttp.ClientConnectorError | ConnectionRefusedError) for link in chain):
        return Failure(cause=Cause.UNREACHABLE, message=words)
    return Failure(cause=Cause.DROPPED, message=f"the connection broke: {words}")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def malformed(words: str, api_request_id: str | None) -> AttemptError:
    """An answer with status 200 that cannot be used, and may have been billed."""
    return AttemptError(Failure(cause=Cause.MALFORMED, message=words, api_request_id=api_request_id))
