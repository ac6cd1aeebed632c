"""Whether a field's values are distributed as in an earlier run: thresholds that know the sample sizes.

A fixed threshold of the population stability index gives alarms for any two small samples. A statistic here has to pass
both a floor, below which a change is too small to matter, and the bound that it passes by chance in 5% of runs in which
no field changed, whatever the number of fields (Bonferroni).
"""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from batchrun.statistics.intervals import chi_square_quantile

FLOOR = 0.1
"""A drift statistic up to the floor is never an alarm: the customary limit of "no change" for the stability index."""

FALSE_ALARMS = 0.05
"""How often at least one of all fields passes its significance bound where no field has changed."""

_LEAST_EXPECTED = 5


class DriftLevel(Enum):
    """What a drift means: an alarm, a notice (more than chance, but small), or none."""

    ALARM = "alarm"
    NOTICE = "notice"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Drift:
    """How far two samples lie apart, and how far they may."""

    statistic: float
    threshold: float
    """The statistic is an alarm above the threshold: the larger of `FLOOR` and `significance_bound`."""
    significance_bound: float
    """The statistic is more than chance above the bound. The bound is infinite where nothing can be compared."""

    @property
    def level(self) -> DriftLevel:
        """Say whether the drift is an alarm, a notice or none."""
        if self.statistic > self.threshold:
            return DriftLevel.ALARM
        return DriftLevel.NOTICE if self.statistic > self.significance_bound else DriftLevel.NONE


def population_stability(before: Mapping[Hashable, int], now: Mapping[Hashable, int], *, fields: int) -> Drift:
    """Give the population stability index of two counts by category, as one of `fields` fields that are compared.

    Rare categories are merged, and half a count is added to each. Of two equal samples the index is about chi-square,
    times (1/n + 1/m) (Yurdakul 2018). The index is 0, and no drift, if a sample is empty or only one category remains:
    values that hardly ever come twice, like free text, are not compared.
    """
    sizes = sum(before.values()), sum(now.values())
    bins = _merged([(before.get(name, 0), now.get(name, 0)) for name in {**before, **now}]) if all(sizes) else []
    if len(bins) < 2:
        return _drift(0.0, math.inf)
    wholes = [size + len(bins) / 2 for size in sizes]
    shares = [((old + 0.5) / wholes[0], (new + 0.5) / wholes[1]) for old, new in bins]
    index = math.fsum((new - old) * math.log(new / old) for old, new in shares)
    quantile = chi_square_quantile(len(bins) - 1, 1 - FALSE_ALARMS / fields)
    return _drift(index, quantile * (1 / sizes[0] + 1 / sizes[1]))


def _merged(counts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge the rarest categories until the smaller of the two samples is expected to have 5 of every category."""
    old_size, new_size = (sum(side) for side in zip(*counts, strict=True))
    least = _LEAST_EXPECTED * (old_size + new_size) / min(old_size, new_size)
    kept, rest = [], (0, 0)
    for old, new in sorted(counts, key=sum):
        if old + new < least or 0 < sum(rest) < least:
            rest = (rest[0] + old, rest[1] + new)
        else:
            kept.append((old, new))
    return [*kept, rest] if sum(rest) else kept


def kolmogorov_smirnov(before: Sequence[float], now: Sequence[float], *, fields: int) -> Drift:
    """Give the largest distance between the distributions of two samples, as one of `fields` fields that are compared.

    The bound is the asymptotic one of Kolmogorov and Smirnov; ties make the bound conservative. The distance is 0, and
    no drift, if a sample is empty.
    """
    if not before or not now:
        return _drift(0.0, math.inf)
    old, new = Counter(before), Counter(now)
    distance, gap = 0.0, 0.0
    for value in sorted({**old, **new}):
        gap += old[value] / len(before) - new[value] / len(now)
        distance = max(distance, abs(gap))
    bound = math.sqrt(math.log(2 * fields / FALSE_ALARMS) / 2 * (1 / len(before) + 1 / len(now)))
    return _drift(distance, bound)


def _drift(statistic: float, bound: float) -> Drift:
    return Drift(statistic, max(FLOOR, bound), bound)
