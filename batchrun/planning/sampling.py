"""Which documents of a large job are counted, and what the others are guessed to have.

Sizes are known of all documents. Those to be counted are drawn with a probability in proportion to their size, evenly
over the documents sorted by class and size: so every class and every size has its share, the largest are all in it,
and the mean of the ratios (tokens per byte) of a class estimates the class's total without bias (Hansen and Hurwitz).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from batchrun.planning.text_class import TextClass

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
class Sized:
    """A planned document that was not counted yet."""

    planned_no: int
    size: DocumentSize


@dataclass(frozen=True, slots=True)
class DocumentTotal:
    """Documents of one class, together."""

    documents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Counted:
    """A document of the sample."""

    size: DocumentSize
    counted: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """cl100k tokens per byte of one class."""

    mean: float
    deviation: float
    """Of one document's."""
    documents: int

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self.deviation / math.sqrt(max(self.documents, 1))


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


def evenly(sized: Iterable[Sized], step: float) -> Iterator[Sized]:
    """Draw from documents that are sorted by class and size: one at each step, and all that are larger than one."""
    at, following = 0.0, step / 2
    for one in sized:
        at += one.size.bytes
        if at > following:
            yield one
            following += step * math.ceil((at - following) / step)


def ratios(sample: Sequence[Counted]) -> Mapping[TextClass, Ratio]:
    """Tokens per byte of every class; one of which too little was counted is as uncertain as can be."""
    found: dict[TextClass, list[float]] = {kind: [] for kind in TextClass}
    for one in sample:
        if one.size.bytes:
            found[one.size.text_class].append(one.counted / one.size.bytes)
    return {kind: _ratio(values) for kind, values in found.items()}


def _ratio(values: Sequence[float]) -> Ratio:
    mean = fmean(values) if values else UNKNOWN_RATIO
    if len(values) < 2:
        return Ratio(mean, UNKNOWN_SPREAD * mean, len(values))
    return Ratio(mean, stdev(values), len(values))


def unsampled(left: Mapping[TextClass, DocumentTotal], found: Mapping[TextClass, Ratio]) -> dict[TextClass, float]:
    """The standard deviation of what is guessed, in cl100k tokens of each class.

    With the correction for a finite population: of a class that was counted as a whole nothing is left to guess.
    """
    return {
        kind: total.bytes * found[kind].error * math.sqrt(total.documents / (total.documents + found[kind].documents))
        for kind, total in left.items()
        if total.documents
    }
