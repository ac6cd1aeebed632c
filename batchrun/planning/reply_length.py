"""How long the replies of a job are: guessed from the schema, corrected by those it has had."""

import math
from dataclasses import dataclass

from batchrun.planning.calibration import Z
from batchrun.planning.interval import Interval

SPREAD, SPREAD_WEIGHT = 0.5, 3.0
"""How far single replies differ, as a share of their mean, before any was seen; the weight is in replies."""


@dataclass(frozen=True, slots=True)
class Replies:
    """The replies that a job has had; lengths in tokens."""

    number: int
    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class ReplyLength:
    """Tokens of a reply."""

    average: Interval
    """Over the job."""
    scatter: float
    """Standard deviation of one reply around the average; 0 while it is only guessed."""


def reply_length(prior: Interval, replies: Replies | None) -> ReplyLength:
    """Weigh the guess against the replies, each by how certain it is."""
    if replies is None or not replies.number:
        return ReplyLength(prior, 0.0)
    weight = replies.number + SPREAD_WEIGHT
    variance = (replies.number * replies.variance + SPREAD_WEIGHT * (SPREAD * replies.mean) ** 2) / weight
    seen = replies.number / max(variance, 1e-9)
    guessed = (2 * Z / max(prior.high - prior.low, 1e-9)) ** 2
    mean = (seen * replies.mean + guessed * prior.mean) / (seen + guessed)
    half = Z * math.sqrt(1 / (seen + guessed)) * (1 + (Z**2 + 1) / (4 * weight))  # Student's, to the first order
    return ReplyLength(Interval(mean, max(mean - half, 0.0), mean + half), math.sqrt(variance))
