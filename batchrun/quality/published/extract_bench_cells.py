"""The cells of ExtractBench: which cells an answer and the expected answer have, and when two cells are equal."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from batchrun.quality.matching.pairing import MOST_PAIRED, cheapest_assignment

FUZZY: Mapping[str, float] = {"description": 0.95, "court": 0.85}
"""Names of fields whose texts are equal from a similarity on, in the code of the benchmark; its README has none."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBERS = re.compile(
    r"(?:(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})|(?P<m2>\d{1,2})(?P<s>[/-])(?P<d2>\d{1,2})(?P=s)(?P<y2>\d{4}|\d\d))"
    r"(?:[T ]\d{1,2}:\d\d\S*)?"
)
_NAMED = re.compile(
    r"(?:[A-Za-z]+[.,]* )?(?:(?P<m>[A-Za-z]+)\.? (?P<d>\d{1,2})|(?P<d2>\d{1,2}) (?P<m2>[A-Za-z]+)\.?),?"
    r" (?P<y>\d{4})(?P<y2>)"
)
_NAMESAKES = 20
"""So many entries that share a cell are looked at where a list is too long for the best assignment."""
_CENTURY_ENDS = 75
"""The last year of two digits that is 20xx: the benchmark takes the century that is nearer, here as of 2026."""


@lru_cache(maxsize=65_536)
def iso_date(text: str) -> str:
    """Write a date in one of the benchmark's eight forms as YYYY-MM-DD, the month first; another text stays."""
    probe = re.sub(r"\s*,\s*", ", ", text.strip())
    found = _NUMBERS.fullmatch(probe) or _NAMED.fullmatch(probe) if 4 <= len(text) <= 50 else None
    if found is None:
        return text
    parts = found.groupdict()
    year, month = parts["y"] or parts["y2"], parts["m"] or parts["m2"]
    day = int(parts["d"] or parts["d2"])
    months = [number for number, name in enumerate(_MONTHS, 1) if month.lower().startswith(name)]
    number = int(month) if month.isdigit() else next(iter(months), 0)
    whole = int(year) + (0 if len(year) == 4 else 2000 if int(year) <= _CENTURY_ENDS else 1900)
    if number > 12 >= day:
        number, day = day, number
    try:
        return date(whole, number, day).isoformat() if 1900 <= whole <= 2100 else text
    except ValueError:
        return text


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


def _one_space(text: str) -> str:
    return " ".join(text.split())


_FOLDS: Mapping[str, Callable[[str], str]] = {
    "optional_terminal_punctuation": lambda text: re.sub(r"\s*[.,;:]\s*$", "", text.strip()),
    "punctuation_spacing": lambda text: re.sub(r"\s*([,.;:])\s*", r"\1", text),
    "case_insensitive": lambda text: _one_space(text).casefold(),
    "phone_digits": lambda text: re.sub(r"\D", "", text)[-10:],
}
"""What a normalizer of a field makes of a text; two texts of which it leaves nothing are not made equal."""


def equal(expected: Any, given: Any, name: str, normalizers: Sequence[str] = ()) -> bool:
    """Whether two cells are equal: by the rule for all fields, or by a normalizer of the field."""
    if _plainly_equal(expected, given, name):
        return True
    if "null_equals_false" in normalizers and all(one is None or one is False for one in (expected, given)):
        return True
    if not (isinstance(expected, str) and isinstance(given, str)):
        return False
    folds = (_FOLDS[normalizer] for normalizer in normalizers if normalizer in _FOLDS)
    if any((one := fold(expected)) and _plainly_equal(one, fold(given), name) for fold in folds):
        return True
    return "lenient_date" in normalizers and bool(_readings(expected) & _readings(given))


def _plainly_equal(expected: Any, given: Any, name: str) -> bool:
    if not (isinstance(expected, str) and isinstance(given, str)):
        return bool(expected == given)
    if name in FUZZY:
        one, other = (_one_space(re.sub(r"[^\w\s]", " ", text)).lower() for text in (expected, given))
        return one == other or (bool(one and other) and similarity(one, other) >= FUZZY[name])
    return _one_space(expected) == _one_space(given)


def similarity(one: str, other: str) -> float:
    """Return 2 * LCS / (lengths together), the normalised indel similarity.

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


def _readings(text: str) -> set[str]:
    """List the dates that a date of a scanned form may be: 19 55 is 1955, and a year 43 is 1943 or 2043."""
    joined = re.sub(r"(?<=\d)(\D*)\b(19|20)\s+(\d\d)\b", r"\1\2\3", text)
    ends = [found for base in {text, joined} if (found := re.fullmatch(r"(.*\d.*[ ,/-])(\d\d)\s*", base))]
    rewritten = [joined, *(f"{end[1]}{century}{end[2]}" for end in ends for century in (19, 20))]
    dates = (iso_date(one) for one in rewritten)
    return {iso_date(text), *(one for one in dates if re.fullmatch(r"\d{4}-\d\d-\d\d", one))}


@dataclass
class Cells:
    """Counts the cells of one document: a cell is a field, or a field of an entry of a list at any depth."""

    rules: Mapping[str, Mapping[str, Any]]
    """The alternates and the normalizers of fields, by their paths in the expected answer, such as `items[0].price`."""
    right: int = 0
    expected: int = 0
    given: int = 0

    def add_fields(self, expected: Mapping[str, Any], given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
        """Add the fields of a document. A field that one side lacks is null there."""
        for name in sorted({*expected, *given} - {"_provenance"}):
            of_field = _object(schema.get(name))
            if of_field.get("type") == "array" or isinstance(expected.get(name), list):
                self._add_entries(name, _list(expected.get(name)), _list(given.get(name)), of_field)
            else:
                self.expected += 1
                self.given += 1
                self.right += self._equal(name, expected.get(name), given.get(name), name)

    def _add_entries(self, path: str, expected: list[Any], given: list[Any], schema: Mapping[str, Any]) -> None:
        """Add the entries of a list. A list whose entries are no objects has no cells."""
        of_columns = _columns(schema, expected)
        nested = [name for name in of_columns if any(_is_list_of_objects(_object(one).get(name)) for one in expected)]
        cells = [name for name in of_columns if name not in nested]
        self.expected += len(expected) * len(cells)
        self.given += len(given) * len(cells)
        ones, others = ([_object(entry) for entry in entries] for entries in (expected, given))
        pairs = dict(self._assigned(path, ones, others, cells or list(of_columns)))
        for at, to in pairs.items():
            place, one, other = f"{path}[{at}]", ones[at], others[to]
            self.right += sum(self._equal(f"{place}.{name}", one.get(name), other.get(name), name) for name in cells)
            for name in nested:
                self._add_entries(f"{place}.{name}", _list(one.get(name)), _list(other.get(name)), of_columns[name])
        without, extra = set(range(len(ones))) - set(pairs), set(range(len(others))) - set(pairs.values())
        for name in nested:
            self.expected += sum(_leaves(ones[at].get(name), of_columns[name]) for at in without)
            self.given += sum(_leaves(others[at].get(name), of_columns[name]) for at in extra)

    def _assigned(
        self, path: str, ones: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], names: list[str]
    ) -> Iterator[tuple[int, int]]:
        """Assign entries one to one so that few cells differ: equal entries first, the rest at best if it is short."""
        waiting = defaultdict[str, list[int]](list)
        for to, other in reversed(list(enumerate(others))):
            waiting[_key(other, names)].append(to)
        left = list[int]()
        for at, one in enumerate(ones):
            if same := waiting.get(_key(one, names)):
                yield at, same.pop()
            else:
                left.append(at)
        free = sorted(to for same in waiting.values() for to in same)
        if max(len(left), len(free)) > MOST_PAIRED:
            yield from _greedy(left, free, ones, others, names)
            return
        costs = [[self._cost(f"{path}[{at}]", ones[at], others[to], names) for to in free] for at in left]
        if len(left) <= len(free):
            yield from ((left[row], free[to]) for to, row in enumerate(cheapest_assignment(costs)) if row >= 0)
        else:
            rows = cheapest_assignment([list(column) for column in zip(*costs, strict=True)])
            yield from ((left[at], free[row]) for at, row in enumerate(rows) if row >= 0)

    def _cost(self, place: str, one: Mapping[str, Any], other: Mapping[str, Any], names: list[str]) -> int:
        return sum(not self._equal(f"{place}.{name}", one.get(name), other.get(name), name) for name in names)

    def _equal(self, path: str, expected: Any, given: Any, name: str) -> bool:
        rule = self.rules.get(path, {})
        found = (_object(one).get("value") for one in _list(rule.get("evidence")))
        alternates = (with_iso_dates(value) for value in found if value is not None)
        normalizers = _list(rule.get("normalizers"))
        return any(equal(one, given, name, normalizers) for one in (expected, *alternates))


def _greedy(
    left: Sequence[int],
    free: Sequence[int],
    ones: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    names: list[str],
) -> Iterator[tuple[int, int]]:
    """Give each entry, in order, one of the free entries that share most cells with it, or else the next free one."""
    sharing = defaultdict[tuple[str, str], list[int]](list)
    for to in free:
        for name in names:
            sharing[name, _key(others[to], [name])].append(to)
    unused, rest = dict.fromkeys(free), list[int]()
    for at in left:
        cells = (sharing.get((name, _key(ones[at], [name])), []) for name in names)
        near = Counter(to for cell in cells for to in cell[:_NAMESAKES] if to in unused)
        if near:
            best = near.most_common(1)[0][0]
            del unused[best]
            yield at, best
        else:
            rest.append(at)
    yield from zip(rest, unused, strict=False)


def _key(entry: Mapping[str, Any], names: Sequence[str]) -> str:
    values = (entry.get(name) for name in names)
    return json.dumps([_one_space(value) if isinstance(value, str) else value for value in values], sort_keys=True)


def _columns(schema: Mapping[str, Any], entries: Sequence[Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the columns of a list with their schemas: those of its schema, else those that its entries have."""
    named = _object(_object(schema.get("items")).get("properties"))
    names = named or sorted({name for entry in entries for name in _object(entry)})
    return {name: _object(named.get(name)) for name in names}


def _leaves(value: Any, schema: Mapping[str, Any]) -> int:
    """Count the cells of a value that has no counterpart."""
    if not (isinstance(value, list) and any(isinstance(one, dict) for one in value)):
        return 1
    of_columns = _columns(schema, value)
    return sum(_leaves(_object(one).get(name), inner) for one in value for name, inner in of_columns.items())


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
