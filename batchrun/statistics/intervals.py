"""How sure a measured share is: intervals at 90%, so that each bound alone holds at 95%.

`wilson` and `ratio_interval` are for showing and comparing; `clopper_pearson_upper` is for promises, because the bound
of Clopper and Pearson (1934) never holds less often than it says. All are closed forms or bisections: nothing is drawn.
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

from batchrun.estimation.interval import CONFIDENCE, Interval

NORMAL = NormalDist()
"""The standard normal distribution."""

Z90 = NORMAL.inv_cdf((1 + CONFIDENCE) / 2)
"""The normal quantile of a two-sided interval at 90%: 1.645. Each of the two bounds holds at 95%."""

Z_POWER = NORMAL.inv_cdf(0.9)
"""The normal quantile of 90%: 1.28. A number of documents that is planned with `Z_POWER` suffices 9 times in 10."""

UNKNOWN = Interval(0.0, 0.0, 1.0)
"""The interval of a share of nothing: the share may be anything from 0 to 1."""


def wilson(share: float, n: float, z: float = Z90) -> Interval:
    """Give the score interval of Wilson (1927) for a share that was seen in `n` independent trials.

    `n` may be a fraction: an effective number of trials. The interval is `UNKNOWN` if there was no trial.
    """
    if n <= 0:
        return UNKNOWN
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2) / scale
    return Interval(share, min(share, max(centre - half, 0.0)), max(share, min(centre + half, 1.0)))


def ratio_interval(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """Give the interval of the ratio sum(numerators) / sum(denominators), with one of each for every document.

    The ratio is any share that is summed over documents: accuracy (right / asked), or F1 (2 TP / (gold + given)).
    Errors of one document may depend on each other, documents may not. The variance is that of a ratio of sums over
    clusters (Cochran 1977, section 6.3); an effective number of trials takes it into Wilson's interval, with a quantile
    of t for the number of documents in which an error was seen. The lower bound holds less often, in 84 to 91% of
    samples of 50 to 200 documents, where a rare document (1 of 50) is wrong in every field: the sample may hold none.

    The interval is `UNKNOWN` if the denominators sum to 0.

    Raises ValueError if the two sequences differ in length.
    """
    pairs = list(zip(numerators, denominators, strict=True))
    whole = math.fsum(denominators)
    if whole <= 0:
        return UNKNOWN
    share = min(max(math.fsum(numerators) / whole, 0.0), 1.0)
    faulty = sum(right < asked for right, asked in pairs)
    z = t_quantile(max(2, faulty), 0.95) if faulty else Z90
    return wilson(share, _effective_trials(pairs, share, whole), z)


def effective_trials(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Say how many independent trials tell as much as these documents do, by the variance between the documents.

    Raises ValueError if the two sequences differ in length. The denominators must not sum to 0.
    """
    pairs, whole = list(zip(numerators, denominators, strict=True)), math.fsum(denominators)
    return _effective_trials(pairs, min(max(math.fsum(numerators) / whole, 0.0), 1.0), whole)


def _effective_trials(pairs: Sequence[tuple[float, float]], share: float, whole: float) -> float:
    """How many independent trials would have had the variance of `share` that is seen between documents."""
    squares = math.fsum((right - share * asked) ** 2 for right, asked in pairs)
    spread = share * (1 - share)
    if len(pairs) < 2 or spread == 0 or squares < 1e-12 * whole:
        return whole**2 / math.fsum(asked**2 for _, asked in pairs)
    variance = len(pairs) / (len(pairs) - 1) * squares / whole**2
    return min(spread / variance, whole)


def t_quantile(df: int, p: float) -> float:
    """Give the quantile of Student's t by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5).

    The quantile at 95% is within 0.3% from two degrees of freedom on, and within 0.01% from six on.
    """
    z = NORMAL.inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + math.fsum(term / math.pow(df, power) for power, term in enumerate(terms, start=1))


def chi_square_quantile(df: int, p: float) -> float:
    """Give the quantile of chi-square by the approximation of Wilson and Hilferty (1931): 6.59 for 6.63 at df = 1."""
    ninth = 2 / (9 * df)
    return df * max(1 - ninth + NORMAL.inv_cdf(p) * math.sqrt(ninth), 0.0) ** 3


def clopper_pearson_upper(errors: int, n: int, confidence: float = 0.95) -> float:
    """Give the exact upper bound of the share of errors where `errors` were found in `n` independent trials.

    The bound is the share at which so few errors have the probability 1 - `confidence`. It is 1 if there was no trial.
    """
    if errors >= n:
        return 1.0
    return first_that_holds(lambda share: binomial_at_most(errors, n, share) <= 1 - confidence, errors / n, 1.0)


def binomial_at_most(successes: int, n: int, share: float) -> float:
    """Give the probability of at most so many successes in `n` independent trials; `share` lies between 0 and 1."""
    if successes < 0 or successes >= n or share <= 0 or share >= 1:
        return float(successes >= n or (successes >= 0 and share <= 0))
    if successes > n * share:  # the smaller tail is summed: its terms fall, and none overflows
        return 1 - binomial_at_most(n - successes - 1, n, 1 - share)
    ways = math.lgamma(n + 1) - math.lgamma(successes + 1) - math.lgamma(n - successes + 1)
    total = term = math.exp(ways + successes * math.log(share) + (n - successes) * math.log1p(-share))
    for count in range(successes, 0, -1):
        term *= count * (1 - share) / ((n - count + 1) * share)
        total += term
        if term <= total * 1e-17:
            break
    return total


def first_that_holds(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Find the smallest number for which `holds` is true, by bisection: `holds` is false below it and true above it.

    The number is `high` if `holds` is true for none below.
    """
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def faultless_documents_needed(target: float) -> int:
    """Say how many documents without any error it takes for Wilson's lower bound to reach the target, which is below 1.

    Fewer documents cannot prove the target, whatever is found on them. The number is z^2 T / (1 - T): 52 documents for
    a target of 0.95, and 133 for 0.98.
    """
    return math.ceil(Z90**2 * target / (1 - target))


def effective_needed(target: float, share: float) -> int | None:
    """Say how many independent trials let the lower bound pass the target 9 times in 10 where `share` is the truth.

    Returns None if the share does not lie above the target: no number of trials would prove it.
    """
    if share <= target:
        return None
    reach = Z90 * math.sqrt(target * (1 - target)) + Z_POWER * math.sqrt(share * (1 - share))
    return math.ceil((reach / (share - target)) ** 2)
