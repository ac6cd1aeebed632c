"""Which parameters a given model takes: effort, thinking, output format, limits; in the API's words."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

from batchrun.simulator.models import ALL_EFFORTS, ALL_THINKING, ModelCard
from batchrun.simulator.schemas import schema_problems

Params = Mapping[str, Any]


def model_problems(params: Params, card: ModelCard) -> Iterator[str]:
    """Say what the model would refuse in parameters that are well-formed."""
    return chain(_output_config(params, card), _thinking(params, card), _limits(params, card))


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
