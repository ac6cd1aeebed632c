"""Which documents of a large job are counted, and how many tokens the other documents are guessed to have.

The sizes of all documents are known. The documents to count are drawn with a probability in proportion to their size,
evenly over the documents sorted by class and size: so the sample has a share of every class and size, and all of the
largest documents. The tokens of the other documents follow from their bytes and the sample's ratio of tokens to bytes,
weighed by the chances of being drawn (Horvitz and Thompson).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from statistics import fmean

from batchrun.estimation.text_class import TextClass

COUNTED_AT_ONCE = 8_000_000
"""How many bytes of documents, in the order of the source, are counted before others are sampled: about a second."""
MOST_SAMPLED, LEAST_SAMPLED, SAMPLED_BYTES = 1_000, 60, 16_000_000
EVENLY_AT_ONCE = 1_000
UNKNOWN_RATIO, UNKNOWN_SPREAD = 0.25, 0.3
"""The cl100k tokens per byte of a class without a counted document, and how far they may be off, as a share."""


@dataclass(frozen=True, slots=True)
class DocumentSize:
    """The size of the text that a document brings to its request."""

    bytes: int
    """The bytes of the text in UTF-8."""
    text_class: TextClass


@dataclass(frozen=True, slots=True)
class Counted:
    """A counted document of the sample."""

    size: DocumentSize
    counted: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """The cl100k tokens per byte of the documents of one class that were not drawn."""

    mean: float
    error: float
    """The standard error of the mean."""


def step_bytes(count: int, total: int, squares: float) -> float:
    """Find how far apart to draw documents, in bytes of all documents that were not counted.

    `total` and `squares` add up their sizes in bytes, and the squares of these sizes.
    """
    if not total:
        return 1.0
    drawn_size = squares / total  # the expected size of a document that is drawn in proportion to its size
    wanted = min(count, MOST_SAMPLED, max(LEAST_SAMPLED, int(SAMPLED_BYTES / drawn_size)))
    return max(total / wanted, 1.0)


def evenly(sizes: Iterable[tuple[int, int]], step: float) -> Iterator[int]:
    """Draw from documents, given as number and size and sorted by class and size. Yields the numbers.

    One document is drawn at each step, and every document that is larger than a step.
    """
    at, following, rest = 0.0, step / 2, iter(sizes)
    while some := list(islice(rest, EVENLY_AT_ONCE)):
        ends = list(accumulate((size for _, size in some), initial=at))
        at = ends[-1]
        while following < at:
            place = bisect_right(ends, following)
            yield some[place - 1][0]
            following += step * math.ceil((ends[place] - following) / step)


def ratios(sample: Sequence[Counted], step: float) -> Mapping[TextClass, Ratio]:
    """Find for every class the tokens per byte of the documents that were not drawn.

    These documents are smaller than those of the sample. So a document of the sample counts by how likely documents of
    its size were not drawn: documents as large as a step are all drawn, and stand for no others.
    """
    found: dict[TextClass, list[tuple[float, float]]] = {kind: [] for kind in TextClass}
    for one in sample:
        if one.size.bytes:
            found[one.size.text_class].append((one.counted / one.size.bytes, max(step - one.size.bytes, 0.0)))
    return {kind: _ratio(weighed) for kind, weighed in found.items()}


def _ratio(weighed: Sequence[tuple[float, float]]) -> Ratio:
    weight, squares = sum(weight for _, weight in weighed), sum(weight**2 for _, weight in weighed)
    number = weight**2 / squares if squares else 0.0
    if number <= 1:
        mean = fmean(value for value, _ in weighed) if weighed else UNKNOWN_RATIO
        return Ratio(mean, UNKNOWN_SPREAD * mean)
    mean = sum(value * weight for value, weight in weighed) / weight
    variance = sum(weight * (value - mean) ** 2 for value, weight in weighed) / weight
    return Ratio(mean, math.sqrt(variance / (number - 1)))


def unsampled(left: Mapping[TextClass, int], found: Mapping[TextClass, Ratio]) -> dict[TextClass, float]:
    """Find the standard deviation of the guessed tokens, in cl100k tokens of each class; `left` is in bytes.

    Only documents that were not counted err, which is the correction for a finite population.
    """
    return {kind: size * found[kind].error for kind, size in left.items() if size}
