"""A server on loopback that answers a message as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loopback import Answer, listening, responding

from batchrun.providers import AttemptError
from batchrun.providers.anthropic.messages import LONGEST_PLAIN_MAX_TOKENS, AnthropicProvider
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure, Reply
from batchrun.request import Request

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": '{"a": 1}'}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 5},
}


def request(*, max_tokens: int = 100, **more: Any) -> Request:
    return Request.of(
        {"model": "claude-haiku-4-5", "max_tokens": max_tokens, "messages": [{"role": "user", "content": "ü"}]} | more
    )


@asynccontextmanager
async def provider_against(answer: Answer, *, timeout_s: float = 60.0) -> AsyncIterator[AnthropicProvider]:
    async with listening("POST", "/v1/messages", answer) as port:
        base_url = f"http://127.0.0.1:{port}"
        provider = AnthropicFactory(base_url=base_url, api_key="test").make(timeout_s=timeout_s, concurrency=2)
        try:
            yield provider
        finally:
            await provider.close()


def outcome_of(answer: Answer, sent: Request | None = None, *, timeout_s: float = 60.0) -> Reply | Failure:
    """What the provider makes of one answer."""

    async def scenario() -> Reply | Failure:
        async with provider_against(answer, timeout_s=timeout_s) as provider:
            try:
                return await provider.send(sent or request())
            except AttemptError as error:
                return error.failure

    return asyncio.run(scenario())


def failure_of(answer: Answer, **options: Any) -> Failure:
    failure = outcome_of(answer, **options)
    assert isinstance(failure, Failure)
    return failure


def api_error(kind: str, message: str, **more: object) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


STATUSES: dict[str, tuple[Answer, Failure]] = {
    "401": (
        responding(api_error("authentication_error", "API key is invalid."), status=401),
        Failure(cause=Cause.STATUS, status=401, error_type="authentication_error", message="API key is invalid."),
    ),
    "404": (
        responding(api_error("not_found_error", "model: x"), status=404),
        Failure(cause=Cause.STATUS, status=404, error_type="not_found_error", message="model: x"),
    ),
    "413": (
        responding(api_error("request_too_large", "too large"), status=413),
        Failure(cause=Cause.STATUS, status=413, error_type="request_too_large", message="too large"),
    ),
    "429": (
        responding(api_error("rate_limit_error", "later"), status=429, retry_after="7"),
        Failure(cause=Cause.STATUS, status=429, error_type="rate_limit_error", message="later", retry_after_s=7.0),
    ),
    "529": (
        responding(api_error("overloaded_error", "Overloaded"), status=529),
        Failure(cause=Cause.STATUS, status=529, error_type="overloaded_error", message="Overloaded"),
    ),
    "502 with a page": (
        responding("<html><h1>Bad gateway</h1></html>", status=502),
        Failure(cause=Cause.STATUS, status=502, message="HTTP 502 without the API's error body", in_doubt=True),
    ),
}


LONG = LONGEST_PLAIN_MAX_TOKENS + 1
