"""What can be found in a text by its form: dates, durations, money and numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A value and where it stands."""

    value: T
    start: int


@dataclass(frozen=True, slots=True)
class Duration:
    """Such as 24 months."""

    count: int
    unit: str
    """day, week, month or year."""

    @property
    def months(self) -> int:
        """In months, at least one."""
        if self.unit in {"day", "week"}:
            return max(1, round(self.days / 30))
        return self.count * (12 if self.unit == "year" else 1)

    @property
    def days(self) -> int:
        """In days, a month being 30 and a year 365."""
        return self.count * {"day": 1, "week": 7, "month": 30, "year": 365}[self.unit]


@dataclass(frozen=True, slots=True)
class Money:
    """An amount as written and as a number."""

    text: str
    amount: float
    currency: str


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january januar janvier enero gennaio jan",
            "february februar février febrero febbraio feb",
            "march märz mars marzo mar",
            "april avril abril aprile apr",
            "may mai mayo maggio",
            "june juni juin junio giugno jun",
            "july juli juillet julio luglio jul",
            "august août agosto aug",
            "september septembre septiembre settembre sep sept",
            "october oktober octobre octubre ottobre oct okt",
            "november novembre noviembre nov",
            "december dezember décembre diciembre dicembre dec dez",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
# Years are looked for first: they are rare, and a search for dates everywhere takes a hundred times as long.
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_LONGEST_DATE = len("31st day of September, ")
_DATE = re.compile(
    rf"\b(?P<iso>(\d{{4}})-(\d\d)-(\d\d))\b"
    rf"|\b(?P<us>({_MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}}))\b"
    rf"|\b(?P<long>(\d{{1,2}})(?:st|nd|rd|th|\.|er)?\s+(?:day\s+of\s+|de\s+)?({_MONTH})\.?,?\s+(?:de\s+)?(\d{{4}}))\b"
    r"|\b(?P<dotted>(\d{1,2})\.(\d{1,2})\.(\d{4}))\b"
    r"|\b(?P<slashed>(\d{1,2})/(\d{1,2})/(\d{4}))\b"
)
_ONE_TO_TWELVE = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_NUMBER_WORDS = {
    word: number
    for number, word in (
        *enumerate(_ONE_TO_TWELVE, start=1),
        (15, "fifteen"),
        (18, "eighteen"),
        (20, "twenty"),
        (24, "twenty-four"),
        (30, "thirty"),
        (36, "thirty-six"),
        (48, "forty-eight"),
        (60, "sixty"),
        (90, "ninety"),
    )
}
_DURATION = re.compile(
    rf"\b(?:(\d{{1,4}})|({'|'.join(sorted(_NUMBER_WORDS, key=len, reverse=True))}))"
    r"(?:\s*\((\d{1,4})\))?[\s-]+(?:calendar\s+|business\s+|full\s+)?(day|week|month|year)s?\b",
    re.IGNORECASE,
)
_CURRENCY = r"USD|EUR|GBP|CHF|JPY|CAD|AUD|US\$|\$|€|£|¥"
_AMOUNT = r"\d{1,3}(?:[,.'\u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_MONEY = re.compile(rf"(?:({_CURRENCY})\s?({_AMOUNT}))|(?:\b({_AMOUNT})\s?({_CURRENCY}|dollars|euros?|pounds)(?!\w))")
_CENTS = re.compile(r"[.,](\d{1,2})$")
_DROPPED = {ord(mark): None for mark in "'\u00a0\u202f"}
_NUMBER = re.compile(r"(?<![\w.,/-])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w/-])|(?<![\w.,/-])\d+(?:\.\d+)?(?![\w/-]|\.\d)")
_SYMBOLS = {
    "$": "USD",
    "US$": "USD",
    "dollars": "USD",
    "€": "EUR",
    "euro": "EUR",
    "euros": "EUR",
    "£": "GBP",
    "¥": "JPY",
}


def find_dates(text: str) -> Iterator[Found[date]]:
    """Find dates in the usual spellings; day before month where only the order tells."""
    for year in _YEAR.finditer(text):
        begin = max(0, year.start() - _LONGEST_DATE)
        window = text[begin : year.end() + len("-12-31")].lower()
        for match in _DATE.finditer(window):
            if begin + match.start() <= year.start() < begin + match.end():
                parts = [group for group in match.groups() if group is not None][1:]
                value = _as_date(_kind(match), parts)
                if value is not None:
                    yield Found(value, begin + match.start())


def _kind(match: re.Match[str]) -> str:
    return next(name for name, group in match.groupdict().items() if group is not None)


def _as_date(kind: str, parts: list[str]) -> date | None:
    numbers = [_MONTHS.get(part.lower(), 0) or int(part) for part in parts]
    if kind == "iso":
        year, month, day = numbers
    elif kind == "us" or (kind == "slashed" and numbers[1] > 12):
        month, day, year = numbers
    else:
        day, month, year = numbers
    try:
        return date(year, month, day)
    except ValueError:  # 31.02.2024 is no date
        return None


def find_durations(text: str) -> Iterator[Found[Duration]]:
    """Find counts of days, weeks, months and years, in figures or words."""
    for match in _DURATION.finditer(text):
        figures, word, bracketed, unit = match.groups()
        count = int(bracketed or figures or _NUMBER_WORDS[word.lower()])
        yield Found(Duration(count, unit.lower()), match.start())


def find_money(text: str) -> Iterator[Found[Money]]:
    """Find amounts with a currency before or behind."""
    for match in _MONEY.finditer(text):
        before, amount_behind, amount_before, behind = match.groups()
        currency = before or behind
        amount = _as_number(amount_behind or amount_before)
        yield Found(Money(match[0], amount, _SYMBOLS.get(currency, currency)), match.start())


def find_numbers(text: str) -> Iterator[Found[float]]:
    """Find plain numbers that are not a part of a word, a date or a version."""
    for match in _NUMBER.finditer(text):
        yield Found(_as_number(match[0]), match.start())


def _as_number(text: str) -> float:
    bare = text.translate(_DROPPED)
    cents = _CENTS.search(bare)
    whole = re.sub(r"[.,]", "", bare[: cents.start()] if cents else bare)
    return float(f"{whole}.{cents[1]}") if cents else float(whole)
