"""What the requests cost that merge the answers over the parts of long documents, before the answers are known."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from batchrun.estimation.estimate import Estimate, Estimator, RequestTokens
from batchrun.estimation.estimate_sum import EstimateSum
from batchrun.estimation.interval import Interval
from batchrun.estimation.text_class import TextClass


def with_merging(own: Estimate, merging: Sequence[int], estimator: Estimator, *, most: int) -> Estimate:
    """Add requests that merge answers, each by the number of its answers. No reply has more than `most` tokens."""
    numbers = Counter(merging).items()
    return reduce(
        Estimate.plus, (_merging_estimate(estimator, parts, requests, most) for parts, requests in numbers), own
    )


def merged_reply(reply: Interval, parts: int, *, most: int) -> Interval:
    """Guess the length of a reply that merges others: from a single one, as with a title, to all, as with lists."""
    mean = reply.mean * (1 + parts) / 2
    return Interval(min(mean, most), min(reply.low, most), min(reply.high * parts, most))


def _merging_estimate(estimator: Estimator, parts: int, requests: int, most: int) -> Estimate:
    """Estimate some requests that merge the answers for so many parts each."""
    total = EstimateSum(replace(estimator, output=merged_reply(estimator.output, parts, most=most)))
    answers = round(parts * estimator.output.mean / estimator.factor(TextClass.CODE))
    for _ in range(requests):
        total.add(RequestTokens(answers, TextClass.CODE))
    return total.estimate()
