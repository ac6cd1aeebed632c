"""Durations and dollars as people write them in a job file, as the numbers the program counts with."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from batchrun.job.refusing import wrong_value

_NUSD_PER_USD = 1_000_000_000
_MAX_USD = 1_000_000_000
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DAY_S = 86_400


def _seconds(value: object) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= _DAY_S:
        raise wrong_value('a duration such as "30s", "10m" or "2h", above zero and at most 24 hours')
    return seconds


def _nano_dollars(value: object) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    dollars = Decimal(str(value)) if is_number else Decimal("NaN")
    if not dollars.is_finite() or not 0 < dollars <= _MAX_USD or dollars * _NUSD_PER_USD < 1:
        raise wrong_value("an amount in US dollars above zero, such as 5.00")
    return int(dollars * _NUSD_PER_USD)


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""Written as "1.5s", "10m" or "2h"."""

NanoDollars = Annotated[int, BeforeValidator(_nano_dollars)]
"""Written in dollars, whole or with a fraction, and kept exactly."""
