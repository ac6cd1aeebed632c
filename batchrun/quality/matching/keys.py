"""What a match rule takes as equal: every value has a key, and two values match if their keys are equal.

No value is an error: a value of a shape that a rule does not expect has a key as well, and is another value.
"""

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unicodedata import category, normalize

from batchrun.answers.evidence.folding import fold
from batchrun.answers.spellings import currency, day, moment, number
from batchrun.answers.values import uniform
from batchrun.quality.matching.pairing import Row
from batchrun.quality.matching.rules import MatchRule

_STRETCH = 1_000
"""So many characters of a word are normalised at once: Python sorts the marks of a letter in quadratic time."""
_LEGAL_FORM = re.compile(
    "ab|ag|as|bv|co|company|corp|corporation|gmbh|inc|incorporated|kg|kgaa|limited|llc|llp|lp|ltd|nv|oy|plc|pty|sa|sarl"
    "|sas|se|spa|srl"
)
_MOMENT = {"format": "date-time"}


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with the currency that stands beside it; the currency is None if none stands there."""

    number: Decimal
    currency: str | None = None


def key_of(rule: MatchRule, value: Any) -> Hashable | None:
    """Return the key of a value under a rule.

    Returns None if there is no value: for null, a blank text, an empty list and an object of nothing but such members.
    """
    if rule.name in {"set", "entries"}:
        entries = rows_of(rule, value) if rule.name == "entries" else entry_keys(rule, value)
        return frozenset(Counter(entries).items()) if entries else None
    if rule.name == "members":
        row = row_of(rule, value)
        return row if _has_value(row) else None
    plain = plain_key(value)
    if isinstance(plain, str):
        return _text_key(rule, plain)
    return Amount(plain) if rule.name == "number" and isinstance(plain, Decimal) else plain


def entry_keys(rule: MatchRule, value: Any) -> list[Hashable]:
    """Return the keys of the entries of a `set`. Entries without a value are left out.

    A value that is no list has one entry, which no list has.
    """
    if rule.item is None or not isinstance(value, list | tuple):
        alone = plain_key(value)
        return [] if alone is None else [("no list", alone)]
    return [key for one in value if (key := key_of(rule.item, one)) is not None]


def rows_of(rule: MatchRule, value: Any) -> list[Row]:
    """Return the entries of a list of objects as rows. Rows without a value, and what is no list: as `entry_keys`."""
    entries = value if isinstance(value, list | tuple) else [] if value is None else [("no list", value)]
    return [row for row in (row_of(rule, one) for one in entries) if _has_value(row)]


def _has_value(row: Row) -> bool:
    return any(cell is not None for cell in row)


def row_of(rule: MatchRule, value: Any) -> Row:
    """Return the keys of the members that the rule names, and None; for a value that is no object, its key stands last.

    Members that the rule does not name are not compared.
    """
    if isinstance(value, Mapping):
        return (*(key_of(member, value.get(name)) for name, member in rule.members), None)
    return (*(None for _ in rule.members), plain_key(value))


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
            return _number_key(value)
        case list() | tuple() | Mapping():
            return _flat(value) if value else None
        case _:
            return folded(str(value))


def _number_key(value: float | Decimal) -> Hashable:
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return exact if exact.is_finite() else str(exact)


def _flat(value: Any) -> tuple[Hashable, ...]:
    """Write a list or an object as one row of keys, in which the length stands before what is inside."""
    flat: list[Hashable] = []
    waiting = [value]
    while waiting:
        match waiting.pop():
            case Mapping() as members:
                flat.append((dict, len(members)))
                for name in sorted(members, key=str):
                    waiting += (members[name], str(name))
            case list() | tuple() as entries:
                flat.append((list, len(entries)))
                waiting += reversed(entries)
            case plain:
                flat.append(plain_key(plain))
    return tuple(flat)


def _text_key(rule: MatchRule, text: str) -> Hashable:
    """Return the key of a folded text; what a rule cannot read is compared as text."""
    match rule.name:
        case "casefold":
            return folded(text.casefold())
        case "names":
            return _name_key(text, ignore_legal_form=rule.ignore_legal_form) or text
        case "tokens":
            return fold(text).spaced.strip() or text
        case "date":
            return day(text) or (moment(text) or "").partition("T")[0] or text
        case "datetime":
            time: str = uniform(moment(text) or text, _MOMENT)
            return time
        case "number":
            found = number(text, whole=False)
            return text if found is None else Amount(Decimal(found), currency(text))
        case _:
            return text


def folded(text: str) -> str:
    """Return a text in Unicode's form NFC, with one space for all white space between words and none around them."""
    words = text.split()
    return " ".join(words if text.isascii() else (_normal("NFC", word) for word in words))


def _normal(form: Any, word: str) -> str:
    return "".join(normalize(form, word[at : at + _STRETCH]) for at in range(0, len(word), _STRETCH))


def _name_key(text: str, *, ignore_legal_form: bool) -> str:
    plain = " ".join(_normal("NFKC", word) for word in text.replace(",", " ").split()).casefold()
    words = [letters for word in plain.split() if (letters := "".join(filter(_is_of_name, word)))]
    while ignore_legal_form and len(words) > 1 and _LEGAL_FORM.fullmatch(words[-1]):
        words.pop()
    return "".join(words)


def _is_of_name(character: str) -> bool:
    """Whether a character is no punctuation, space or control character: a mark of a letter belongs to a name."""
    return character.isalnum() or category(character)[0] not in "PZC"
