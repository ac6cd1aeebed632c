"""Scales turn values into places on a chart, with ticks that people can read."""

import math
from dataclasses import dataclass

TIMES = ((120, 1, "seconds"), (7_200, 60, "minutes"), (172_800, 3_600, "hours"), (math.inf, 86_400, "days"))
"""Up to how many seconds a time is shown in a unit, how many seconds the unit has, and its name."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The values along one side of a chart."""

    low: float
    high: float
    label: str
    form: str = "{0:,.{1}f}"
    """How a tick is written: a format of its value and of how many decimals tell the ticks apart."""
    least_step: float = 0.0
    """The least distance of two ticks: 1 for counts."""
    is_log: bool = False
    """Whether equal distances are equal factors; `low` is above 0 then."""

    def share(self, value: float) -> float:
        """Return how far a value lies from the low end to the high end, from 0 to 1; values outside lie at an end."""
        low, high, place = (map(math.log10, (self.low, self.high, max(value, self.low))) if self.is_log
                            else (self.low, self.high, value))  # fmt: skip
        return min(max((place - low) / (high - low), 0.0), 1.0) if high > low else 0.0

    def ticks(self) -> list[float]:
        """Return the values that are written at the axis: about five."""
        if self.is_log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 3, 5) if self.high < 20 * self.low else (1, 2, 5) if self.high < 200 * self.low else (1,)
            values = [step * 10.0**power for power in powers for step in steps]
            if len(ticks := [value for value in values if self.low <= value <= self.high]) > 1:
                return ticks
        step = self._step
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def shown(self, tick: float) -> str:
        """Write a tick."""
        decimals = max(0, -math.floor(math.log10(self._step) + 1e-9))
        return self.form.format(tick, decimals)

    @property
    def _step(self) -> float:
        return max(nice((self.high - self.low) / 6), self.least_step)


def nice(rough: float) -> float:
    """Round up to 1, 2 or 5 of a decimal place; 1 for 0."""
    if rough <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def up_to(most: float, label: str, form: str = "{0:,.{1}f}", *, least_step: float = 0.0) -> Axis:
    """Make an axis from 0 to a round number that is not below `most`."""
    step = max(nice(most / 6), least_step)
    return Axis(0.0, step * max(math.ceil(most / step - 1e-9), 1), label, form, least_step)


def time_axis(seconds: float) -> tuple[Axis, float]:
    """Make an axis of times up to so many seconds. Returns also how many seconds its unit has."""
    size, name = next((size, name) for most, size, name in TIMES if seconds <= most)
    return Axis(0.0, max(seconds, 1e-3) / size, f"{name} since the start"), float(size)
