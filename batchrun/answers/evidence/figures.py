"""Numbers, amounts and dates in a text, and what they mean: "USD 1,500" is "US$1500", and "$5" is not "€5"."""

import re
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

_ONES = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety"
_RANKS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_YEAR = "january february march april may june july august september october november december"
_SMALL = {
    "zero": 0,
    **{word: at * 10 for at, word in enumerate(_TENS.split(), 1)},
    **{word: at for at, word in enumerate(_ONES.split(), 1)},
}
_LARGE = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_ORDINALS, _MONTHS = _RANKS.split(), _YEAR.split()
_UNITS = {
    "percent": "%",
    **dict.fromkeys(("dollar", "dollars"), "$"),
    **dict.fromkeys(("euro", "euros", "eur"), "€"),
    **dict.fromkeys(("pounds", "gbp"), "£"),
    "usd": "us$",
}
"""What stands behind or before a number, and the sign for what it means."""
_LONGEST = 40
"""Digits of more characters have no value: they are compared as they are written."""

_MONTH = "|".join(f"{month[:3]}(?:t|{month[3:]})?" if month[3:] else month for month in _MONTHS)
_NUMBER_WORD = rf"(?:{'|'.join((*_SMALL, *_LARGE))})\b"
_BETWEEN = r"(?:\s{1,9}|-|(?:(?<=hundred)|(?<=thousand)|(?<=million))\s{1,9}and\s{1,9})"
_SIGNS = "$€£¥₹₩₽₺₴₪¢"
_SIGN = r"(?<![^\W_])[-+±<>≤≥]\s?"
_CURRENCY = rf"(?:(?<![^\W_])(?:us[$]|usd|eur|gbp)\s?|[{_SIGNS}]\s?-?)"
_TIMES = rf"(?:\s{{1,9}}(?P<times>{'|'.join(_LARGE)})\b)?"
_UNIT = rf"[%‰°]|per\s?cent\b|(?:[{_SIGNS}]|(?:dollars?|euros?|eur|pounds|gbp|usd)\b)(?!\s?\d)"
_AFTER = rf"(?:\s{{0,9}}(?P<after>{_UNIT}))?"
_FIGURE = re.compile(
    rf"""
    (?<![^\W_])(?P<iso>\d{{4}}-\d\d-\d\d)(?![\w-])
    | (?<![^\W_])(?P<month>{_MONTH})\.?\s{{1,9}}(?P<day>\d\d?)(?:st|nd|rd|th)?(?:\s{{0,9}},\s{{0,9}}|\s{{1,9}})
      (?P<year>\d{{4}})\b
    | (?<![^\W_])(?P<day2>\d\d?(?:st|nd|rd|th)?|{"|".join(_ORDINALS)})(?:\s{{1,9}}day)?(?:\s{{1,9}}of)?[\s-]{{1,9}}
      (?P<month2>{_MONTH})\.?(?:\s{{0,9}},\s{{0,9}}|[\s-]{{1,9}})(?P<year2>\d{{4}})\b
    | (?:(?P<sign>{_SIGN})?(?P<before>{_CURRENCY})?
        (?:(?<![^\W_])|(?<=usd|eur|gbp))(?<!\d[.,'/:-])(?P<digits>\d++(?:[.,'/:-]\d++)*+)(?P<nth>(?:st|nd|rd|th))?(?![^\W_])
      | (?<![^\W_])(?P<words>{_NUMBER_WORD}(?:{_BETWEEN}{_NUMBER_WORD})*+)
      ){_TIMES}{_AFTER}
    | (?<![^\W_])(?P<ordinal>{"|".join(_ORDINALS)})\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PLAIN: dict[int, int | str] = {
    **{wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
    **dict.fromkeys((0x2018, 0x2019), "'"),
}
"""Full-width characters, dashes, the minus and apostrophes become what keyboards have, one for one."""
_GROUPED = (re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?"), re.compile(r"\d{1,3}(?:'\d{3})+(?:\.\d+)?"))
_GROUPED_BY_POINTS = re.compile(r"\d{1,3}(?:(?:\.\d{3}){2,}(?:,\d+)?|(?:\.\d{3})+,\d+)")
_BEFORE = re.compile(rf"(?:{_SIGN})?{_CURRENCY}?(?:\d[\d.,'/:-]*[.,'/:-])?\Z", re.IGNORECASE)
_BEHIND = re.compile(rf"(?:[.,'/:-]\d[\d.,'/:-]*(?<=\d))?{_TIMES}{_AFTER}", re.IGNORECASE)
_WORDS_BEFORE = re.compile(rf"(?<![^\W_])(?:{_NUMBER_WORD}{_BETWEEN})+\Z", re.IGNORECASE)
_WORDS_BEHIND = re.compile(rf"(?:{_BETWEEN}{_NUMBER_WORD})*{_AFTER}", re.IGNORECASE)
_FIRST_WORD = re.compile(_NUMBER_WORD, re.IGNORECASE)
_LAST_WORD = re.compile(rf"(?<![^\W_]){_NUMBER_WORD}\Z", re.IGNORECASE)
_WRITTEN = re.compile(
    rf"(?:{_SIGN})?{_CURRENCY}?\d++(?:[.,'/:-]\d++)*+{_TIMES.replace('1,9', '0,9')}{_AFTER}", re.IGNORECASE
)
_MARGIN = 40
"""So many characters beside a stretch can belong to a number that the stretch cuts."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, an amount, a rank or a date, with its place in the text."""

    begin: int
    end: int
    meaning: str
    """The same for figures that mean the same. What cannot be read for certain means what is written."""
    number: Decimal | None = None
    day: date | None = None


def figures(text: str) -> list[Figure]:
    """Return the figures of a text, in their order. "thirty (30)" is one figure."""
    plain = text.translate(_PLAIN)
    found: list[Figure] = []
    for match in _FIGURE.finditer(plain):
        figure = _read(match)
        if found and figure.meaning == found[-1].meaning and _in_brackets(plain, found[-1].end, figure):
            figure = replace(figure, begin=found.pop().begin, end=plain.index(")", figure.end) + 1)
        found.append(figure)
    return found


def written_numbers(text: str) -> list[str]:
    """Return the numbers in digits as a text writes the numbers: with separators, signs and units."""
    return [tight(match[0]) for match in _WRITTEN.finditer(text.translate(_PLAIN))]


def with_whole_numbers(text: str, begin: int, end: int) -> tuple[int, int]:
    """Widen a stretch by the rest of a number, the sign, the currency and the unit, of which the stretch has a part."""
    before = text[max(0, begin - _MARGIN) : begin].translate(_PLAIN)
    behind = text[end : end + _MARGIN].translate(_PLAIN)
    pattern = (
        _BEFORE if text[begin : begin + 1].isdigit() else _WORDS_BEFORE if _FIRST_WORD.match(text, begin) else None
    )
    if pattern and (found := pattern.search(before)):
        begin -= len(before) - found.start()
    ends_in_word = _LAST_WORD.search(text[max(0, end - _MARGIN) : end])
    pattern = _BEHIND if text[end - 1 : end].isdigit() else _WORDS_BEHIND if ends_in_word else None
    if pattern and (found := pattern.match(behind)):
        end += found.end()
    return begin, end


def tight(text: str) -> str:
    """Return what a text says when the space between its words is lost; digits that space parts stay parted."""
    plain = " ".join(text.translate(_PLAIN).split()).casefold()
    return re.sub(r"(?<!\d) | (?!\d)", "", plain)


def _in_brackets(plain: str, end: int, figure: Figure) -> bool:
    return plain[end : figure.begin].strip() == "(" and plain[figure.end : figure.end + 2].strip().startswith(")")


def _read(match: re.Match[str]) -> Figure:
    part = match.groupdict()
    if day := _day(part):
        return Figure(*match.span(), f"#{day}", None, day)
    if ordinal := part["ordinal"] or part["nth"]:
        rank = _ORDINALS.index(ordinal.lower()) + 1 if part["ordinal"] else part["digits"]
        return Figure(*match.span(), f"#{rank}th")
    number = _value(part)
    unit = " ".join(_unit(part[name] or "") for name in ("before", "after")).strip()
    sign = (part["sign"] or "").strip()
    if number is None:
        return Figure(*match.span(), f"#={tight(match[0])}")
    return Figure(*match.span(), f"#{sign}{_shown(part, number, unit)}{unit}", -number if sign == "-" else number)


def _unit(shown: str) -> str:
    plain = re.sub(r"\s", "", shown).lower()
    return _UNITS.get(plain, plain)


def _shown(part: dict[str, str], number: Decimal, unit: str) -> str:
    """Write a number. Section 1.10 is not section 1.1, and 007 is not 7: only amounts lose their zeros."""
    digits = part["digits"]
    if digits and not unit and not part["times"] and re.fullmatch(r"0\d*|\d+\.\d*0", digits):
        return digits
    return f"{number.normalize():f}"


def _day(part: dict[str, str]) -> date | None:
    try:
        if part["iso"]:
            return date.fromisoformat(part["iso"])
        if month := part["month"] or part["month2"]:
            shown = (part["day"] or part["day2"]).lower()
            day = _ORDINALS.index(shown) + 1 if shown in _ORDINALS else int(shown[:2].rstrip("stndrh"))
            return date(int(part["year"] or part["year2"]), 1 + _month(month), day)
        return date_in_digits(part["digits"] or "")
    except ValueError:  # the 31st of June
        return None


def _month(shown: str) -> int:
    return [month[:3] for month in _MONTHS].index(shown[:3].lower())


def date_in_digits(digits: str, *, month_first: bool | None = None) -> date | None:
    """Read "31/12/2024" or "12/31/2024". None if both orders are possible and the order is not known."""
    if not (match := re.fullmatch(r"(\d\d?)([/.-])(\d\d?)\2(\d{4})", digits)):
        return None
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    known = month_first if month_first is not None else second > 12 if max(first, second) > 12 else None
    if first != second and known is None:
        return None
    month, day = (first, second) if known else (second, first)
    return date(year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _value(part: dict[str, str]) -> Decimal | None:
    if part["words"]:
        return _value_of_words(re.split(r"[\s-]+", part["words"].lower()))
    number = number_in_digits(part["digits"] or "")
    return None if number is None else number * _LARGE.get((part["times"] or "").lower(), 1)


def number_in_digits(digits: str) -> Decimal | None:
    """Read a number with separators. None if the separators could mean something else: "1,5", "3-5"."""
    if len(digits) > _LONGEST:
        return None
    if any(pattern.fullmatch(digits) for pattern in _GROUPED):
        return Decimal(digits.replace(",", "").replace("'", ""))
    if _GROUPED_BY_POINTS.fullmatch(digits):
        return Decimal(digits.replace(".", "").replace(",", "."))
    return Decimal(digits) if re.fullmatch(r"\d+(?:\.\d+)?", digits) else None


def _value_of_words(words: list[str]) -> Decimal | None:
    """Read "two hundred and fifty thousand". None for words that do not make up one number, such as "one two"."""
    total, group, last = 0, 0, 10**12
    for word in words:
        if word == "and":
            continue
        if word in _SMALL:
            fits = last >= 100 or (last in range(20, 100) and 0 < _SMALL[word] < 10)
            if not fits:
                return None
            group, last = group + _SMALL[word], _SMALL[word]
        elif word == "hundred":
            group, last = max(group, 1) * 100, 100
        else:
            total, group, last = total + max(group, 1) * _LARGE[word], 0, _LARGE[word]
    return Decimal(total + group)
