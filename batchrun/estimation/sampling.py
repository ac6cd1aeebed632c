"""Which documents of a large job are counted, and what the others are guessed to have.

Sizes are known of all documents. Those to be counted are drawn with a probability in proportion to their size, evenly
over the documents sorted by class and size: so every class and every size has its share, and the largest are all in it.
What the others have follows from their bytes and the sample's ratio, weighed by its chances (Horvitz and Thompson).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from batchrun.estimation.text_class import TextClass

COUNTED_AT_ONCE = 8_000_000
"""Bytes of documents that are all counted, in the order of the source, before any is only sampled: about a second."""
MOST_SAMPLED, LEAST_SAMPLED, SAMPLED_BYTES = 1_000, 60, 16_000_000
UNKNOWN_RATIO, UNKNOWN_SPREAD = 0.25, 0.3
"""cl100k tokens per byte, and how far that may be off as a share, of a class of which nothing was counted."""


@dataclass(frozen=True, slots=True)
class DocumentSize:
    """How large the text is that a document brings to its request."""

    bytes: int
    """Of UTF-8."""
    text_class: TextClass


@dataclass(frozen=True, slots=True)
class Counted:
    """A document of the sample."""

    size: DocumentSize
    counted: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """cl100k tokens per byte of the documents of one class that were not drawn."""

    mean: float
    error: float
    """Standard error of the mean."""


def step_bytes(sizes: Iterable[DocumentSize]) -> float:
    """How far apart the documents of the sample lie, in bytes of all documents that were not counted."""
    count = total = squares = 0
    for size in sizes:
        count, total, squares = count + 1, total + size.bytes, squares + size.bytes**2
    if not total:
        return 1.0
    drawn_size = squares / total  # of a document that is drawn in proportion to its size
    wanted = min(count, MOST_SAMPLED, max(LEAST_SAMPLED, int(SAMPLED_BYTES / drawn_size)))
    return max(total / wanted, 1.0)


def evenly(sizes: Iterable[tuple[int, int]], step: float) -> Iterator[int]:
    """Draw from documents, as number and size, that are sorted by class and size; yields the numbers.

    One is drawn at each step, and all that are larger than a step.
    """
    at, following = 0.0, step / 2
    for number, size in sizes:
        at += size
        if at > following:
            yield number
            following += step * math.ceil((at - following) / step)


def ratios(sample: Sequence[Counted], step: float) -> Mapping[TextClass, Ratio]:
    """Tokens per byte of what was not drawn, for every class; it has more of the small documents than the sample has.

    A document of the sample stands for the others of its size by how likely it was not to be drawn: those as large as a
    step are all in it, and stand for none.
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
    """The standard deviation of what is guessed, in cl100k tokens of each class; `left` in bytes.

    Only what was not counted errs: that is the correction for a finite population.
    """
    return {kind: size * found[kind].error for kind, size in left.items() if size}
