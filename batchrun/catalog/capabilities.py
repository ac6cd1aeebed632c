"""What a model does not take, found out before the API answers 400 to every document."""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from batchrun.catalog.lifecycle import ModelLife
from batchrun.catalog.price import ModelPrice

if TYPE_CHECKING:
    from batchrun.job.model_sections import ModelSection

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_THINKS = frozenset({"adaptive", "enabled"})
"""The values of `thinking` with which a model thinks before its answer; without tools nothing is between tools."""


class ModelProblem(NamedTuple):
    """What a model refuses."""

    key: str
    """The key of [model] that says so."""
    message: str


def thinks(model: "ModelSection", price: ModelPrice) -> bool:
    """Whether replies will contain thinking, which is billed as output."""
    return price.thinks_by_default if model.thinking is None else model.thinking in _THINKS


def model_problems(model: "ModelSection", price: ModelPrice, *, today: date) -> list[ModelProblem]:
    """Give a sentence for everything the model would refuse, each with what is allowed; none when all is well."""
    found = (
        ("name", _retired(price, today)),
        ("name", _not_yet_valid(price, today)),
        ("max_tokens", _too_many_tokens(model, price)),
        ("effort", _effort_problem(model, price)),
        ("thinking", _thinking_problem(model, price)),
    )
    return [ModelProblem(key, message) for key, message in found if message is not None]


def suited(model: "ModelSection", price: ModelPrice) -> "ModelSection":
    """Fit the job's [model] section to another model: lower `max_tokens`, and drop what the model refuses."""
    effort = model.effort if model.effort in price.effort_levels else None
    taken = model.model_copy(
        update={"name": price.name, "max_tokens": min(model.max_tokens, price.max_output_tokens), "effort": effort}
    )
    dropped = {"thinking": None, "budget_tokens": None}
    return taken.model_copy(update=dropped) if _thinking_problem(taken, price) else taken


def as_told(price: ModelPrice, life: ModelLife) -> ModelPrice:
    """Correct a row of the price table by what the Models API says of the model; prices stay as they are."""
    told = life.capabilities
    return replace(
        price,
        context_window=life.max_input_tokens or price.context_window,
        max_output_tokens=life.max_output_tokens or price.max_output_tokens,
        effort_levels=price.effort_levels if told.efforts is None else told.efforts,
        thinking=price.thinking if told.thinking is None else told.thinking,
    )


def _retired(price: ModelPrice, today: date) -> str | None:
    if price.retires is None or today < price.retires:
        return None
    return f"{price.name} was retired on {price.retires}; choose another model"


def _not_yet_valid(price: ModelPrice, today: date) -> str | None:
    if price.valid_from is None or today >= price.valid_from:
        return None
    return f"the price of {price.name} is valid from {price.valid_from} on; today's price is not known"


def _too_many_tokens(model: "ModelSection", price: ModelPrice) -> str | None:
    if model.max_tokens <= price.max_output_tokens:
        return None
    return f"max_tokens = {model.max_tokens:,} is more than {price.name} can write; at most {price.max_output_tokens:,}"


def _effort_problem(model: "ModelSection", price: ModelPrice) -> str | None:
    if model.effort is None or model.effort in price.effort_levels:
        return None
    if not price.effort_levels:
        return f"{price.name} takes no effort; leave the key out"
    return f'{price.name} does not take effort = "{model.effort}"; it takes {_listed(price.effort_levels)}'


def _thinking_problem(model: "ModelSection", price: ModelPrice) -> str | None:
    if model.thinking is None:
        return None
    if model.thinking not in price.thinking:
        allowed = f"it takes {_listed(price.thinking)}" if price.thinking else "leave the key out"
        return f'{price.name} does not take thinking = "{model.thinking}"; {allowed}'
    if model.budget_tokens is not None and model.budget_tokens >= model.max_tokens:
        return f"budget_tokens = {model.budget_tokens:,} leaves nothing of max_tokens = {model.max_tokens:,} to answer"
    effort = model.effort or price.default_effort
    highest = price.max_effort_without_thinking
    if model.thinking in _THINKS or highest is None or effort is None:
        return None
    if _EFFORTS.index(effort) <= _EFFORTS.index(highest):
        return None
    return f'{price.name} takes thinking = "{model.thinking}" only up to effort = "{highest}", not with "{effort}"'


def _listed(values: tuple[str, ...]) -> str:
    return " or ".join(f'"{value}"' for value in values)
