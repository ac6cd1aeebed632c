"""Common spellings of numbers, days and times, read only where a text can mean one thing."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

_LONGEST = 100
"""Characters. A longer text is no spelling of one number, day or time."""

_SPACES = " \u00a0\u2009\u202f'\u2019"
"""Signs that separate groups of digits, and are never a decimal sign."""
_CURRENCY = r"US\$|[€$£¥]|USD|EUR|GBP|CHF|JPY|CAD|AUD"
_ENGLISH_MONEY = {"$", "US$", "USD", "£", "GBP", "CAD", "AUD"}
"""Before a number, these tell that a comma separates groups: $250,000 is no $250."""
_CODES = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALES_OF_MONEY = {"k": 3, "m": 6, "mn": 6, "b": 9, "bn": 9}
"""Elsewhere, 1.2m is as likely a length."""
_NUMBER = re.compile(
    rf"(?P<sign>[-+\u2212]?)(?P<before>{_CURRENCY})? ?(?P<digits>[0-9](?:[0-9.,{_SPACES}]*[0-9])?)"
    rf"(?: ?(?P<scale>{'|'.join((*_SCALES, *_SCALES_OF_MONEY))}))?(?: ?(?P<after>{_CURRENCY}))?",
    re.IGNORECASE,
)
_DIGITS = re.compile(
    rf"(?P<whole>0|[1-9][0-9]*|[1-9][0-9]{{0,2}}(?P<group>[.,{_SPACES}])[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*)"
    r"(?:(?P<point>[.,])(?P<fraction>[0-9]+))?"
)


def number(text: str, *, whole: bool) -> int | Decimal | None:
    """Read a number, such as "1.234,56" or "€1.2m". Returns None where the text may mean several numbers or none.

    Of a `whole` number, a single comma before three digits separates groups: a fraction would not fit.
    """
    found = _NUMBER.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if found is None:
        return None
    scale, before = (found["scale"] or "").lower(), (found["before"] or "").upper()
    scales = _SCALES | _SCALES_OF_MONEY if before or found["after"] else _SCALES
    exponent = scales.get(scale) if scale else 0
    digits = _digits(found["digits"], comma_groups=before in _ENGLISH_MONEY or (whole and not scale))
    if exponent is None or digits is None:
        return None
    sign = "-" if found["sign"] in {"-", "\u2212"} else ""
    exact = Decimal(f"{sign}{digits}e{exponent}")
    return int(exact) if exact == exact.to_integral_value() else exact


def currency(text: str) -> str | None:
    """Return the currency of a number, such as "EUR" for "€1.2m". Returns None where no currency or no number stands.

    A bare dollar sign is taken for that of the United States.
    """
    found = _NUMBER.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    shown = (found["before"] or found["after"] or "").upper() if found else ""
    return _CODES.get(shown, shown) or None


def _digits(text: str, *, comma_groups: bool) -> str | None:
    """Return the digits of a number with a point for decimals, or None where a sign may be either kind."""
    found = _DIGITS.fullmatch(text)
    if found is None or (found["group"] and found["group"] == found["point"]):
        return None
    whole, point, fraction = found["whole"], found["point"], found["fraction"] or ""
    if found["group"]:
        whole = whole.replace(found["group"], "")
    elif len(fraction) == 3 and len(whole) <= 3 and whole != "0":
        return whole + fraction if point == "," and comma_groups else None
    return f"{whole}.{fraction}" if fraction else whole


_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH_OF = {name: number for number, name in enumerate(_MONTHS, start=1)}
_MONTH_OF |= {name[:3]: number for name, number in _MONTH_OF.items()} | {"sept": 9}
_ORDINAL = r"([0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")
_DAY_AND_WORD = re.compile(
    rf"(?:(?:the|this) )?{_ORDINAL}\.?(?: (?:day )?of)?[ -]([a-z]{{3,9}})(?:[-,]|[.]?,? )([0-9]{{4}})"
)
_WORD_AND_DAY = re.compile(rf"([a-z]{{3,9}})[.]? {_ORDINAL}(?:, ?| )([0-9]{{4}})")
_MIDNIGHT = re.compile(r"[t ]00:00(?::00(?:\.0+)?)?(?:z|\+00:00)?")
"""A time that adds nothing to the day."""


def day(text: str) -> str | None:
    """Read a day, such as "3 March 2024", as ISO 8601. Returns None where the text may mean several days or none."""
    if len(text) > _LONGEST:
        return None
    words = " ".join(text.lower().split())
    if (time := _MIDNIGHT.search(words)) and time.end() == len(words):
        words = words[: time.start()]
    days = {day.isoformat() for parts in _days(words) if (day := _calendar_day(*parts))}
    return days.pop() if len(days) == 1 else None


def _days(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield every year, month and day that a text may mean; not all of them are in the calendar."""
    if found := _YEAR_FIRST.fullmatch(text):
        yield int(found[1]), int(found[3]), int(found[4])
    elif found := _YEAR_LAST.fullmatch(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        yield year, second, first
        if found[2] != ".":  # with dots, the day is always first
            yield year, first, second
    elif found := _DAY_AND_WORD.fullmatch(text):
        yield int(found[3]), _MONTH_OF.get(found[2], 0), int(found[1])
    elif found := _WORD_AND_DAY.fullmatch(text):
        yield int(found[3]), _MONTH_OF.get(found[1], 0), int(found[2])


def _calendar_day(year: int, month: int, day_of_month: int) -> date | None:
    try:
        return date(year, month, day_of_month)
    except ValueError:
        return None


_DAY_AND_CLOCK = re.compile(
    r"(?P<day>.*?[^ ,t])(?:t|,? (?:at )?)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2}(?:\.[0-9]+)?))?(?: ?(?P<half>[ap])\.?m\.?)?"
    r"(?: ?(?P<zone>z|utc|gmt|[+-][0-9]{2}:?[0-9]{2}))?"
)


def moment(text: str) -> str | None:
    """Read a day with a time of day as RFC 3339. Returns None where the text may mean several times or none."""
    found = _DAY_AND_CLOCK.fullmatch(" ".join(text.lower().split())) if len(text) <= _LONGEST else None
    if found is None or (on := day(found["day"])) is None or (hour := _hour(found["hour"], found["half"])) is None:
        return None
    zone = found["zone"] or ""
    offset = f"{zone[:3]}:{zone[-2:]}" if zone[:1] in {"+", "-"} else "Z" if zone else ""
    return f"{on}T{hour:02}:{found['minute']}:{found['second'] or '00'}{offset}"


def _hour(digits: str, half: str | None) -> int | None:
    """Return the hour of the day. A single digit without a half of the day may be of either half."""
    if half is None:
        return int(digits) if len(digits) == 2 else None
    return int(digits) % 12 + (12 if half == "p" else 0) if 1 <= int(digits) <= 12 else None
