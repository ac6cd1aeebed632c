"""What the API refuses in parameters of the right form: cache breakpoints, and what a given model does not take."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.simulator.requests.model_cards import ModelCard
from batchrun.simulator.requests.schema_rules import schema_problem
from batchrun.simulator.requests.tool_rules import tool_problems

_MOST_MARKS = 4

Params = Mapping[str, Any]


def cache_problems(params: Params) -> Iterator[str]:
    """Say what is wrong with the cache breakpoints taken together."""
    marks = list(_marks(params))
    if len(marks) > _MOST_MARKS:
        yield f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {len(marks)}."
    ttls = [ttl for _, ttl in marks]
    for index, (where, ttl) in enumerate(marks):
        if ttl == "1h" and "5m" in ttls[:index]:
            yield (
                f"{where}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note "
                "that blocks are processed in the following order: `tools`, `system`, `messages`."
            )


def _marks(params: Params) -> Iterator[tuple[str, str]]:
    """Find every breakpoint, in the order of the prompt: its place and its ttl."""
    places = [("system", params.get("system"))]
    places += [(f"messages.{index}.content", message["content"]) for index, message in enumerate(params["messages"])]
    for where, content in places:
        for index, block in enumerate(content if isinstance(content, list) else ()):
            if mark := block.get("cache_control"):
                yield f"{where}.{index}.cache_control", mark.get("ttl", "5m")
    if mark := params.get("cache_control"):
        yield "cache_control", mark.get("ttl", "5m")


def model_problems(params: Params, card: ModelCard) -> Iterator[str]:
    """Say what the model would refuse in parameters that are well-formed."""
    config, max_tokens = params.get("output_config", {}), params.get("max_tokens", 0)
    effort = config.get("effort")
    if effort and not card.efforts:
        yield "This model does not support the effort parameter."
    elif effort and effort not in card.efforts:
        levels = ", ".join(sorted(card.efforts))
        yield f"This model does not support effort level '{effort}'. Supported levels: {levels}."
    if config.get("format") and (problem := schema_problem(json.dumps(config["format"]["schema"]))):
        yield problem
    yield from _thinking_problems(params.get("thinking"), effort or "high", params.get("max_tokens"), card)
    if max_tokens > card.max_output:
        limit = f"which is the maximum allowed number of output tokens for {card.id}"
        yield f"max_tokens: {max_tokens} > {card.max_output}, {limit}"
    if params["messages"][-1]["role"] == "assistant" and not card.prefill:
        yield "This model does not support assistant message prefill. The conversation must end with a user message."
    yield from tool_problems(params, card)


def _thinking_problems(thinking: Params | None, effort: str, max_tokens: int | None, card: ModelCard) -> Iterator[str]:
    if not thinking:
        return
    kind = thinking["type"]
    if kind == "adaptive" and kind not in card.thinking:
        yield "adaptive thinking is not supported on this model"
    elif kind not in card.thinking:
        instead = ' Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        yield f'"thinking.type.{kind}" is not supported for this model.{instead if kind == "enabled" else ""}'
    elif kind in {"between_tools", "disabled"} and effort not in card.unthinking_efforts:
        yield f"thinking.type: {kind} is not supported with effort level '{effort}'."
    elif kind == "enabled" and max_tokens is not None and max_tokens <= thinking["budget_tokens"]:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."
