"""Whether a run is better or worse than another on the documents with gold labels: one gate, then field by field."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import pvariance

from batchrun.estimation.interval import Interval
from batchrun.statistics.paired import detectable_difference, holm, mcnemar_mid_p, mean_difference, sign_flip

Labelled = Mapping[str, tuple[bool, bool]]
"""The fields of a document that have a gold label: whether each is right before and now."""
ALPHA = 0.1
"""How often a run that is as good as the other is called worse, and how often it is called better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldChange:
    """The change of accuracy on the labelled documents of both runs. Shares are between 0 and 1."""

    documents: int
    cells: int
    """The labelled fields of these documents."""
    right: tuple[int, int]
    """How many of the cells are right before and now."""
    difference: Interval
    """The change of the share of right cells, with its 90% interval over documents."""
    p: float
    """How often chance alone would change the accuracy so far in this direction."""
    field_p: Mapping[str, float]
    """The same for each field that differs, adjusted for the number of fields. Empty if `p` is above `ALPHA`."""
    detectable: float
    """The smallest change of the share of right cells that would have been found 9 times in 10."""

    @property
    def found(self) -> bool:
        """Whether the runs differ by more than chance."""
        return self.p <= ALPHA

    @property
    def is_worse(self) -> bool:
        """Whether the later run is worse by more than chance."""
        return self.found and self.difference.mean < 0


def gold_change(labelled: Sequence[Labelled]) -> GoldChange | None:
    """Compare two runs on their labelled documents. Returns None if there is no labelled field."""
    cells = [cell for document in labelled for cell in document.values()]
    if not cells:
        return None
    gains = [[now - before for before, now in one.values()] for one in labelled]
    differences = [sum(gain) for gain in gains]
    per_document = len(cells) / len(labelled)
    flipped = sign_flip(differences, random.Random(0))  # noqa: S311 - signs of a test, the same each time
    p = min(flipped.worse_p, flipped.better_p)
    mean = mean_difference(differences)
    return GoldChange(
        documents=len(labelled),
        cells=len(cells),
        right=(sum(before for before, _ in cells), sum(now for _, now in cells)),
        difference=Interval(*(bound / per_document for bound in (mean.mean, mean.low, mean.high))),
        p=p,
        field_p=_field_p(labelled, worse=flipped.mean < 0) if p <= ALPHA else {},
        detectable=_detectable(gains, differences),
    )


def _field_p(labelled: Sequence[Labelled], *, worse: bool) -> dict[str, float]:
    """Test every field in the direction that the gate has found."""
    p_values: dict[str, float] = {}
    for name in {name: None for one in labelled for name in one}:
        pairs = [one[name] for one in labelled if name in one]
        lost, gained = (sum(pair == lost for pair in pairs) for lost in ((True, False), (False, True)))
        p_values[name] = mcnemar_mid_p(*((lost, gained) if worse else (gained, lost)))
    return holm(p_values)


def _detectable(gains: Sequence[Sequence[int]], differences: Sequence[int]) -> float:
    """Count the cells as so many independent ones as the spread between documents says."""
    cells = [gain for document in gains for gain in document]
    mean = sum(cells) / len(cells)
    spread = sum((difference - mean * len(gain)) ** 2 for difference, gain in zip(differences, gains, strict=True))
    alone = pvariance(cells) * len(cells)
    clustering = max(1.0, spread / alone) if alone else 1.0
    churn = (sum(map(abs, cells)) / len(cells) - abs(mean)) / 2
    return detectable_difference(max(1, int(len(cells) / clustering)), churn)
