"""The turns beyond those that are certain: how often a job's past had any, and what they will cost.

Such turns mend answers and continue lists, or are votes that are asked where the votes before them differ.
"""

import math
from dataclasses import dataclass, replace

from batchrun.catalog.price import ModelPrice
from batchrun.estimation.calibration import Z
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval, product


@dataclass(frozen=True, slots=True)
class PastTurns:
    """The latest replies of a job, and those of them that came in a further turn."""

    answers: int
    """How many answers were begun."""
    turns: int
    """How many further turns mended or continued them."""
    input_tokens: float
    """The prompt of a further turn, on average."""
    output_tokens: float
    """The reply of a further turn, on average."""


@dataclass(frozen=True, slots=True)
class PastVotes:
    """The votes of a job's latest answers."""

    answers: int = 0
    votes: int = 0
    """How many votes these answers took together."""


def votes_each(past: PastVotes, *, least: int, most: int, documents: int) -> Interval:
    """Estimate how many votes each of some documents takes on average, between `least` and `most`.

    Two answers are added to the past, one with the least votes and one with the most. Without a past they decide. The
    variance is the largest that numbers between two bounds have around a mean (Bhatia and Davis, 2000).
    """
    answers = past.answers + 2
    mean = (past.votes + least + most) / answers
    variance = (mean - least) * (most - mean)
    half = Z * math.sqrt(variance * (1 / answers + 1 / max(1, documents)))
    bounds = (min(max(votes, least), most) for votes in (mean, mean - half, mean + half))
    return Interval(*bounds)


def further_votes(each: Interval, own: Estimate, *, least: int, turns: int) -> Estimate:
    """Estimate the votes of documents beyond the `least` votes, when each document takes so many on average.

    `own` estimates what is certain to be asked, and `turns` counts the requests of one vote.
    """
    further = Interval(*(own.documents * turns * (votes - least) for votes in (each.mean, each.low, each.high)))
    share = further.times(1 / max(1, own.requests))
    return replace(
        own,
        documents=0,
        further_requests=round(further.mean),
        input=product(own.input, share),
        output=product(own.output, share),
        cost_nusd=product(own.cost_nusd, share),
    )


def further_turns(past: PastTurns, own: Estimate, price: ModelPrice) -> Estimate:
    """Estimate the further turns of requests as often as the past had them.

    The number of turns is uncertain like a rate that was seen in so many answers, and like the draws that are to come.
    """
    rate = past.turns / past.answers
    mean, requests = rate * own.requests, float(own.requests)
    half = Z * math.sqrt(rate * requests * (1 + requests / past.answers))
    turns = Interval(mean, max(0.0, mean - half), mean + half)
    rates = price.rates_for(past.input_tokens)
    each_nusd = (past.input_tokens * rates.input + past.output_tokens * rates.output) / price.divisor
    return replace(
        own,
        documents=0,
        further_requests=0,
        input=turns.times(past.input_tokens),
        output=turns.times(past.output_tokens),
        cost_nusd=turns.times(each_nusd),
    )
