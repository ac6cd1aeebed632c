"""A ladder of models: who answers first, and who answers when that one does not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from batchrun.catalog.capabilities import model_problems, suited
from batchrun.catalog.price import ModelPrice
from batchrun.catalog.price_table import PriceTable
from batchrun.catalog.rate_limits import Learnt, RateLimits, effective_limits, published_limits
from batchrun.errors import UsageProblem
from batchrun.outcome import Outcome
from batchrun.request import Request
from batchrun.strategy.cascade_rules import UNMET, Demands

if TYPE_CHECKING:
    from batchrun.job.spec import CascadeSection, LimitsSection, ModelSection

OUTAGE = "outage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One model of a ladder, with what it takes of the job's parameters."""

    price: ModelPrice
    limits: RateLimits
    effort: str | None
    """None: the job has none, or this model does not take it."""
    thinking: str | None
    """None: the job says nothing, or this model does not take it."""

    def request(self, first: Request) -> Request:
        """The same request to this model; the same bytes every time."""
        if first.model == self.price.name:
            return first
        params = json.loads(first.body)
        params["model"] = self.price.name
        params["max_tokens"] = min(first.max_tokens, self.price.max_output_tokens)
        if self.effort is None:
            params.get("output_config", {}).pop("effort", None)
        if self.thinking is None:
            params.pop("thinking", None)
        return Request.of(params)


@dataclass(frozen=True, slots=True)
class Ladder:
    """The first rung is the job's own model."""

    rungs: tuple[Rung, ...]
    fallback_on: frozenset[str]
    demands: Demands | None = None
    """What an answer must have, unless it is the last model's; None: the ladder is no cascade."""

    def seasoned(self, learnt: Mapping[str, Learnt]) -> "Ladder":
        """With what earlier runs learnt of the limits of its models."""
        rungs = (replace(rung, limits=rung.limits.seasoned(learnt.get(rung.price.name))) for rung in self.rungs)
        return replace(self, rungs=tuple(rungs))

    def standing(self, known: Sequence[str | None], *, at: int | None) -> int:
        """The rung whose request a document stands for, from how its requests to each model ended.

        `at` is the rung that it stood at before, None for a new document. What ended in a way that another model may
        mend passes to the next one; what had its answer from a later one in an outage keeps it. When the last one that
        was asked failed, a valid row from before is better than none.
        """
        rung = at if at is not None and known[at] is not None else 0
        while (outcome := known[rung]) is not None and self.falls_back(rung, outcome):
            rung += 1
        if outcome in {None, UNMET, Outcome.SUCCEEDED}:
            return rung
        return next((number for number in reversed(range(rung)) if known[number] == UNMET), rung)

    def falls_back(self, rung: int, why: str) -> bool:
        """Whether the next model answers when this one ended so."""
        return rung + 1 < len(self.rungs) and why in self.fallback_on

    def escalated(self, rung: int, outcome: Outcome, output: Mapping[str, Any] | None, text: str | None) -> str | None:
        """Why the next model is asked after this one's answer; None when it is taken. `text` as `Demands` has it."""
        if self.falls_back(rung, outcome):
            return outcome
        unmet = self.demands.unmet(output, text) if self.demands and output is not None else None
        return unmet if self.falls_back(rung, UNMET) else None


def make_ladder(
    model: "ModelSection",
    limits: "LimitsSection",
    prices: PriceTable,
    *,
    today: date,
    cascade: "CascadeSection | None" = None,
) -> Ladder:
    """Put a job's models in order. Raises Refused for one without a price, UsageProblem for what one cannot do.

    A fallback's parameters are no reason to refuse: it drops what it does not take. `limits` are the first model's.
    """
    first, *others = [prices.model(name) for name in (model.name, *model.fallbacks)]
    wanted = [(model, first), *((suited(model, price), price) for price in others)]
    problems = [problem for section, price in wanted for problem in model_problems(section, price, today=today)]
    if problems:
        where = (
            f'[model] of the job file, or its tier "{model.tier}" in batchrun.toml' if model.tier else "the job file"
        )
        raise UsageProblem("\n".join(f"[model]: {problem}" for problem in problems), hint=f"mend {where}")
    own = _rung(model, first, effective_limits(limits, first.limits))
    rest = (_rung(section, price, published_limits(limits, price.limits)) for section, price in wanted[1:])
    if cascade is None:
        return Ladder((own, *rest), frozenset(model.fallback_on))
    return Ladder((own, *rest), frozenset([*model.fallback_on, UNMET]), Demands(cascade.null_in, cascade.evidence))


def _rung(model: "ModelSection", price: ModelPrice, limits: RateLimits) -> Rung:
    return Rung(price=price, limits=limits, effort=model.effort, thinking=model.thinking)
