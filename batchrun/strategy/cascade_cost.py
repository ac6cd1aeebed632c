"""What a cascade costs: the first model for everything, and each later one for the share that it is asked about."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchrun.estimation.calibration import Z
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval, together

ENOUGH = 20
"""Answers from which on the measured share counts, and not the guess."""
GUESS = Interval(0.20, 0.05, 0.50)
"""How many answers the next model is asked about, before any was seen: as published cascades have it, and as unsure."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of one model's answers the next one is asked about."""

    expected: Interval
    answers: int
    """The job's own that it was measured by; 0: it is a guess."""


@dataclass(frozen=True, slots=True)
class Step:
    """A later model of a cascade."""

    model: str
    share: Share
    """Of the answers of the model before it."""
    cost_nusd: Interval
    """Of what it is asked; it is streamed, whatever the route."""


@dataclass(frozen=True, slots=True)
class CascadeCost:
    """What a plan says of a cascade, by the chosen route."""

    steps: tuple[Step, ...]
    total_nusd: Interval
    alone_nusd: Interval
    """If the last model answered everything, by the same route."""

    @property
    def pays(self) -> bool:
        """Whether it is expected to cost less than its last model alone.

        For two models that is when the first one's accepted share is above the ratio of their costs.
        """
        return self.total_nusd.mean < self.alone_nusd.mean


def share(passed: int, answers: int) -> Share:
    """The share that follows from so many passed on of so many answers, with Wilson's interval; a guess for few."""
    if answers < ENOUGH:
        return Share(GUESS, 0)
    rate, weight = passed / answers, Z**2 / answers
    centre = (rate + weight / 2) / (1 + weight)
    half = Z * math.sqrt(rate * (1 - rate) / answers + weight / (4 * answers)) / (1 + weight)
    return Share(Interval(rate, max(centre - half, 0.0), min(centre + half, 1.0)), answers)


def reaching(shares: Sequence[Share], standing: Sequence[float], *, documents: int) -> list[Interval]:
    """The share of all documents that each model is asked about, from the first on.

    `standing`: the share of them that stand for each model's request now, before anything is sent. How many of the
    `documents` it will be differs by chance too, even if the rate were known.
    """
    reach = [Interval(standing[0], standing[0], standing[0])]
    for one, there in zip(shares, standing[1:], strict=True):
        asked = product(reach[-1], one.expected)
        chance = Z * math.sqrt(asked.mean * (1 - asked.mean) / max(documents, 1))
        asked = together([asked, Interval(0.0, -chance, chance)])
        reach.append(Interval(there + asked.mean, there + asked.low, there + asked.high).capped(1.0))
    return reach


def cascaded(estimates: Sequence[Estimate], reach: Sequence[Interval]) -> Estimate:
    """Everything together; `estimates` are those of each model for all documents."""
    pairs = list(zip(estimates, reach, strict=True))
    return replace(
        estimates[0],
        input=together([product(one.input, asked) for one, asked in pairs]),
        output=together([product(one.output, asked) for one, asked in pairs]),
        cost_nusd=together([product(one.cost_nusd, asked) for one, asked in pairs]),
    )


def product(one: Interval, other: Interval) -> Interval:
    """Multiply what errs independently, to the first order."""
    below, above = (other.mean - other.low) * one.mean, (other.high - other.mean) * one.mean
    return together([one.times(other.mean), Interval(0.0, -below, above)])
