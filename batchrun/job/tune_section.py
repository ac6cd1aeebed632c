"""The section [tune] of the job file: the settings that `tune` tries, and what a setting has to hold."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from batchrun.job.field_types import Table
from batchrun.job.key_types import Effort, ModelNames, Positive, Text, Thinking, distinct
from batchrun.job.units import NanoDollars
from batchrun.job.value_errors import refusal

MOST_SETTINGS = 64
"""How many settings one tune may try: each of them is planned before anything is sent."""
MOST_DOCUMENTS = 100_000
TUNED = "@tune"
"""Ends the name under which a tune's runs stand in the ledger. No job file can give a job such a name."""


class TuneSection(Table):
    """[tune]: a grid of settings. A key that is left out keeps what the job itself has."""

    models: Annotated[ModelNames, Field(min_length=1)] | None = None
    """The models to try."""
    efforts: Annotated[tuple[Effort, ...], Field(strict=False, min_length=1), AfterValidator(distinct)] | None = None
    """The efforts to try."""
    thinking: Annotated[tuple[Thinking, ...], Field(strict=False, min_length=1), AfterValidator(distinct)] | None = None
    """The ways of thinking to try."""
    prompts: Annotated[tuple[Text, ...], Field(strict=False, min_length=1), AfterValidator(distinct)] | None = None
    """Files of user prompts, each instead of the job's own user prompt."""
    target: Annotated[float, Field(gt=0, lt=1)] = 0.98
    """The share of right fields that the chosen setting must hold with its lower bound."""
    documents: Annotated[Positive, Field(le=MOST_DOCUMENTS)] = 200
    """The number of documents on which each setting is tried."""
    max_cost_nusd: Annotated[NanoDollars | None, Field(alias="max_cost_usd")] = None
    """The most that a tune may cost; the default is what the [budget] of the job file allows a run."""

    @model_validator(mode="after")
    def _few_settings(self) -> Self:
        settings = 1
        for values in (self.models, self.efforts, self.thinking, self.prompts):
            settings *= len(values or ("the job's own",))
        if settings > MOST_SETTINGS:
            raise refusal(
                f"{settings} settings, and a tune may try {MOST_SETTINGS}",
                hint="leave out some of the values",
            )
        return self


def is_tuned(job: str) -> bool:
    """Whether runs under this name are those of a tune."""
    return job.endswith(TUNED)
