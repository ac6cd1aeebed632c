"""How long the replies of a job are: guessed from the schema, and corrected by the replies so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from batchrun.estimation.calibration import Z
from batchrun.estimation.interval import Interval, together

SPREAD, SPREAD_WEIGHT = 0.7, 3.0
"""How far single replies differ before any was seen, as a share of their mean; the weight is a number of replies."""

GUESS_ABOVE = 1.3
"""The factor that widens the upper half of a guess from the schema: of 151 bills of an independent stand-in that were
estimated without a past, 11 were above the upper bound, and none was below the lower."""


@dataclass(frozen=True, slots=True)
class Replies:
    """The lengths of the replies that a job has had, in tokens."""

    number: int
    mean: float
    variance: float
    skewness: float

    @classmethod
    def of(cls, lengths: Sequence[int]) -> "Replies | None":
        """Sum lengths up. Returns None without lengths."""
        if not lengths:
            return None
        mean = fmean(lengths)
        variance = math.fsum((length - mean) ** 2 for length in lengths) / max(len(lengths) - 1, 1)
        thirds = math.fsum((length - mean) ** 3 for length in lengths) / len(lengths)
        return cls(len(lengths), mean, variance, thirds / variance**1.5 if variance else 0.0)


@dataclass(frozen=True, slots=True)
class ReplyLength:
    """The tokens of a job's replies."""

    average: Interval
    """The average over the job."""
    scatter: float
    """The standard deviation of one reply around the average."""
    most: float = math.inf
    """The longest reply that the request allows, its `max_tokens`."""


def reply_length(prior: Interval, replies: Replies | None, *, most: float = math.inf) -> ReplyLength:
    """Weigh the guess against the replies, each by its certainty; no reply is longer than `most`."""
    if replies is None or not replies.number:
        above = GUESS_ABOVE * (prior.high - prior.mean)
        return ReplyLength(Interval(prior.mean, prior.low, prior.mean + above).capped(most), SPREAD * prior.mean, most)
    weight = replies.number + SPREAD_WEIGHT
    variance = (replies.number * replies.variance + SPREAD_WEIGHT * (SPREAD * replies.mean) ** 2) / weight
    seen = replies.number / max(variance, 1e-9)
    # A guess that `max_tokens` cut off has no width, but is no more certain than others.
    guessed = (2 * Z / max(prior.high - prior.low, SPREAD * prior.mean, 1e-9)) ** 2
    mean = (seen * replies.mean + guessed * prior.mean) / (seen + guessed)
    error = math.sqrt(1 / (seen + guessed))
    half = error * (Z + Z * (Z**2 + 1) / (4 * weight))  # Student's, to the first order
    # Few long replies among many short ones: the mean of a sample is more often too low than too high (Johnson 1978).
    long = error * max(replies.skewness, 0.0) / (6 * math.sqrt(replies.number)) * (1 + 2 * Z**2)
    average = Interval(mean, max(mean - half, 0.0), mean + half + long)
    return ReplyLength(average.capped(most), math.sqrt(variance), most)


def one_reply(average: Interval) -> Interval:
    """Widen a guess of the average length to the bounds of a single reply."""
    half = Z * SPREAD * average.mean
    return together([average, Interval(0.0, -half, half)])


def cut_share(reply: Interval, *, most: float, cut: int = 0, replies: int = 0) -> float:
    """Estimate the share of replies that are not complete within `most` tokens.

    `reply` bounds a single reply that nothing cuts off. `cut` of the job's earlier `replies` were cut off; the guess
    counts as one more of them.
    """
    side = reply.high - reply.mean if most > reply.mean else reply.mean - reply.low
    guessed = 0.5 * math.erfc((most - reply.mean) * Z / (side * math.sqrt(2)))
    return (cut + guessed) / (replies + 1)
