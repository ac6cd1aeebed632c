"""OpenAI's SDK over the bounded transport: how the client is made here, and how its errors become failures."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import environ
from typing import Any

import anthropic
import httpx2
import openai

from batchrun.providers import AttemptError
from batchrun.providers.anthropic.client import (
    answered_within,
    bounded_client,
    lower_headers,
    timeout_for,
    told_failure,
)
from batchrun.providers.anthropic.json_values import fields_in, request_id_in, word_in
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.providers.anthropic.retry_after import retry_after_s
from batchrun.providers.anthropic.sending import CURRENT, watch_sends
from batchrun.providers.openai.address import Address
from batchrun.providers.openai.headers import as_messages_headers
from batchrun.reply import Cause, Failure

CUSTOM_HEADERS = "OPENAI_CUSTOM_HEADERS"
OMITTED: Any = openai.Omit()
"""What stands for a header that the SDK leaves out."""


class OpenAIClient:
    """The SDK's client for one address, which sends everything once."""

    def __init__(self, address: Address, *, timeout_s: float, connections: int = 16) -> None:
        self._timeout_s = timeout_s
        http_client = bounded_client(timeout_s, connections=connections, trust_env=address.trust_env)
        self._client = openai.AsyncOpenAI(
            api_key=address.key or "none",
            base_url=address.url,
            project=address.project,
            max_retries=0,
            timeout=timeout_for(timeout_s),
            default_headers=_headers(address),
            http_client=http_client,
        )
        watch_sends(http_client, self._client.base_url, address.named_by)
        # The SDK takes a request without a key only if the request itself says so.
        is_keyless = address.key is None and not (address.takes_environment and CUSTOM_HEADERS in environ)
        self._options: Any = {"headers": {"Authorization": OMITTED}} if is_keyless else {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _post(self, path: str, body: Mapping[str, Any]) -> httpx2.Response:
        with sdk_errors_mapped():
            content = json.dumps(body).encode()
            return await self._client.post(path, content=content, cast_to=httpx2.Response, options=self._options)

    async def _get(self, path: str) -> httpx2.Response:
        async with answered_within(self._timeout_s):
            with sdk_errors_mapped():
                return await self._client.get(path, cast_to=httpx2.Response, options=self._options)


def _headers(address: Address) -> dict[str, Any]:
    """Return the headers of every request. What the environment has for OpenAI never goes to another server."""
    own = {"accept-encoding": "gzip", **address.headers}
    if address.takes_environment:
        return own
    lines = environ.get(CUSTOM_HEADERS, "").split("\n")
    theirs = ["OpenAI-Organization", "OpenAI-Project", *(line.partition(":")[0].strip() for line in lines)]
    left_out = {name: OMITTED for name in theirs if name and name.lower() != "authorization"}
    project = {"OpenAI-Project": address.project} if address.project else {}
    authorization = f"Bearer {address.key}" if address.key else OMITTED
    return {**left_out, **project, "Authorization": authorization, **own}


@contextmanager
def sdk_errors_mapped() -> Iterator[None]:
    """Raise AttemptError for an error status, and other errors as Anthropic's SDK has them, for `answered_within`."""
    try:
        yield
    except openai.APIStatusError as error:
        raise AttemptError(status_failure(error)) from error
    except openai.APITimeoutError as error:
        raise anthropic.APITimeoutError(request=error.request) from error
    except openai.APIConnectionError as error:
        raise anthropic.APIConnectionError(request=error.request) from error


def status_failure(error: openai.APIStatusError) -> Failure:
    """Make the failure of an error status, in the forms of OpenAI, vLLM, llama.cpp, Ollama and gateways."""
    headers = as_messages_headers(lower_headers(error.response))
    fields = fields_in(error.body)
    code = word_in(fields.get("code"))
    failure = Failure(
        cause=Cause.STATUS,
        status=error.status_code,
        error_type=word_in(fields.get("type")),
        error_code=None if code is None or code.isdigit() else code,
        message=_words(error.body),
        retry_after_s=retry_after_s(headers),
        api_request_id=request_id_in(headers),
        limits=reported_limits(headers),
    )
    return told_failure(failure, error.response, CURRENT.get().endpoint)


def _words(body: object) -> str:
    """Return the words of an error: its message, its detail, or the text that is all of it. A page has no words."""
    if isinstance(body, str):
        return "" if body.startswith("<") else body
    fields = fields_in(body)
    words = next((fields[name] for name in ("message", "detail") if fields.get(name)), None)
    if isinstance(words, list):  # of faults, as FastAPI writes them
        words = fields_in(words[0]).get("msg")
    return words if isinstance(words, str) else ""
