"""The turns that mend answers and continue lists: how often a job's past had any, and what they will cost."""

import math
from dataclasses import dataclass, replace

from batchrun.catalog.price import ModelPrice
from batchrun.estimation.calibration import Z
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval


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
