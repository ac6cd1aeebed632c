"""When two cells of ExtractBench are equal: dates, white space, similar texts, and the normalizers of fields."""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

FUZZY: Mapping[str, float] = {"description": 0.95, "court": 0.85}
"""Names of fields whose texts are equal from a similarity on: so in the benchmark's code, though not in its README."""
_DATE = re.compile(r"\d{1,4}[-/]\d|[A-Za-z]\.? \d{1,2},? \d{4}|\d [A-Za-z]+\.? \d{4}")
_DAYS = ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y", "%m-%d-%Y", "%m-%d-%y", "%d/%m/%Y", "%d-%m-%Y", "%Y-%m-%dT%H:%M:%S%z")
_MONTHS = ("{} %d, %Y", "{} %d %Y", "%A {} %d, %Y", "%A, {} %d, %Y", "%a {} %d, %Y", "%a, {} %d, %Y", "%d {} %Y")
_FORMATS = (*_DAYS, *(form.format(month) for month in ("%B", "%b", "%b.") for form in _MONTHS))
_FOLDS: Mapping[str, Callable[[str], str]] = {
    "optional_terminal_punctuation": lambda text: re.sub(r"\s*[.,;:]\s*$", "", text.strip()),
    "punctuation_spacing": lambda text: re.sub(r"\s*([,.;:])\s*", r"\1", text),
    "case_insensitive": lambda text: one_space(text).casefold(),
    "phone_digits": lambda text: re.sub(r"\D", "", text)[-10:],
}
"""What a normalizer makes of a text. Two texts of which nothing is left are not equal."""


def equal(expected: Any, given: Any, name: str, normalizers: Sequence[object] = ()) -> bool:
    """Whether two cells of a field are equal: by the rule for all fields, or by a normalizer of the field."""
    if _plainly_equal(expected, given, name):
        return True
    if "null_equals_false" in normalizers and all(one is None or one is False for one in (expected, given)):
        return True
    if not (isinstance(expected, str) and isinstance(given, str)):
        return False
    folds = [fold for normalizer, fold in _FOLDS.items() if normalizer in normalizers]
    if any((folded := fold(expected)) and _plainly_equal(folded, fold(given), name) for fold in folds):
        return True
    return "lenient_date" in normalizers and bool(_readings(expected) & _readings(given))


def _plainly_equal(expected: Any, given: Any, name: str) -> bool:
    if not (isinstance(expected, str) and isinstance(given, str)):
        return bool(expected == given)
    if name not in FUZZY:
        return one_space(expected) == one_space(given)
    one, other = (one_space(re.sub(r"[^\w\s]", " ", text)).lower() for text in (expected, given))
    return one == other or similarity(one, other) >= FUZZY[name]


def one_space(text: str) -> str:
    """Write all white space as one space."""
    return " ".join(text.split())


def similarity(one: str, other: str) -> float:
    """Return 2 * LCS / (lengths together), the normalised indel similarity of two texts, of which one is not empty.

    The longest common subsequence is found with a bit for each character of `one` (Hyyrö, 2004).
    """
    places = dict[str, int]()
    for at, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << at
    everything = left = (1 << len(one)) - 1
    for character in other:
        common = left & places.get(character, 0)
        left = ((left + common) | (left - common)) & everything
    return 2 * (len(one) - left.bit_count()) / (len(one) + len(other))


def with_iso_dates(value: Any) -> Any:
    """Rewrite the dates everywhere in a value."""
    match value:
        case str():
            return iso_date(value)
        case dict():
            return {key: with_iso_dates(inner) for key, inner in value.items()}
        case list():
            return [with_iso_dates(inner) for inner in value]
        case _:
            return value


@lru_cache(maxsize=65_536)
def iso_date(text: str) -> str:
    """Write a date in one of the benchmark's eight forms as YYYY-MM-DD, the month first; another text stays.

    A year of two digits is the nearer one, as in the benchmark, here as of 2026: 75 is 2075, and 76 is 1976.
    """
    probe = re.sub(r"\s*,\s*", ", ", text.strip())
    if not (4 <= len(text) <= 50 and _DATE.search(probe)):
        return text
    for form in _FORMATS:
        with contextlib.suppress(ValueError):
            day = datetime.strptime(probe, form).date()  # noqa: DTZ007 - the day as it is written
            year = day.year + 100 if "%y" in form and day.year < 1976 else day.year
            return f"{year}-{day:%m-%d}" if 1900 <= year <= 2100 else text
    return text


def _readings(text: str) -> set[str]:
    """List the dates that a date of a scanned form may be: 19 55 is 1955, and a year 43 is 1943 or 2043."""
    joined = re.sub(r"(?<=\d)(\D*)\b(19|20)\s+(\d\d)\b", r"\1\2\3", text)
    ends = [found for base in {text, joined} if (found := re.fullmatch(r"(.*\d.*[ ,/-])(\d\d)\s*", base))]
    dates = map(iso_date, [joined, *(f"{end[1]}{century}{end[2]}" for end in ends for century in (19, 20))])
    return {iso_date(text), *(one for one in dates if re.fullmatch(r"\d{4}-\d\d-\d\d", one))}
