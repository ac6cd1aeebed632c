"""An interval: a mean with the bounds it is believed to stay within."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.90
"""How often the truth is expected between `low` and `high`, everywhere in planning."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its bounds; the sides may differ."""

    mean: float
    low: float
    high: float

    def times(self, factor: float) -> "Interval":
        """Scale by a factor that is certain."""
        return Interval(self.mean * factor, self.low * factor, self.high * factor)

    def plus(self, other: "Interval") -> "Interval":
        """Add an interval that errs in the same direction: the bounds add up."""
        return Interval(self.mean + other.mean, self.low + other.low, self.high + other.high)

    def capped(self, most: float) -> "Interval":
        """Cut off values above what is possible."""
        return Interval(min(self.mean, most), min(self.low, most), min(self.high, most))


def product(one: Interval, other: Interval) -> Interval:
    """Multiply two intervals that err independently, to the first order."""
    below, above = (other.mean - other.low) * one.mean, (other.high - other.mean) * one.mean
    return together([one.times(other.mean), Interval(0.0, -below, above)])


NOTHING = Interval(0.0, 0.0, 0.0)


def together(parts: Sequence[Interval]) -> Interval:
    """Add up intervals that err independently: half widths combine in quadrature, each side by itself."""
    mean = math.fsum(part.mean for part in parts)
    below = math.hypot(*(part.mean - part.low for part in parts))
    above = math.hypot(*(part.high - part.mean for part in parts))
    return Interval(mean, max(mean - below, 0.0), mean + above)
