"""What a match rule takes as equal: every value has a key, and two values match if their keys are equal.

No value is an error: a value of a shape that a rule does not expect has a key as well, and is another value.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from unicodedata import category, normalize

from batchrun.answers.evidence.folding import fold
from batchrun.answers.spellings import currency, day, moment, number
from batchrun.answers.values import uniform
from batchrun.job.match_rules import MatchName, MatchRule
from batchrun.quality.matching.pairing import Row

_STRETCH = 1_000
"""So many characters of a word are normalised at once: Python sorts the marks of a letter in quadratic time."""
_LEGAL_FORM = re.compile(
    "|ab|ag|as|bv|co|company|corp|corporation|gmbh|inc|incorporated|kg|kgaa|limited|llc|llp|lp|ltd|nv|oy|plc|pty|sa"
    "|sarl|sas|se|spa|srl"
)
"""A legal form at the end of a company's name, or a word without letters: "GmbH & Co. KG" is four of them."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with the currency that stands beside it, such as "EUR"; None if no currency stands there."""

    number: Decimal
    currency: str | None = None


def key_of(rule: MatchRule, value: Any) -> Hashable | None:
    """Return the key of a value under a rule.

    Returns None if there is no value: for null, a blank text, an empty list and an object of nothing but such members.
    """
    if rule.name in {"set", "entries", "members"}:
        return frozenset(Counter(rows_of(rule, value)).items()) or None
    plain = plain_key(value)
    if isinstance(plain, str):
        text = _without_legal_form(plain) if rule.ignore_legal_form else plain
        return _READERS[rule.name](text) or text if rule.name in _READERS else text
    return Amount(plain) if rule.name == "number" and isinstance(plain, Decimal) else plain


def rows_of(rule: MatchRule, value: Any) -> list[Row]:
    """Return the entries of a list as rows of cells, without the rows that have no value; an object is one entry.

    A row of a `set` has one cell. Any other row has a cell for each member that the rule names, and a last cell for
    what is no object. A member that is a list or an object is one cell. What is no list has one row, which no list has.
    """
    if rule.name == "members":
        rows = [_row(rule, value)]
    elif isinstance(value, list | tuple):
        rows = [_row(rule, entry) for entry in value]
    else:
        key = plain_key(value)
        rows = [(*(None for _ in rule.members), key and ("no list", key))]
    return [row for row in rows if any(cell is not None for cell in row)]


def _row(rule: MatchRule, entry: Any) -> Row:
    if rule.item is not None:
        return (key_of(rule.item, entry),)
    if isinstance(entry, dict):
        return (*(key_of(member, entry.get(name)) for name, member in rule.members), None)
    return (*(None for _ in rule.members), plain_key(entry))


def plain_key(value: Any) -> Hashable | None:
    """Return a key that tells a value from every other value: true from 1, and a text from a number.

    Texts are folded, and numbers are equal however they are written. Returns None if there is no value. The key of a
    list or an object is made without recursion: the value may be nested as deeply as memory allows.
    """
    match value:
        case None:
            return None
        case str():
            return folded(value) or None
        case bool():
            return (bool, value)
        case int() | float() | Decimal():
            exact = Decimal(repr(value) if isinstance(value, float) else value)
            return exact if exact.is_finite() else str(exact)
        case list() | tuple() | dict():
            return _flat(value) if value else None
        case _:
            return folded(str(value))


def _flat(value: Any) -> tuple[Hashable, ...]:
    """Write a list or an object as one row of keys, in which the length stands before what is inside."""
    flat: list[Hashable] = []
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as members:
                flat.append((dict, len(members)))
                for name in sorted(members, key=str):
                    waiting += (members[name], str(name))
            case list() | tuple() as entries:
                flat.append((list, len(entries)))
                waiting += entries
            case plain:
                flat.append(plain_key(plain))
    return tuple(flat)


def folded(text: str) -> str:
    """Return a text in Unicode's form NFC, with one space for all white space between words and none around them."""
    words = text.split()
    return " ".join(words if text.isascii() else (_normal("NFC", word) for word in words))


def _normal(form: Literal["NFC", "NFKC"], word: str) -> str:
    return "".join(normalize(form, word[at : at + _STRETCH]) for at in range(0, len(word), _STRETCH))


def _letters(word: str) -> str:
    """Return a word without case, punctuation and control characters. The marks of letters stay."""
    plain = _normal("NFKC", word).casefold()
    return plain if plain.isalnum() else "".join(sign for sign in plain if category(sign)[0] not in "PZC")


def _without_legal_form(name: str) -> str:
    words = name.replace(",", " ").split()
    while len(words) > 1 and _LEGAL_FORM.fullmatch(_letters(words[-1])):
        words.pop()
    return " ".join(words)


def _day(text: str) -> str | None:
    return day(text) or (moment(text) or "").partition("T")[0]


def _moment(text: str) -> Hashable:
    time: Hashable = uniform(moment(text) or text, {"format": "date-time"})
    return time


def _amount(text: str) -> Amount | None:
    found = number(text, whole=False)
    return None if found is None else Amount(Decimal(found), currency(text))


_READERS: Mapping[MatchName, Callable[[str], Hashable | None]] = {
    "casefold": lambda text: folded(text.casefold()),
    "names": lambda text: "".join(map(_letters, text.split())),
    "tokens": lambda text: fold(text).spaced.strip(),
    "date": _day,
    "datetime": _moment,
    "number": _amount,
}
"""What a folded text means under a rule. A text that means nothing under the rule is compared as a text."""
