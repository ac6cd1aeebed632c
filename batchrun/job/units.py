"""Reads durations, sizes and dollars of a job file as the numbers that the program counts with."""

import re
from decimal import Decimal
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from batchrun.job.value_errors import wrong_value

_NUSD_PER_USD = 1_000_000_000
_MAX_USD = 1_000_000_000
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_DAY_S = 86_400
MONTH_S = 30 * _DAY_S
_SIZE = re.compile(r"([0-9]{1,9})(B|KB|MB)")
_BYTES = {"B": 1, "KB": 1_000, "MB": 1_000_000}
_GIGABYTES = re.compile(r"([0-9]{1,4})GB")


def duration_s(value: object, *, most_s: float) -> float:
    """Read a duration, in seconds."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= most_s:
        hours = round(most_s / 3600)
        raise wrong_value(f'a duration such as "500ms", "30s", "10m" or "2h", above zero and at most {hours} hours')
    return seconds


def _bytes(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong_value('a size such as "256MB" or "500KB", or a number of bytes')
    return int(found[1]) * _BYTES[found[2]]


def _cache_bytes(value: object) -> int:
    if value == "off":
        return 0
    gigabytes = _GIGABYTES.fullmatch(value) if isinstance(value, str) else None
    try:
        return int(gigabytes[1]) * 1_000_000_000 if gigabytes else _bytes(value)
    except PydanticCustomError:
        raise wrong_value('a size such as "2GB" or "500MB", or "off"') from None


def nano_dollars(value: object) -> int:
    """Read an amount in US dollars, in nano-USD."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    dollars = Decimal(str(value)) if is_number else Decimal("NaN")
    if not dollars.is_finite() or not 0 < dollars <= _MAX_USD or dollars * _NUSD_PER_USD < 1:
        raise wrong_value("an amount in US dollars above zero, such as 5.00")
    return int(dollars * _NUSD_PER_USD)


def typed_duration(seconds: float) -> str:
    """Write a duration as a person types the duration: `30s`, `5m`."""
    unit = next(unit for unit, size in reversed(_SECONDS.items()) if seconds >= size and (seconds / size).is_integer())
    return f"{seconds / _SECONDS[unit]:g}{unit}"


def typed_size(size: int) -> str:
    """Write a number of bytes as a person types the number: `256MB`, `2GB`."""
    sizes = _BYTES | {"GB": 1_000_000_000}
    unit = next(unit for unit in reversed(sizes) if size >= sizes[unit] and not size % sizes[unit])
    return f"{size // sizes[unit]}{unit}"


_Duration = Annotated[
    str, Field(title="duration", pattern=f"^{_DURATION.pattern}$", examples=["500ms", "30s", "10m", "2h"])
]
_Size = Annotated[str, Field(title="size", pattern=f"^{_SIZE.pattern}$", examples=["256MB", "500KB"])] | int
_CacheSize = Annotated[str, Field(title="size", pattern="^([0-9]{1,9}(B|KB|MB)|[0-9]{1,4}GB|off)$")] | int
_Dollars = Annotated[float, Field(title="dollars", gt=0, le=_MAX_USD)]

Seconds = Annotated[float, BeforeValidator(partial(duration_s, most_s=_DAY_S), json_schema_input_type=_Duration)]
"""A time of up to a day, written as "500ms", "1.5s", "10m" or "2h"."""

LongSeconds = Annotated[float, BeforeValidator(partial(duration_s, most_s=MONTH_S), json_schema_input_type=_Duration)]
"""A time of up to a month, written in the same way."""

Bytes = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=_Size)]
"""A size, written as "256MB" or "500KB"; a KB is a thousand bytes."""

CacheBytes = Annotated[int, BeforeValidator(_cache_bytes, json_schema_input_type=_CacheSize)]
"""The size of a cache, written as "2GB" or "off"."""

NanoDollars = Annotated[int, BeforeValidator(nano_dollars, json_schema_input_type=_Dollars)]
"""An amount, written in dollars, whole or with a fraction, and kept exactly."""
