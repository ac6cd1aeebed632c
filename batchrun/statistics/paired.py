"""Whether two runs over the same documents differ: tests for one gate and for many fields, and what they would find."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, stdev
from typing import Protocol

from batchrun.estimation.interval import Interval
from batchrun.statistics.intervals import Z_POWER, binomial_at_most, first_that_holds, t_quantile

FLIPS = 2_000


class RandomBits(Protocol):
    """What a test draws signs from: a `random.Random` is one, seeded so that a command says the same again."""

    def getrandbits(self, k: int, /) -> int:
        """Draw `k` random bits as one number."""
        ...


@dataclass(frozen=True, slots=True)
class SignFlip:
    """The mean difference of a document, and how often chance alone makes it so low (worse) or so high (better)."""

    mean: float
    worse_p: float
    better_p: float


def sign_flip(differences: Sequence[int], random: RandomBits) -> SignFlip:
    """Test by document whether a run is worse or better than another: one difference for every document.

    A difference is the number of fields that a document has right now, less those it had right before. If nothing has
    changed, the sign of each difference is a coin; `FLIPS` times all coins are thrown (Fisher 1935). Both p values are
    one-sided and include the observed throw itself, so that neither is ever 0.
    """
    observed = sum(differences)
    sizes = Counter(abs(difference) for difference in differences if difference)
    thrown = [_throw(sizes, random) for _ in range(FLIPS)]
    lower, higher = (sum(total <= observed for total in thrown), sum(total >= observed for total in thrown))
    mean = observed / max(len(differences), 1)
    return SignFlip(mean, (1 + lower) / (1 + FLIPS), (1 + higher) / (1 + FLIPS))


def _throw(sizes: Mapping[int, int], random: RandomBits) -> int:
    """Sum the differences under random signs; differences of one size are thrown at once, a bit for each."""
    return sum(size * (2 * random.getrandbits(count).bit_count() - count) for size, count in sizes.items())


def mcnemar_mid_p(worse: int, better: int) -> float:
    """Test one field: how probable are at least `worse` changes for the worse among `worse + better` by chance alone.

    The p value is one-sided and a mid-p: the observed number itself counts half (Fagerland and others 2013), because
    the exact test is too seldom significant. The p value is 1 if nothing has changed.
    """
    changed = worse + better
    if not changed:
        return 1.0
    return (binomial_at_most(better, changed, 0.5) + binomial_at_most(better - 1, changed, 0.5)) / 2


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust the p values of several tests for their number (Holm 1979); the order of the tests is kept."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    raised = (min(1.0, p_values[name] * (len(ordered) - place)) for place, name in enumerate(ordered))
    adjusted = dict(zip(ordered, accumulate(raised, max), strict=True))
    return {name: adjusted[name] for name in p_values}


def mean_difference(differences: Sequence[float]) -> Interval:
    """Give the mean difference of a document, with its 90% interval by Student's t.

    The bounds are infinite for a single document, and for none, whose mean is 0.
    """
    n = len(differences)
    if n < 2:
        return Interval(sum(differences), -math.inf, math.inf)
    mean = fmean(differences)
    half = t_quantile(n - 1, 0.95) * stdev(differences) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def detectable_difference(documents: int, churn: float, *, fields: int = 1, icc: float = 0.0) -> float:
    """Say which difference in accuracy is found 9 times in 10 where false alarms are 1 in 10 (one-sided).

    `churn` is the share of fields that become worse and, as many again, better without any difference in accuracy.
    Errors in the `fields` fields of a document have the intraclass correlation `icc`. The difference is 1, which says
    that nothing smaller is found, if there are too few documents.
    """
    trials = documents * fields / (1 + (fields - 1) * icc)
    return first_that_holds(lambda difference: _trials_needed(difference, churn) <= trials, 0.0, 1.0)


def _trials_needed(difference: float, churn: float) -> float:
    """How many pairs find a difference of two shares by a paired test (Connor 1987)."""
    changed = min(difference + 2 * churn, 1.0)
    reach = Z_POWER * (math.sqrt(changed) + math.sqrt(changed - difference**2))
    return (reach / difference) ** 2
