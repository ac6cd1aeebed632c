"""Plans and summaries that show themselves, in a console and in a notebook."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from batchrun.catalog.money import dollars
from batchrun.errors import BatchrunError
from batchrun.escaping import escape_control
from batchrun.report.charts.card import table
from batchrun.strategy import plan as strategy
from batchrun.workflow import summary as workflow

T = TypeVar("T")
Facts = Sequence[tuple[str, str]]


def shown_as(kind: type[T], value: Any, **more: object) -> T:
    """Make a value of a class of this module from a value of the class above."""
    return kind(**{field.name: getattr(value, field.name) for field in fields(value)}, **more)


class Shown(ABC):
    """What shows itself: a line for each fact when it is printed, and a row for each fact in a notebook."""

    __slots__ = ()

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """Names, each with what is to be said of it."""

    def __str__(self) -> str:
        return "\n".join(f"{name:<10} {escape_control(words)}" for name, words in self.facts)

    def __repr__(self) -> str:
        return f"<{'; '.join(f'{name} {escape_control(words)}' for name, words in self.facts)}>"

    def _repr_html_(self) -> str:
        first, *rest = self.facts
        return table(" ".join(first), first, rest)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(Shown, strategy.Plan):
    """What a submit would do, and why it would not be done."""

    refused: BatchrunError | None = None
    """What a submit would say instead of sending anything; None if the submit would send."""
    simulated: bool = False

    @property
    def cost_usd(self) -> float:
        """What is expected to be paid, in US dollars; `estimate.cost_nusd` has the bounds, in nano-USD."""
        return self.estimate.cost_nusd.mean / 1e9

    @property
    def facts(self) -> Facts:
        """What is shown of the plan."""
        cost = self.estimate.cost_nusd
        facts = [
            ("plan", f"{self.job}{' (simulated)' if self.simulated else ''}"),
            ("documents", f"{self.to_send:,} to send of {self.documents:,}"),
            ("model", self.model),
            ("cost", f"{dollars(cost.mean)} ({dollars(cost.low)} to {dollars(cost.high)}) of {dollars(self.cap_nusd)}"),
            ("route", f"{self.chosen.name}, about {self.chosen.seconds:,.0f} s"),
        ]
        return [*facts, (self.refused.word, str(self.refused))] if self.refused else facts


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Summary(Shown, workflow.Summary):
    """How a run went."""

    @property
    def cost_usd(self) -> float:
        """What all answers of the run have cost, in US dollars."""
        return self.totals.cost_nusd / 1e9 if self.totals else 0.0

    @property
    def facts(self) -> Facts:
        """What is shown of the summary."""
        totals = self.totals
        run = f"{totals.run_id} of {self.job}" if totals else f"{self.job}: nothing to send"
        facts = [
            ("run", f"{run}{' (simulated)' if self.simulated else ''}"),
            ("documents", ", ".join(f"{count:,} {outcome or 'pending'}" for outcome, count in self.outcomes.items())),
            ("time", f"{self.seconds:,.1f} s"),
            ("exit code", f"{int(self.exit_code)} ({self.exit_code.name.lower().replace('_', ' ')})"),
        ]
        if totals:
            facts.insert(2, ("cost", f"{dollars(totals.cost_nusd)} of {dollars(totals.cap_nusd)}"))
        problems = [("rows", str(self.unpublished))] if self.unpublished else []
        return [*facts, *problems, *([(self.halted.word, str(self.halted))] if self.halted else [])]
