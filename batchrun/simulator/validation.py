"""Which requests the API takes, as of version 2026-10-21: the first problem of a request, in the API's words.

Parameters that batchrun has no use for (`tools`, `stop_sequences`, …) are known here so that they
are not refused, but have no effect on the answer.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from batchrun.simulator.api_error import ApiError, invalid_request, not_found, unauthenticated
from batchrun.simulator.cache_checks import cache_problems
from batchrun.simulator.model_checks import model_problems
from batchrun.simulator.models import ModelCard, find_model

_SAMPLING = ("temperature", "top_p", "top_k")
_COUNTED = {
    "cache_control",
    "messages",
    "model",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
}
_PARAMETERS = _COUNTED | {
    "container",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
}
_BLOCKS = {"text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use", "tool_result"}

Params = Mapping[str, Any]


def check_headers(authorization: str | None, version: str | None) -> ApiError | None:
    """Take any non-empty Bearer key except the word `invalid`; `x-api-key` is not looked at any more."""
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return unauthenticated("API key is required. Send it as `Authorization: Bearer <key>`.")
    if key.strip() == "invalid":
        return unauthenticated("API key is invalid.")
    if not version:
        return invalid_request("anthropic-version: header is required")
    return None


def parse(raw: bytes) -> Params | ApiError:
    """Read a body as JSON."""
    try:
        params = json.loads(raw)
        if b"\\ud" in raw or b"\\uD" in raw:
            json.dumps(params, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except (ValueError, RecursionError) as error:
        return invalid_request(f"The request body is not valid JSON: {error}")
    if not isinstance(params, dict):
        return invalid_request("Input should be a valid dictionary or object to extract fields from")
    return params


def check_message(params: Params) -> ApiError | None:
    """Find the first problem of the parameters of `POST /v1/messages`."""
    shape = chain(_unknown(params, _PARAMETERS), _max_tokens(params), _stream(params))
    return _check(params, shape)


def check_count(params: Params) -> ApiError | None:
    """Find the first problem of the parameters of `POST /v1/messages/count_tokens`."""
    return _check(params, _unknown(params, _COUNTED))


def known_model(params: Params) -> ModelCard:
    """Return the model of parameters that were checked."""
    card = find_model(params["model"])
    assert card is not None
    return card


def check_length(input_tokens: int, card: ModelCard) -> ApiError | None:
    """Check that the prompt fits the context window."""
    if input_tokens > card.context:
        return invalid_request(f"prompt is too long: {input_tokens} tokens > {card.context} maximum")
    return None


def _check(params: Params, shape: Iterator[str]) -> ApiError | None:
    problem = next(chain(shape, _model(params), _system(params), _messages(params), cache_problems(params)), None)
    if problem is not None:
        return invalid_request(problem)
    card = find_model(params["model"])
    if card is None:
        return not_found(f"model: {params['model']}")
    problem = next(model_problems(params, card), None)
    return None if problem is None else invalid_request(problem)


def _unknown(params: Params, known: set[str]) -> Iterator[str]:
    for name in params:
        if name in _SAMPLING:
            yield f"`{name}` is deprecated for this model."
        elif name not in known:
            yield f"{name}: Extra inputs are not permitted"


def _model(params: Params) -> Iterator[str]:
    if "model" not in params:
        yield "model: Field required"
    elif not isinstance(params["model"], str):
        yield "model: Input should be a valid string"


def _max_tokens(params: Params) -> Iterator[str]:
    value = params.get("max_tokens")
    if "max_tokens" not in params:
        yield "max_tokens: Field required"
    elif not isinstance(value, int) or isinstance(value, bool):
        yield "max_tokens: Input should be a valid integer"
    elif value < 0:
        yield "max_tokens: must be greater than or equal to 0"


def _stream(params: Params) -> Iterator[str]:
    if not isinstance(params.get("stream", False), bool):
        yield "stream: Input should be a valid boolean"


def _system(params: Params) -> Iterator[str]:
    if "system" in params:
        yield from _content(params["system"], "system")


def _messages(params: Params) -> Iterator[str]:
    messages = params.get("messages")
    if "messages" not in params:
        yield "messages: Field required"
    elif not isinstance(messages, list):
        yield "messages: Input should be a valid list"
    elif not messages:
        yield "messages: at least one message is required"
    else:
        for index, message in enumerate(messages):
            yield from _one_message(message, f"messages.{index}")


def _one_message(message: object, where: str) -> Iterator[str]:
    if not isinstance(message, dict):
        yield f"{where}: Input does not match the expected shape."
        return
    if message.get("role") not in {"user", "assistant", "system"}:
        yield f"{where}.role: Input should be 'user', 'assistant' or 'system'"
    if "content" not in message:
        yield f"{where}.content: Field required"
    elif message["content"] in ("", []):
        yield f"{where}: all messages must have non-empty content except for the optional final assistant message"
    else:
        yield from _content(message["content"], f"{where}.content")
    for name in message.keys() - {"role", "content"}:
        yield f"{where}.{name}: Extra inputs are not permitted"


def _content(content: object, where: str) -> Iterator[str]:
    if isinstance(content, list):
        for index, block in enumerate(content):
            yield from _block(block, f"{where}.{index}")
    elif not isinstance(content, str):
        yield f"{where}: Input should be a valid string or list"


def _block(block: object, where: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield f"{where}: Input does not match the expected shape."
    elif block.get("type") not in _BLOCKS:
        yield f"{where}.type: Field required" if "type" not in block else f"{where}: Input does not match any tag"
    elif block["type"] == "text":
        if not isinstance(block.get("text"), str):
            yield f"{where}.text.text: Field required"
        elif not block["text"]:
            yield f"{where.partition('.')[0]}: text content blocks must be non-empty"
        elif not block["text"].strip():
            yield f"{where.partition('.')[0]}: text content blocks must contain non-whitespace text"
