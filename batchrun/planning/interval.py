"""An interval: a mean with the bounds it is believed to stay within."""

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
        """Scale by something certain."""
        return Interval(self.mean * factor, self.low * factor, self.high * factor)

    def capped(self, most: float) -> "Interval":
        """Cut off what cannot be."""
        return Interval(min(self.mean, most), min(self.low, most), min(self.high, most))
