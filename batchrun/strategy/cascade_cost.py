"""What a cascade costs: the first model answers everything, and each later model the share that it is asked about."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchrun.estimation.calibration import Z
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval, product, together
from batchrun.strategy.rate import Rate

ENOUGH = 20
"""The number of answers from which on the measured share counts, and not the guess."""
GUESS = Interval(0.20, 0.05, 0.50)
"""The share of answers that the next model is asked about, before any was seen: from published cascades."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one model's answers that the next model is asked about."""

    expected: Interval
    answers: int
    """The number of the job's own answers that the share was measured by. 0 if the share is a guess."""


@dataclass(frozen=True, slots=True)
class Step:
    """A later model of a cascade."""

    model: str
    share: Share
    """The share of the previous model's answers that this model is asked about."""
    cost_nusd: Interval
    """What this model's answers cost. They are streamed, whatever the route."""


@dataclass(frozen=True, slots=True)
class CascadeCost:
    """The cost of a cascade by the chosen route."""

    steps: tuple[Step, ...]
    total_nusd: Interval
    alone_nusd: Interval
    """The cost if the last model answered everything, by the same route."""

    @property
    def pays(self) -> bool:
        """Whether the cascade is expected to cost less than its last model alone.

        Two models pay when the share of the first model's answers that is accepted is above the ratio of their costs.
        """
        return self.total_nusd.mean < self.alone_nusd.mean


def share(passed: int, answers: int) -> Share:
    """Measure the share of answers that were passed on. Few answers give a guess."""
    return Share(Rate(passed, answers).interval, answers) if answers >= ENOUGH else Share(GUESS, 0)


def calibrating_share(calibrate: int, documents: int) -> Share:
    """Return the share of the documents that both models are asked about before a threshold is known.

    These are the documents to calibrate, and the guessed share of the others.
    """
    sure = min(calibrate / max(documents, 1), 1.0)
    guess = GUESS.times(1 - sure)
    return Share(Interval(sure + guess.mean, sure + guess.low, sure + guess.high), 0)


def reaching(shares: Sequence[Share], standing: Sequence[float], *, documents: int) -> list[Interval]:
    """Return the share of all documents that each model is asked about, from the first model on.

    `standing` has the share of documents that stand for each model's request now, before anything is sent. How many of
    the `documents` each model is asked about also differs by chance, even if the rate were known.
    """
    reach = [Interval(standing[0], standing[0], standing[0])]
    for one, there in zip(shares, standing[1:], strict=True):
        asked = product(reach[-1], one.expected)
        chance = Z * math.sqrt(asked.mean * (1 - asked.mean) / max(documents, 1))
        asked = together([asked, Interval(0.0, -chance, chance)])
        reach.append(Interval(there + asked.mean, there + asked.low, there + asked.high).capped(1.0))
    return reach


def cascaded(estimates: Sequence[Estimate], reach: Sequence[Interval]) -> Estimate:
    """Add up the models of a cascade. Each of the `estimates` is one model's for all documents."""
    pairs = list(zip(estimates, reach, strict=True))
    return replace(
        estimates[0],
        input=together([product(one.input, asked) for one, asked in pairs]),
        output=together([product(one.output, asked) for one, asked in pairs]),
        cost_nusd=together([product(one.cost_nusd, asked) for one, asked in pairs]),
    )
