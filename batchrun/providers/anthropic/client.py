"""The SDK's client: how the client is made here, and how its errors become failures."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import anthropic
import httpx2

from batchrun.escaping import escape_control
from batchrun.providers import AttemptError, NeverSent
from batchrun.providers.anthropic.bounds import bound_body
from batchrun.providers.anthropic.cloud_errors import cloud_error
from batchrun.providers.anthropic.endpoint import Endpoint
from batchrun.providers.anthropic.errors import is_answer_lost, is_proxy_down, is_proxy_refusal
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.providers.anthropic.request_reuse import POST, reuse_requests
from batchrun.providers.anthropic.retry_after import retry_after_s
from batchrun.providers.anthropic.sending import CURRENT, Sending, awake_within, watch_sends
from batchrun.reply import Cause, Failure

if TYPE_CHECKING:
    from batchrun.providers.anthropic.provider import SdkFactory

LONGEST_MESSAGE = 1_000
CONNECT_S = 10.0
LONGEST_WORD = 200
REQUEST_IDS = ("request-id", "x-amzn-requestid", "x-request-id", "x-litellm-call-id")
ARRIVED_AT = "batchrun_arrived_at"
UNANSWERED = (anthropic.AnthropicError, httpx2.HTTPError, aiohttp.ClientError, OSError, TypeError)
"""What a call may raise instead of an answer; a TypeError is how the SDK says that there is no key."""
CREDENTIAL_LIBRARIES = ("google.", "botocore.", "boto3.")
"""The libraries that find and refresh the credentials of clouds, before a request is sent."""
NO_CONNECTION = frozenset({"TransportError", "HTTPClientError", "ConnectionError"})
"""What these libraries call errors of the network."""
UNUSABLE = (httpx2.InvalidURL, ValueError)
"""What a call raises whose address or headers no request can be made of."""

Hook = Callable[[httpx2.Response], Awaitable[None]]
"""What is told of the headers of every answer."""


class ApiClient:
    """The SDK's client for one endpoint of the API, which sends everything once.

    The SDK's own retries are off (`max_retries=0`): each of its tries would be a second paid request that no
    ledger knows of, since the API has no idempotency key.
    """

    def __init__(
        self, platform: "SdkFactory", *, timeout_s: float, connections: int = 16, hears: Sequence[Hook] = ()
    ) -> None:
        self._timeout_s = timeout_s
        self._platform = platform
        http_client = bounded_client(timeout_s, connections=connections, trust_env=platform.trust_env, hears=hears)
        self._client: anthropic.AsyncAnthropic = platform.sdk(
            max_retries=0, timeout=timeout_for(timeout_s), http_client=http_client
        )
        watch_sends(http_client, self._client.base_url, platform.named_by)
        reuse_requests(self._client)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _get(self, path: str, params: dict[str, object] | None = None) -> httpx2.Response:
        async with answered_within(self._timeout_s):
            return await self._client.get(path, cast_to=httpx2.Response, options={"params": params or {}})

    async def _post(self, path: str, body: bytes, options: anthropic.RequestOptions | None = None) -> httpx2.Response:
        """Post the body of a Messages request, as it is unless the SDK has to rewrite the request."""
        if self._platform.rewrites:
            return await self._client.post(
                path, body=self._params(body), cast_to=httpx2.Response, options=options or {}
            )
        if POST is None:
            return await self._client.post(path, content=body, cast_to=httpx2.Response, options=options or {})
        changes = {"url": path, "content": body, **(options or {})}
        return await self._client.request(httpx2.Response, POST.model_copy(update=changes))

    def _params(self, body: bytes) -> dict[str, Any]:
        params: dict[str, Any] = json.loads(body)
        return params | {"model": self._platform.model_id(params["model"])}


def bounded_client(
    timeout_s: float, *, connections: int, trust_env: bool, hears: Sequence[Hook] = ()
) -> httpx2.AsyncClient:
    """Make the transport under an SDK's client: whatever is read has a bound, and no redirect is followed."""
    return anthropic.DefaultAioHttpClient(
        # With fewer kept alive, the pool would close and reopen connections all the time.
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        timeout=timeout_for(timeout_s),
        trust_env=trust_env,
        # A redirect would carry the document, and every header, to whatever host the answer names.
        follow_redirects=False,
        event_hooks={"response": [record_arrival, *hears, bound_body]},
    )


async def record_arrival(response: httpx2.Response) -> None:
    """Record when the headers of an answer were there; the body is still to come."""
    response.headers.encoding = "latin-1"  # any byte has a character there, so that httpx2 does not try others
    response.extensions[ARRIVED_AT] = time.perf_counter()


def arrived_at(response: httpx2.Response) -> float:
    """Return when the headers of an answer were there, by `time.perf_counter`."""
    return float(response.extensions[ARRIVED_AT])


def lower_headers(response: httpx2.Response) -> dict[str, str]:
    """Return the headers of an answer, with their names in lower case.

    A look-up in the client's own headers goes through all headers, and so does each step of `items`: hence a dict.
    """
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw}


def timeout_for(timeout_s: float) -> httpx2.Timeout:
    """Make the timeouts of the client: one for a new connection, and no other.

    `awake_within` ends a call. A timer of the transport would end the call of a process that was stopped, too.
    """
    return httpx2.Timeout(None, connect=min(timeout_s, CONNECT_S))


@asynccontextmanager
async def answered_within(timeout_s: float) -> AsyncIterator[None]:
    """Give the call inside this time as a whole. Raises AttemptError, and NeverSent for a canceled call."""
    with failures_mapped(timeout_s) as sending:
        try:
            async with awake_within(timeout_s):
                yield
        except asyncio.CancelledError as canceled:
            raise canceled if sending.has_begun else NeverSent from canceled


@contextmanager
def failures_mapped(timeout_s: float) -> Iterator[Sending]:
    """Raise AttemptError for whatever the call inside raises instead of an answer."""
    sending = Sending()
    CURRENT.set(sending)
    try:
        yield sending
    except anthropic.APIStatusError as error:
        raise AttemptError(status_failure(error, sending.endpoint)) from error
    except (*UNANSWERED, *UNUSABLE) as error:
        if sending.has_begun:
            raise AttemptError(no_answer(error, timeout_s=timeout_s)) from error
        raise AttemptError(never_sent(error, sending.endpoint)) from error
    except Exception as error:
        if failure := no_credentials(error):
            raise AttemptError(failure) from error
        raise


def status_failure(error: anthropic.APIStatusError, endpoint: Endpoint | None = None) -> Failure:
    """Make the failure of an error status."""
    told = cloud_error(error.body, error.response.headers)
    return told_failure(
        error.response,
        error.response.headers,
        error_type=error.type or told.error_type,
        error_code=error_code_of(error) or told.code,
        words=error.api_message or told.message or "",
        endpoint=endpoint,
    )


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the id that the server gave the call, under the name that this server has for the id."""
    return next((headers[name] for name in REQUEST_IDS if name in headers), None)


def told_failure(
    response: httpx2.Response,
    headers: Mapping[str, str],
    *,
    error_type: str | None,
    error_code: str | None,
    words: str,
    endpoint: Endpoint | None,
) -> Failure:
    """Make the failure of an error status of what its body says, whoever speaks."""
    words = words or f"HTTP {response.status_code} without the API's error body"
    if response.has_redirect_location:
        words = f"a redirect to {redirect_target(response)}, which is not followed"
    failure = Failure(
        cause=Cause.STATUS,
        status=response.status_code,
        error_type=_word(error_type),
        error_code=_word(error_code),
        message=escape_control(words[:LONGEST_MESSAGE])[:LONGEST_MESSAGE],
        retry_after_s=retry_after_s(headers),
        api_request_id=_word(request_id_of(headers)),
        limits=reported_limits(headers),
    )
    if is_proxy_refusal(failure) and endpoint:
        return replace(failure, message=f"{endpoint.proxy_words} asks for a user and a password")
    return replace(failure, in_doubt=is_answer_lost(failure))


def redirect_target(response: httpx2.Response) -> str:
    """Return the host that a redirect names; the rest of the address may carry secrets."""
    try:
        return response.url.join(response.headers["location"]).host[:200]
    except (httpx2.InvalidURL, ValueError):
        return "an address that is none"


def error_code_of(error: anthropic.APIStatusError) -> str | None:
    """Return the code of an error. Gateways that imitate another API have their code, if no status, beside the type."""
    match error.body:
        case {"error": {"code": str(code)}} if not code.isdigit():
            return error.error_code or code
        case _:
            return error.error_code


def _word(told: str | None) -> str | None:
    return told and escape_control(told)[:LONGEST_WORD]


def no_answer(error: Exception, *, timeout_s: float) -> Failure:
    """Make the failure of a call that may have been sent. Raises an error of another origin: a bug."""
    match error:
        case TimeoutError() | anthropic.APITimeoutError() | httpx2.TimeoutException():
            return Failure(cause=Cause.TIMEOUT, message=f"no answer within {timeout_s:g} s")
        case anthropic.APIConnectionError() | httpx2.HTTPError() | aiohttp.ClientError() | OSError():
            return Failure(cause=Cause.DROPPED, message=f"the connection broke: {last_words(error)}")
        case anthropic.AnthropicError():
            return Failure(cause=Cause.MALFORMED, message=escape_control(error)[:LONGEST_MESSAGE])
        case _:
            raise error


def never_sent(error: Exception, endpoint: Endpoint | None) -> Failure:
    """Make the failure of a call of which nothing has left. Raises an error of another origin: a bug."""
    match error:
        case TypeError() if "authentication method" in str(error):
            return Failure(cause=Cause.CREDENTIALS, message="there is no API key")
        case TypeError():
            raise error
        case anthropic.AnthropicError() if not isinstance(error, anthropic.APIConnectionError):
            return Failure(cause=Cause.CREDENTIALS, message=escape_control(error)[:LONGEST_MESSAGE])
    cause, why = why_never_sent(list(causes(error)))
    words = f"no connection to {endpoint.words if endpoint else 'the API'}: {escape_control(why)}"
    return Failure(cause=cause, message=words[:LONGEST_MESSAGE])


def no_credentials(error: Exception) -> Failure | None:
    """Make the failure of a cloud's library of credentials. Returns None for an error of another origin: a bug.

    The SDK has a RuntimeError of its own where the library has nothing to say.
    """
    is_of_sdk = isinstance(error, RuntimeError) and "Could not resolve" in str(error)
    if not (is_of_sdk or type(error).__module__.startswith(CREDENTIAL_LIBRARIES)):
        return None
    is_outage = any(kind.__name__ in NO_CONNECTION for kind in type(error).__mro__)
    words = f"no credentials: {escape_control(error)}"
    return Failure(cause=Cause.UNREACHABLE if is_outage else Cause.CREDENTIALS, message=words[:LONGEST_MESSAGE])


def why_never_sent(chain: list[BaseException]) -> tuple[Cause, str]:
    """Tell a setting that has to be mended from an outage, which may end by itself."""
    last = str(chain[-1]) or type(chain[-1]).__name__
    for link in chain:
        match link:
            case ssl.SSLCertVerificationError():
                return Cause.MISCONFIGURED, f"the certificate there is not trusted: {last}"
            case aiohttp.ClientHttpProxyError():
                cause = Cause.UNREACHABLE if is_proxy_down(link.status) else Cause.MISCONFIGURED
                return cause, f"the proxy refuses: {link.status} {link.message}"
            case TimeoutError():
                return Cause.UNREACHABLE, "nobody answered in time"
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | UnicodeError():
                return Cause.MISCONFIGURED, f"no request can be made of this address: {last}"
    return Cause.UNREACHABLE, last


def last_words(error: Exception) -> str:
    """Return the words of the error that led to all others."""
    *_, last = causes(error)
    return escape_control(str(last) or type(last).__name__)[:LONGEST_MESSAGE]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and the errors that led to it, outermost first, each once: such a chain may be a circle."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def malformed(words: str, api_request_id: str | None) -> AttemptError:
    """Make the error of an answer with status 200 that cannot be used, and may have been billed."""
    return AttemptError(Failure(cause=Cause.MALFORMED, message=words, api_request_id=api_request_id))


def not_found(words: str) -> AttemptError:
    """Make the error of a name that the API is never asked for, since the name in a URL could lead elsewhere."""
    return AttemptError(Failure(cause=Cause.STATUS, status=404, error_type="not_found_error", message=words))
