"""How often something happens, as far as a sample shows."""

import math
from dataclasses import dataclass

from batchrun.estimation.calibration import Z
from batchrun.estimation.interval import Interval


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of a sample have a property."""

    count: int
    of: int

    @property
    def interval(self) -> Interval:
        """The share of all with its 90% interval (Wilson 1927), which holds for few and for an empty sample too."""
        if not self.of:
            return Interval(0.0, 0.0, 1.0)
        center = (self.count + Z**2 / 2) / (self.of + Z**2)
        half = Z / (self.of + Z**2) * math.sqrt(self.count * (self.of - self.count) / self.of + Z**2 / 4)
        return Interval(self.count / self.of, max(center - half, 0.0), min(center + half, 1.0))
