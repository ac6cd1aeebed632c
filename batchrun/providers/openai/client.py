"""OpenAI's SDK over the bounded transport: how the client is made here, and how its errors become failures."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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
from batchrun.providers.anthropic.json_values import fields_in, word_in
from batchrun.providers.anthropic.sending import CURRENT, watch_sends
from batchrun.providers.openai.headers import as_messages_headers
from batchrun.reply import Failure

if TYPE_CHECKING:
    from batchrun.providers.openai.provider import OpenAIFactory


class OpenAIClient:
    """The SDK's client for one provider, which sends everything once."""

    def __init__(self, factory: "OpenAIFactory", *, timeout_s: float, connections: int = 16) -> None:
        self._timeout_s = timeout_s
        self._dialect = factory.dialect
        http_client = bounded_client(timeout_s, connections=connections, trust_env=factory.trust_env)
        self._client = factory.sdk(max_retries=0, timeout=timeout_for(timeout_s), http_client=http_client)
        watch_sends(http_client, self._client.base_url, factory.named_by)
        # The SDK takes a request without a key only if the headers of the request itself say so.
        signed = factory.key or "authorization" in map(str.lower, self._client._custom_headers)  # noqa: SLF001
        self._options: Any = {"headers": {} if signed else {"Authorization": openai.Omit()}}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _post(self, path: str, body: Mapping[str, Any]) -> httpx2.Response:
        async with answered_within(self._timeout_s):
            with sdk_errors_mapped():
                content = json.dumps(body).encode()
                return await self._client.post(path, content=content, cast_to=httpx2.Response, options=self._options)

    async def _get(self, path: str) -> httpx2.Response:
        async with answered_within(self._timeout_s):
            with sdk_errors_mapped():
                return await self._client.get(path, cast_to=httpx2.Response, options=self._options)


@contextmanager
def sdk_errors_mapped() -> Iterator[None]:
    """Raise AttemptError for an error status, and what broke the connection for `answered_within`."""
    try:
        yield
    except openai.APIStatusError as error:
        raise AttemptError(status_failure(error)) from error
    except openai.APIConnectionError as error:
        raise error.__cause__ or error  # noqa: B904 - as if the SDK had passed it on


def status_failure(error: openai.APIStatusError) -> Failure:
    """Make the failure of an error status, in the forms of OpenAI, vLLM, llama.cpp, Ollama and gateways."""
    headers = as_messages_headers(lower_headers(error.response))
    fields = fields_in(error.body)
    code = word_in(fields.get("code"))
    return told_failure(
        error.response,
        headers,
        error_type=word_in(fields.get("type")),
        error_code=None if code is None or code.isdigit() else code,  # some repeat the status as a text
        words=_words(error.body),
        endpoint=CURRENT.get().endpoint,
    )


def _words(body: object) -> str:
    """Return the words of an error: its message, its detail, or the text that is all of it. A page has no words."""
    if isinstance(body, str):
        return "" if body.startswith("<") else body
    fields = fields_in(body)
    words = next((fields[name] for name in ("message", "detail") if fields.get(name)), None)
    if isinstance(words, list):  # of faults, as FastAPI writes them
        words = fields_in(words[0]).get("msg")
    return words if isinstance(words, str) else ""
