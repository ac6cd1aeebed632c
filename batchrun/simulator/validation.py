"""Which requests the API takes, as of version 2026-10-21: the first problem of a request, in the API's words.

Parameters that batchrun has no use for (`tools`, `stop_sequences`, `cache_control`, …) are known here so that they
are not refused, but have no effect on the answer.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

from batchrun.simulator.api_error import ApiError, invalid_request, not_found, unauthenticated
from batchrun.simulator.models import ALL_EFFORTS, ALL_THINKING, ModelCard, find_model
from batchrun.simulator.schemas import schema_problems

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
    problem = next(chain(shape, _model(params), _system(params), _messages(params)), None)
    if problem is not None:
        return invalid_request(problem)
    card = find_model(params["model"])
    if card is None:
        return not_found(f"model: {params['model']}")
    problem = next(chain(_output_config(params, card), _thinking(params, card), _limits(params, card)), None)
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


def _output_config(params: Params, card: ModelCard) -> Iterator[str]:
    config = params.get("output_config", {})
    if not isinstance(config, dict):
        yield "output_config: Input does not match the expected shape."
        return
    for name in config.keys() - {"effort", "format"}:
        yield f"output_config.{name}: Extra inputs are not permitted"
    yield from _effort(config, card)
    if config.get("format") is not None:
        yield from _format(config["format"])


def _effort(config: Params, card: ModelCard) -> Iterator[str]:
    effort = config.get("effort")
    if effort is None:
        return
    if effort not in ALL_EFFORTS:
        yield "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"
    elif not card.efforts:
        yield "This model does not support the effort parameter."
    elif effort not in card.efforts:
        levels = ", ".join(sorted(card.efforts))
        yield f"This model does not support effort level '{effort}'. Supported levels: {levels}."


def _format(value: object) -> Iterator[str]:
    if not isinstance(value, dict):
        yield "output_config.format: Input does not match the expected shape."
    elif value.get("type") != "json_schema":
        yield "output_config.format.type: Input should be 'json_schema'"
    elif not isinstance(value.get("schema"), dict):
        yield "output_config.format.schema: Field required"
    else:
        yield from filter(None, [_schema_problem(json.dumps(value["schema"]))])


@lru_cache(maxsize=64)
def _schema_problem(schema: str) -> str | None:
    """Check a schema, written as JSON, once: a job sends the same one with every document."""
    return next(schema_problems(json.loads(schema)), None)


def _thinking(params: Params, card: ModelCard) -> Iterator[str]:
    thinking = params.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ALL_THINKING:
        expected = ", ".join(f"'{name}'" for name in ALL_THINKING)
        yield f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: {expected}"
    elif kind not in card.thinking:
        yield _thinking_refused(str(kind))
    elif kind == "enabled":
        yield from _thinking_budget(thinking, params.get("max_tokens"))
    elif kind != "adaptive":
        effort = params.get("output_config", {}).get("effort") or "high"
        if effort not in card.unthinking_efforts:
            yield f"thinking.type: {kind} is not supported with effort level '{effort}'."


def _thinking_refused(kind: str) -> str:
    if kind == "adaptive":
        return "adaptive thinking is not supported on this model"
    if kind == "enabled":
        return (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    return f'"thinking.type.{kind}" is not supported for this model.'


def _thinking_budget(thinking: Params, max_tokens: int | None) -> Iterator[str]:
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        yield "thinking.enabled.budget_tokens: Field required"
    elif budget < 1024:
        yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
    elif max_tokens is not None and max_tokens <= budget:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."


def _limits(params: Params, card: ModelCard) -> Iterator[str]:
    max_tokens = params.get("max_tokens", 0)
    if max_tokens > card.max_output:
        yield (
            f"max_tokens: {max_tokens} > {card.max_output}, "
            f"which is the maximum allowed number of output tokens for {card.id}"
        )
    if params["messages"][-1]["role"] == "assistant" and not card.prefill:
        yield ("This model does not support assistant message prefill. The conversation must end with a user message.")
    forced = (params.get("tool_choice") or {}).get("type") in {"any", "tool"}
    if forced and not card.forced_tools:
        yield "tool_choice forces tool use is not compatible with this model."
