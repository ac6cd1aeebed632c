"""What a cascade costs: the first model for all documents, and each later model for its share of the documents."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchrun.estimation.calibration import Z
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval, together

ENOUGH = 20
"""The number of answers from which on the measured share replaces the guess."""
GUESS = Interval(0.20, 0.05, 0.50)
"""The share of answers that escalate, before any was seen: about that of published cascades, and as uncertain."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one model's answers that the next model is asked about."""

    expected: Interval
    answers: int
    """How many answers of the job the share was measured by; 0 if the share is a guess."""


@dataclass(frozen=True, slots=True)
class Step:
    """A later model of a cascade."""

    model: str
    share: Share
    """The share of the answers of the model before."""
    cost_nusd: Interval
    """The cost of its requests, which are streamed whatever the route is."""


@dataclass(frozen=True, slots=True)
class CascadeCost:
    """The cost of a cascade by the chosen route."""

    steps: tuple[Step, ...]
    total_nusd: Interval
    alone_nusd: Interval
    """The cost if the last model answered all documents, by the same route."""

    @property
    def pays(self) -> bool:
        """Whether the cascade is expected to cost less than its last model alone.

        A cascade of two models pays when the share of accepted answers is above the ratio of the two costs.
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
    """Return the share of all documents that each model is asked about, from the first model on.

    `standing` has the shares of the documents that stand for each model's request now, before anything is sent. The
    intervals are wider than those of the rates, because the number of `documents` that escalate varies by chance.
    """
    reach = [Interval(standing[0], standing[0], standing[0])]
    for one, there in zip(shares, standing[1:], strict=True):
        asked = product(reach[-1], one.expected)
        chance = Z * math.sqrt(asked.mean * (1 - asked.mean) / max(documents, 1))
        asked = together([asked, Interval(0.0, -chance, chance)])
        reach.append(Interval(there + asked.mean, there + asked.low, there + asked.high).capped(1.0))
    return reach


def cascaded(estimates: Sequence[Estimate], reach: Sequence[Interval]) -> Estimate:
    """Add up the estimates of a cascade; `estimates` are those of each model for all documents."""
    pairs = list(zip(estimates, reach, strict=True))
    return replace(
        estimates[0],
        input=together([product(one.input, asked) for one, asked in pairs]),
        output=together([product(one.output, asked) for one, asked in pairs]),
        cost_nusd=together([product(one.cost_nusd, asked) for one, asked in pairs]),
    )


def product(one: Interval, other: Interval) -> Interval:
    """Multiply two intervals whose errors are independent, to the first order."""
    below, above = (other.mean - other.low) * one.mean, (other.high - other.mean) * one.mean
    return together([one.times(other.mean), Interval(0.0, -below, above)])
