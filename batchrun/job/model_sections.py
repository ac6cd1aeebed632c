"""The sections of the job file that name models: [model] and [cascade]."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator, model_validator
from pydantic_core import PydanticKnownError

from batchrun.job.field_types import Table
from batchrun.job.key_types import (
    Effort,
    FallbackReason,
    FieldNames,
    ModelName,
    ModelNames,
    Positive,
    Thinking,
    TierName,
    distinct,
)
from batchrun.job.value_errors import refusal

EscalationReason = Literal["invalid", "truncated", "refused", "outage", "budget"]
FEWEST_BUDGET_TOKENS = 1_024
"""The smallest `budget_tokens` that the API takes, in tokens."""


def _name_or_tier(name: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> str:
    """Take a name, or none where a tier stands for the name; a tier that is not in `info` has a problem of its own."""
    if name is None:
        if "tier" in info.data and info.data["tier"] is None:
            raise PydanticKnownError("missing")
        return ""
    checked = str(handler(name))
    if info.data.get("tier") is not None:
        raise refusal("give `name` or `tier`, not both", hint="the models of a tier are named in batchrun.toml")
    return checked


def _others(fallbacks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    if fallbacks and info.data.get("tier") is not None:
        hint = "write them in batchrun.toml, behind the tier's first model"
        raise refusal("a tier has its own fallbacks", hint=hint)
    if (name := info.data.get("name")) in fallbacks:
        raise refusal(f'"{name}" is the model itself', hint="name other models, in the order in which they are tried")
    return fallbacks


class ModelSection(Table):
    """[model]: which models answer, and how much they may write."""

    tier: TierName | None = None
    """A tier of batchrun.toml, instead of a name: its models are `name` and `fallbacks` of the loaded job."""
    name: Annotated[
        ModelName,
        WrapValidator(_name_or_tier),
        Field(default=None, validate_default=True, examples=['name = "claude-sonnet-5-5"` or `tier = "standard"']),
    ]
    """The model that answers; required unless there is a tier or a cascade."""
    fallbacks: Annotated[ModelNames, AfterValidator(_others)] = ()
    """The models that answer when the models before them did not, in this order."""
    fallback_on: Annotated[tuple[FallbackReason, ...], Field(strict=False, min_length=1), AfterValidator(distinct)] = (
        "outage",
        "refused",
        "truncated",
    )
    """What makes the next model answer: an outage, a refusal, or an answer that is cut off.

    With `budget`, the next model also answers where a cap of [budget.models] in batchrun.toml has no room for a model.
    """
    max_tokens: Annotated[Positive, Field(examples=["max_tokens = 1024"])]
    """The most tokens of one answer, thinking included."""
    effort: Effort | None = None
    """How much the model thinks and writes; the default is the model's own."""
    thinking: Thinking | None = None
    """Whether and how the model thinks, where the model takes the word; the default is the model's own."""
    budget_tokens: Annotated[int, Field(ge=FEWEST_BUDGET_TOKENS)] | None = None
    """The tokens that thinking may take of `max_tokens`, for the models that think only within a budget."""

    @model_validator(mode="after")
    def _budget_of_thinking(self) -> Self:
        if self.budget_tokens is None:
            if self.thinking == "enabled":
                hint = f"such as `budget_tokens = {FEWEST_BUDGET_TOKENS}`, below max_tokens"
                raise refusal("enabled thinking needs `budget_tokens`", key="thinking", hint=hint)
        elif self.thinking != "enabled":
            hint = 'write thinking = "enabled", or take this key out'
            raise refusal("only enabled thinking has a budget", key="budget_tokens", hint=hint)
        elif self.budget_tokens >= self.max_tokens:
            hint = "max_tokens covers the thinking and the answer: raise it, or lower budget_tokens"
            raise refusal(f"it is not below max_tokens = {self.max_tokens}", key="budget_tokens", hint=hint)
        return self


def _two_or_more(models: tuple[str, ...]) -> tuple[str, ...]:
    if len(models) < 2:
        raise refusal("a cascade has two models or more", hint="the cheapest first")
    return models


class CascadeSection(Table):
    """[cascade]: a cheap model first, and a costlier model for whatever the cheap model does not answer well enough."""

    models: Annotated[
        ModelNames, AfterValidator(_two_or_more), Field(examples=['models = ["claude-haiku-5-5", "claude-sonnet-5-5"]'])
    ]
    """The models in the order in which they are asked, the cheapest first."""
    escalate_on: Annotated[tuple[EscalationReason, ...], Field(strict=False), AfterValidator(distinct)] = (
        "invalid",
        "truncated",
    )
    """What makes the next model answer; `budget` is a cap of [budget.models] that has no room for a model."""
    null_in: FieldNames = ()
    """Output fields that must not be null; otherwise the next model is asked."""
    evidence: FieldNames = ()
    """Output fields whose text has to stand in the document, word for word."""
    accept: Literal["rules", "calibrated"] = "rules"
    """What decides which of the first model's answers are taken: the other keys alone, or a learned threshold too."""
    max_difference: Annotated[float, Field(ge=0.005, le=0.2)] = 0.02
    """The largest share of the answers that are taken from the first model that may differ from the second model's."""
    calibrate: Positive | None = None
    """The number of documents that both models are asked about; the default suits `max_difference`."""

    @property
    def documents_to_calibrate(self) -> int:
        """The number of documents that both models are asked about; 0 if no threshold is learned.

        600 at 2% and 300 at 5% found a threshold in most simulations of the study; between and beyond, a power law.
        """
        if self.accept == "rules":
            return 0
        return self.calibrate or 10 * round(60 * (0.02 / self.max_difference) ** 0.75)

    @model_validator(mode="after")
    def _fits_its_acceptance(self) -> Self:
        if self.accept == "rules":
            if unused := sorted({"max_difference", "calibrate"} & self.model_fields_set):
                hint = 'write accept = "calibrated", or take this key out'
                raise refusal('only accept = "calibrated" learns a threshold', key=unused[0], hint=hint)
        elif "budget" in self.escalate_on:
            hint = 'take "budget" out, or write accept = "rules"'
            raise refusal("a threshold is learned from documents that both models answer", key="escalate_on", hint=hint)
        elif len(self.models) > 2:
            hint = "name the cheap model and the model that it is held against"
            raise refusal("a threshold is learned between two models", key="models", hint=hint)
        return self
