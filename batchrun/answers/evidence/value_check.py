"""Whether a quoted passage says the value of a field: a quote that is true may be about something else."""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Literal

from batchrun.answers.evidence.figures import Figure, date_in_digits, figures, number_in_digits
from batchrun.answers.evidence.folding import fold
from batchrun.answers.evidence.judging import units
from batchrun.answers.evidence.located import Located

Support = Literal["supported", "unsupported", "not_checkable"]

_MAX_TEXT = 20_000
"""A passage of more characters, or a value of more, is not compared."""
_MAX_NAME_WORDS = 12
"""A text of more words that the passage does not have is a summary rather than a name."""
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T.*)?", re.DOTALL)
_DIGITS = re.compile(r"\d[\d.,]*")


def check_value(value: object, located: Located) -> Support:
    """Say whether the numbers, dates and names of a value stand in the located passage, in whatever form.

    The value of an enum cannot be checked: the caller does not ask for fields with an enum.
    """
    text = located.text
    if not text or len(text) > _MAX_TEXT:
        return "not_checkable"
    match value:
        case bool():
            return "not_checkable"
        case int():
            return _support(Decimal(value) in _numbers(text))
        case float():
            return _support(Decimal(repr(value)) in _numbers(text)) if value - value == 0 else "not_checkable"
        case str():
            return _check_text(value, text)
        case _:
            return "not_checkable"


def _support(stands: bool) -> Support:  # noqa: FBT001 - the only argument
    return "supported" if stands else "unsupported"


def _check_text(value: str, text: str) -> Support:
    if len(value) > _MAX_TEXT or not (words := fold(value)):
        return "not_checkable"
    if (match := _DATE.fullmatch(value.strip())) and (day := _day(match[1])):
        return _support(day in _days(text))
    if words.spaced in fold(text).spaced or _keys(value) in _keys(text):
        return "supported"
    return "unsupported" if len(words) <= _MAX_NAME_WORDS else "not_checkable"


def _keys(text: str) -> str:
    """Return the words and the meanings of the figures of a text; a text that says a part of it is a part of this."""
    return f" {' '.join(unit.key for unit in units(text))} "


def _day(shown: str) -> date | None:
    try:
        return date.fromisoformat(shown)
    except ValueError:
        return None


def _days(text: str) -> set[date]:
    found = figures(text)
    written = (text[figure.begin : figure.end] for figure in found)
    in_digits = (date_in_digits(digits, month_first=first) for digits in written for first in (True, False))
    return {day for day in (*(figure.day for figure in found), *in_digits) if day}


def _numbers(text: str) -> set[Decimal]:
    return {number for figure in figures(text) for number in _numbers_of(figure, text[figure.begin : figure.end])}


def _numbers_of(figure: Figure, written: str) -> Iterable[Decimal]:
    """Return the numbers that a figure says: 5% is 5 and 0.05, and a range or a date says each of its numbers."""
    if figure.number is not None:
        return (figure.number, figure.number / 100) if figure.meaning.endswith("%") else (figure.number,)
    parts = (number_in_digits(digits.rstrip(".,")) for digits in _DIGITS.findall(written))
    return [number for number in parts if number is not None]
