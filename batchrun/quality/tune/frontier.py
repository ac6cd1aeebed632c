"""The frontier of a tune as the ledger keeps it: what each setting costs, and how often its answers are right."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.estimation.interval import Interval


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One setting of a tune."""

    setting: str
    """The setting in words."""
    state: str
    """What became of the setting: one of `verdict.State`."""
    documents: int
    """How many documents were compared; 0 for a setting that was not asked."""
    accuracy: Interval | None
    """The share of right fields, at 90%. None for a setting that was not asked."""
    cost_nusd: Interval
    """The price of a document on the job's own route, in nano-USD, at 90%."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """What a tune has found."""

    target: float
    by_agreement: bool
    """Whether answers were held against those of the strongest setting, and not against gold labels alone."""
    ending: str
    """One of `verdict.Ending`."""
    chosen: str | None
    """The setting that the verdict names, in words. None if it names none."""
    points: Sequence[FrontierPoint]
    """The cheapest setting first, by the plan's price."""
