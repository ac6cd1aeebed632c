"""The caps of the project, and the caps that the operator sets by environment variables."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation

from batchrun.budget.caps import SHARED, Cap, ModelRule, Of, Origin, Per
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control
from batchrun.job.credentials import masked
from batchrun.job.project import ModelBudget, ProjectBudget

_NUSD_PER_USD = 10**9
_MOST = 10**18

_VARIABLES = {
    "BATCHRUN_MAX_COST": (Per.RUN, Of.COST),
    "BATCHRUN_MAX_TOKENS": (Per.RUN, Of.TOKENS),
    "BATCHRUN_MAX_COST_PER_DOCUMENT": (Per.DOCUMENT, Of.COST),
    "BATCHRUN_MAX_COST_PER_DAY": (Per.DAY, Of.COST),
    "BATCHRUN_MAX_COST_PER_MONTH": (Per.MONTH, Of.COST),
    "BATCHRUN_MAX_TOKENS_PER_DAY": (Per.DAY, Of.TOKENS),
}
_ALLOWED, _DENIED = "BATCHRUN_ALLOWED_MODELS", "BATCHRUN_DENIED_MODELS"


def operator_caps(environment: Mapping[str, str]) -> Iterator[Cap]:
    """Yield the operator's caps. Raises UsageProblem for a value that cannot be read: no value is ignored."""
    for name, (per, of) in _VARIABLES.items():
        if (value := environment.get(name)) is not None:
            yield Cap(per, _read(name, value, of), name, Origin.OPERATOR, of=of)


def operator_rule(environment: Mapping[str, str]) -> ModelRule:
    """The models that the operator allows and denies. Raises UsageProblem for a list without a name."""
    denied = _names(_DENIED, environment.get(_DENIED)) or ()
    return ModelRule(Origin.OPERATOR, _names(_ALLOWED, environment.get(_ALLOWED)), _ALLOWED, denied, _DENIED)


def project_caps(budget: ProjectBudget) -> Iterator[Cap]:
    """Yield the caps in [budget] of batchrun.toml."""
    if budget.max_cost_nusd is not None:
        yield Cap(Per.RUN, budget.max_cost_nusd, "budget.max_cost_usd", Origin.PROJECT)
    if budget.max_tokens is not None:
        yield Cap(Per.RUN, budget.max_tokens, "budget.max_tokens", Origin.PROJECT, of=Of.TOKENS)
    if budget.max_cost_per_document_nusd is not None:
        limit = budget.max_cost_per_document_nusd
        yield Cap(Per.DOCUMENT, limit, "budget.max_cost_per_document_usd", Origin.PROJECT)
    yield from _shared(budget, "budget.")
    for model, own in budget.models.items():
        yield from _shared(own, f'budget.models."{model}".', model=model)
    for tag, own in budget.tags.items():
        yield from _shared(own, f"budget.tags.{json.dumps(tag, ensure_ascii=False)}.", tag=tag)


def shared_caps(budget: ProjectBudget, environment: Mapping[str, str]) -> tuple[Cap, ...]:
    """List the caps of days and months, the lowest of each kind: what a lease service can share among hosts."""
    caps = sorted([*project_caps(budget), *operator_caps(environment)], key=lambda cap: -cap.limit)
    return tuple({cap.kind: cap for cap in caps if (cap.per, cap.of) in SHARED}.values())


def project_rule(budget: ProjectBudget) -> ModelRule:
    """The models that batchrun.toml allows and denies."""
    keys = "budget.allowed_models", "budget.denied_models"
    return ModelRule(Origin.PROJECT, budget.allowed_models, keys[0], budget.denied_models, keys[1])


def _shared(budget: ModelBudget, prefix: str, *, model: str | None = None, tag: str | None = None) -> Iterator[Cap]:
    said = (
        (budget.max_cost_per_day_nusd, Per.DAY, "max_cost_per_day_usd", Of.COST),
        (budget.max_cost_per_month_nusd, Per.MONTH, "max_cost_per_month_usd", Of.COST),
        (budget.max_tokens_per_day, Per.DAY, "max_tokens_per_day", Of.TOKENS),
    )
    for limit, per, key, of in said:
        if limit is not None:
            yield Cap(per, limit, prefix + key, Origin.PROJECT, model, of, tag)


def _read(name: str, value: str, of: Of) -> int:
    expected = "a number of tokens, such as 20000000" if of is Of.TOKENS else "an amount in US dollars, such as 5.00"
    try:
        limit = Decimal(value.strip().replace("_", "")) * (1 if of is Of.TOKENS else _NUSD_PER_USD)
    except InvalidOperation:
        limit = Decimal("NaN")
    if not limit.is_finite() or not 1 <= limit <= _MOST or (of is Of.TOKENS and limit != int(limit)):
        raise UsageProblem(
            f"the environment variable {name} should be {expected}, above zero,"
            f" and is {escape_control(repr(masked(value)))}.",
            hint=f"nothing was sent; set it right, or unset {name}",
        )
    return int(limit)


def _names(name: str, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(word.strip() for word in value.split(","))
    if not all(names):
        raise UsageProblem(
            f"the environment variable {name} should be names of models with commas between them,"
            f" and is {escape_control(repr(masked(value)))}.",
            hint=f"nothing was sent; such as {name}=claude-sonnet-5-5,claude-haiku-5-5",
        )
    return names
