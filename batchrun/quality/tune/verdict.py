"""Which setting a tune names; before, what a tune may cost, and whether its documents are enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batchrun.errors import Refused
from batchrun.estimation.interval import Interval
from batchrun.quality.tune.settings import Setting
from batchrun.quality.tune.standing import Standing
from batchrun.statistics.intervals import Z90, faultless_documents_needed, wilson
from batchrun.statistics.ladder import FIRST_LOOK, looks

LIES_BELOW = 0.05
"""How far below the target every setting that is cheaper than the chosen one lies in the expected cost of a tune."""
CORRELATION = 0.3
"""How far the errors of one document go together in the expected cost (the study simulates 0.15 to 0.4)."""


class State(StrEnum):
    """What became of a setting: a judgement of `statistics.ladder`, or why the setting has none."""

    DROPPED = "dropped"
    CHOSEN = "chosen"
    UNDECIDED = "undecided"
    GOES_ON = "goes on"
    """The tune has stopped, or has not come so far, that the setting is judged."""
    PROBED = "not judged"
    """A dearer setting than the chosen one, asked about a few documents for comparison."""
    STRONGEST = "strongest"
    """The setting that the others are compared with."""
    NOT_ASKED = "not asked"


class Ending(StrEnum):
    """What a tune found."""

    FOUND = "found"
    UNDECIDED = "undecided"
    NONE = "none"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting of the frontier."""

    setting: Setting
    state: State
    planned_nusd: float
    """The estimate of a document before anything was sent."""
    standing: Standing | None
    """None for a setting that was not asked."""
    own_route: str
    """How the job would send its documents: one of `routes`."""
    routes: Mapping[str, float]
    """The price of a route by its name, as a share of the price of streaming without the prompt cache."""

    def price_nusd(self, route: str | None = None) -> Interval:
        """Return the price of a document by a route, by the job's own if none is named; measured if it was measured."""
        if self.standing is None:
            planned = self.planned_nusd * self.routes[route or self.own_route] / self.routes[self.own_route]
            return Interval(planned, planned, planned)
        return self.standing.cost_nusd.times(self.routes[route or self.own_route])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a tune says in the end."""

    ending: Ending
    row: Row | None
    """The chosen setting; the one that more documents may prove; or the best one of those that miss the target."""
    more: int | None = None
    """How many further documents would probably prove the target for an undecided setting. None if none would."""


def verdict_of(rows: Sequence[Row], target: float, *, is_whole: bool = True) -> Verdict:
    """Name the cheapest setting that holds the target, of the rows from the cheapest setting to the dearest.

    `is_whole` says whether the climb came to its end.
    """
    if chosen := next((row for row in rows if row.state is State.CHOSEN), None):
        return Verdict(Ending.FOUND, chosen)
    if not is_whole:
        return Verdict(Ending.STOPPED, None)
    undecided = [(row, more_documents(row, target)) for row in rows if row.state is State.UNDECIDED]
    if undecided:
        return Verdict(Ending.UNDECIDED, *next((one for one in undecided if one[1]), undecided[0]))
    asked = [row for row in rows if row.standing and row.state is not State.STRONGEST]
    best = max(asked, key=lambda row: row.standing.accuracy.mean if row.standing else 0.0, default=None)
    return Verdict(Ending.NONE, best)


def more_documents(row: Row, target: float) -> int | None:
    """Say how many further documents would probably prove the target for a setting. Returns None if none would."""
    needed = row.standing.documents_needed(target) if row.standing else None
    return needed - row.standing.documents if needed and row.standing else None


def expected_nusd(prices: Sequence[float], documents: int, target: float, *, fields: int) -> float:
    """Say what a climb is expected to cost where the choice is the costliest one, from the prices of a document.

    Every setting that is cheaper than the chosen one is taken to lie `LIES_BELOW` below the target, and is dropped at
    the first look that shows this; the chosen one answers all documents, and dearer ones are probed.
    """
    trials = fields / (1 + (fields - 1) * CORRELATION)
    shares = ((count, wilson(max(target - LIES_BELOW, 0.0), count * trials).high) for count in looks(documents))
    dropped = next((count for count, high in shares if high < target), documents)
    costs = (
        dropped * sum(prices[:at]) + documents * price + FIRST_LOOK * sum(prices[at + 1 :])
        for at, price in enumerate(prices)
    )
    return max(costs, default=0.0)


def too_few(number: int, possible: int, target: float, *, labelled: bool) -> Refused | None:
    """Return why so few documents are not enough, or None if they are: without any error they prove the target."""
    needed = faultless_documents_needed(target)
    if number >= needed:
        return None
    what = "labelled documents" if labelled else "documents"
    provable = int(1000 * number / (number + Z90**2)) / 1000
    hints = [f"--documents {needed}" if possible >= needed else f"the job has {possible:,} {what} to send"]
    if provable:
        hints.append(f"a lower target, at most --target {provable:g}")
    if labelled:
        hints.append("compare with the strongest setting: --agreement")
    return Refused(
        f"{number:,} {what} cannot prove a target of {target}: without a single wrong field it takes {needed:,}."
        " Nothing was sent.",
        hint="; or ".join(hints),
    )
