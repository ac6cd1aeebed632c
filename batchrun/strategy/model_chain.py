"""A chain of models: which model answers first, and which one answers when the models before did not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from batchrun.answers.asking import ToolChoice
from batchrun.budget.caps import Cap
from batchrun.catalog.capabilities import ModelProblem, model_problems, suited
from batchrun.catalog.price import ModelPrice
from batchrun.catalog.price_table import PriceTable
from batchrun.catalog.provider_prices import row_name
from batchrun.catalog.rate_limits import LearnedLimits, RateLimits, effective_limits, published_limits
from batchrun.errors import UsageProblem
from batchrun.job.provider_sections import ANTHROPIC
from batchrun.job.providers import Providers
from batchrun.outcome import Outcome
from batchrun.providers.anthropic.wire import request_to_model
from batchrun.providers.capabilities import FULL, Capabilities, capabilities_of
from batchrun.request import Request
from batchrun.strategy.cascade_rules import UNMET, AcceptanceRules

if TYPE_CHECKING:
    from batchrun.job.model_sections import CascadeSection, ModelSection
    from batchrun.job.spec import LimitsSection

OUTAGE, BUDGET = "outage", "budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainModel:
    """One model of a chain, with those of the job's parameters that the model takes."""

    price: ModelPrice
    limits: RateLimits
    effort: str | None
    """None when the job has no effort, or this model does not take it."""
    thinking: str | None
    """None when the job says nothing of thinking, or this model does not take it."""
    provider: str = ANTHROPIC
    """The name of the model's provider."""
    capabilities: Capabilities = FULL
    """What the model's provider can do."""
    provider_type: str = ""
    """The type of the model's provider, where the name of the model does not tell the type."""

    @property
    def tool_choice(self) -> ToolChoice:
        """What the model takes, where a job asks by a tool."""
        return self.price.tool_choice(self.thinking)

    def shares_limits(self, other: "ChainModel") -> bool:
        """Whether the requests to both models draw on the same rate limits."""
        return self.price.bucket == other.price.bucket

    def request(self, first: Request) -> Request:
        """Make the same request to this model. The bytes are the same every time."""
        if first.model == self.price.name:
            return first
        return request_to_model(
            first,
            model=self.price.name,
            max_tokens=min(first.max_tokens, self.price.max_output_tokens),
            takes_effort=self.effort is not None,
            takes_thinking=self.thinking is not None,
            tool_choice=self.tool_choice,
            provider_type=self.provider_type,
        )


@dataclass(frozen=True, slots=True)
class ModelChain:
    """The models of a job in order; the first is the job's own model."""

    models: tuple[ChainModel, ...]
    fallback_on: frozenset[str]
    acceptance_rules: AcceptanceRules | None = None
    """What an answer must have, unless it is the last model's. None if the chain is no cascade."""

    def with_learned_limits(self, learned: Callable[[str], LearnedLimits | None]) -> "ModelChain":
        """Return the chain with what earlier runs learnt of the limits of its models, by the model's name.

        Of models that share their limits the latest rates count for all of them, and each has its own concurrency.
        """
        models = []
        for one in self.models:
            own, found = learned(one.price.name), filter(None, map(learned, self.sharing(one)))
            latest = max(found, key=lambda each: (any(each.rates), each.learnt_at), default=None)
            limits = one.limits.with_learned(latest)
            models.append(replace(one, limits=replace(limits, concurrency=own.concurrency if own else None)))
        return replace(self, models=tuple(models))

    def sharing(self, model: ChainModel) -> list[str]:
        """Return the names of all models that share a model's rate limits, the model included."""
        return [one.price.name for one in self.models if one.shares_limits(model)]

    def requests(self, first: Request) -> tuple[Request, ...]:
        """Make the same request to every model of the chain, from the request to the first model."""
        return tuple(chain_model.request(first) for chain_model in self.models)

    def current_model(self, known: Sequence[str | None], *, at: int | None) -> int:
        """Find the model whose request a document stands for, from how the document's requests to each model ended.

        `at` is the number of the model that the document stood at before, None for a new document. A request that
        ended in a way that another model may mend passes to the next model. A document that had its answer from a
        later model in an outage keeps that answer. When the last model that was asked failed, a valid row of an earlier
        model is better than no row.
        """
        model_no = at if at is not None and known[at] is not None else 0
        while (outcome := known[model_no]) is not None and self.falls_back(model_no, outcome):
            model_no += 1
        if outcome in {None, UNMET, Outcome.SUCCEEDED}:
            return model_no
        return next((number for number in reversed(range(model_no)) if known[number] == UNMET), model_no)

    def falls_back(self, model_no: int, why: str) -> bool:
        """Whether the next model is asked when a request to this model ended so."""
        return model_no + 1 < len(self.models) and why in self.fallback_on

    def passes_on(self, model_no: int, cap: Cap) -> bool:
        """Whether the next model is asked where a cap has no room for a request to this model."""
        model = self.models[model_no].price.name
        return cap.model is not None and cap.concerns(model) and self.falls_back(model_no, BUDGET)

    def escalated(
        self,
        model_no: int,
        outcome: Outcome | None,
        output: Mapping[str, Any] | None,
        text: str | None,
        findings: Mapping[str, Any] | None = None,
    ) -> str | None:
        """Return why the next model is asked after this model's answer, or None if the answer is taken.

        The next model is not asked while there is no outcome. `text` and `findings` are what
        `AcceptanceRules.violation` takes.
        """
        if outcome is None or self.falls_back(model_no, outcome):
            return outcome
        if self.acceptance_rules is None or output is None or not self.falls_back(model_no, UNMET):
            return None
        return self.acceptance_rules.violation(output, text, findings)


class UnsuitedModel(UsageProblem):
    """A model of a job refuses what the job asks of the model."""

    def __init__(self, problems: Sequence[ModelProblem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def make_model_chain(
    model: "ModelSection",
    limits: "LimitsSection",
    prices: PriceTable,
    *,
    today: date,
    cascade: "CascadeSection | None" = None,
) -> ModelChain:
    """Put a job's models in order. Raises Refused for a model without a price, UnsuitedModel for what a model refuses.

    A fallback model is never a reason to refuse: it drops the parameters that it does not take. `limits` are the first
    model's, and those of all models that share them.
    """
    names = (model.name, *model.fallbacks)
    if repeated := next((name for at, name in enumerate(names) if name in names[:at]), None):
        raise UnsuitedModel([ModelProblem("fallbacks", f'"{repeated}" is there already, by another name')])
    first, *others = [prices.model(name) for name in names]
    wanted = [(model, first), *((suited(model, price), price) for price in others)]
    problems = model_problems(model, first, today=today)
    for section, price in wanted[1:]:
        problems += [one._replace(key="fallbacks") for one in model_problems(section, price, today=today)]
    if problems:
        raise UnsuitedModel(problems)
    own = _chain_model(model, first, effective_limits(limits, first.limits), prices.providers)
    rest = (
        _chain_model(section, price, published_limits(limits, price.limits), prices.providers)
        for section, price in wanted[1:]
    )
    models = (own, *(replace(one, limits=own.limits) if one.shares_limits(own) else one for one in rest))
    if cascade is None:
        return ModelChain(models, frozenset(model.fallback_on))
    rules = AcceptanceRules(cascade.null_in, cascade.evidence, cascade.documents_to_calibrate)
    return ModelChain(models, frozenset([*model.fallback_on, UNMET]), rules)


def _chain_model(model: "ModelSection", price: ModelPrice, limits: RateLimits, providers: Providers) -> ChainModel:
    name, there = providers.split(price.name)
    return ChainModel(
        price=price,
        limits=limits,
        effort=model.effort,
        thinking=model.thinking,
        provider=name,
        capabilities=capabilities_of(providers.section(name), row_name(there, providers.section(name))),
        provider_type=providers.identity(price.name),
    )
