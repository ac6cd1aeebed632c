"""The lists of a document's parts put together: what two parts list because they share some text is listed once."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

Parts = tuple[int, ...]
"""The numbers of parts, from 1 on, in their order."""
Given = Sequence[tuple[int, Any]]
"""What parts answered for one field: numbers of parts, in their order, with values that are not empty."""

_WINDOW = 400
"""So many entries of one part, at its end or at its beginning, are looked through for entries of the shared text."""
NAMESAKES = 20
"""So many entries of one name are looked through for the one that an entry agrees with."""
_MATCH = 3
"""What an entry in both lists counts; an entry in one of them counts -1. Where a part is cut, an entry may be torn."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of a merged list, with the parts that gave the item."""

    value: Any
    parts: Parts


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, a blank text, a list without items, or an object of such values."""
    match value:
        case str():
            return not value.strip()
        case list():
            return not value
        case dict():
            return all(map(is_empty, value.values()))
        case _:
            return value is None


def comparable(value: Any) -> Hashable:
    """Return what is equal exactly for equal values; white space in texts is all the same, and true is no number."""
    match value:
        case str():
            return " ".join(value.split())
        case bool():
            return (bool, value)
        case list():
            return (list, *map(comparable, value))
        case dict():
            return frozenset((name, comparable(inner)) for name, inner in value.items())
        case _:
            number: Hashable = value
            return number


def entries_of(given: Given) -> list[Entry]:
    """Return the items of all parts, one after the other."""
    return [Entry(value, (number,)) for number, values in given for value in values]


def without_repeats(given: Given) -> list[Entry]:
    """Return the items of all parts, and once only those that neighbouring parts list because they share some text.

    The order tells these items: they end one part's list and begin the next one's. Equal items elsewhere stay.
    """
    entries: list[Entry] = []
    before: list[int] = []
    last = 0
    for number, values in given:
        before = before if number == last + 1 else []
        same = shared([comparable(entries[at].value) for at in before], list(map(comparable, values)))
        places = []
        for index, value in enumerate(values):
            places.append(before[same[index]] if index in same else len(entries))
            _put(entries, places[-1], value, number)
        before, last = places, number
    return entries


def united(given: Given, key: Sequence[str]) -> list[Entry]:
    """Return one entry for each name, which `key` makes up, wherever in the document its entries stand.

    If one part has a name twice, the name is that of two entries. An entry without a name is named by all its fields.
    """
    entries: list[Entry] = []
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for number, values in given:
        for value in values:
            named = places[name_of(value, key)]
            free = list(islice((at for at in named if entries[at].parts[-1] != number), NAMESAKES))
            fitting = (at for at in free if agree(entries[at].value, value))
            place = next(fitting, free[0] if free else len(entries))
            if place == len(entries):
                named.append(place)
            _put(entries, place, value, number)
    return entries


def _put(entries: list[Entry], place: int, value: Any, number: int) -> None:
    """Add an entry of a part, or fill the entry that is there already."""
    if place == len(entries):
        entries.append(Entry(value, (number,)))
    else:
        entries[place] = Entry(_filled(entries[place].value, value), (*entries[place].parts, number))


def name_of(entry: Any, key: Sequence[str]) -> Hashable:
    """Return what names an entry: the fields of the key, or all fields if there is no key or nothing in the key."""
    values = {field: entry[field] for field in key} if entry is not None else {}
    return comparable(entry if is_empty(values) else values)


def _filled(first: Any, second: Any) -> Any:
    """Return the first value, with the second where the second says the same and more."""
    match first, second:
        case _ if is_empty(first):
            return second
        case dict(), dict():
            return {name: _filled(value, second[name]) for name, value in first.items()}
        case str(), str() if second.startswith(first):  # the end of a part cut the first
            return second
        case list(), list() if len(second) > len(first) and {*map(comparable, first)} <= {*map(comparable, second)}:
            return second
        case _:
            return first


def agree(one: Any, other: Any) -> bool:
    """Whether two entries contradict each other nowhere."""
    return comparable(_filled(one, other)) == comparable(_filled(other, one))


def shared(before: Sequence[Hashable], after: Sequence[Hashable]) -> dict[int, int]:
    """Find the end of one list at the beginning of the next: positions in `after`, each with its equal in `before`.

    This is the best alignment of an end with a beginning, as reads of DNA are put together.
    """
    skipped = max(0, len(before) - _WINDOW)
    tail, head = before[skipped:], after[:_WINDOW]
    if set(tail).isdisjoint(head):
        return {}
    scores = _scores(tail, head)
    i, j = len(tail), max(range(len(head) + 1), key=lambda column: scores[-1][column])
    found: dict[int, int] = {}
    if scores[i][j] <= 0:
        return found
    while i and j:
        if tail[i - 1] == head[j - 1] and scores[i][j] == scores[i - 1][j - 1] + _MATCH:
            i, j = i - 1, j - 1
            found[j] = skipped + i
        elif scores[i][j] == scores[i - 1][j] - 1:
            i -= 1
        else:
            j -= 1
    return found


def _scores(tail: Sequence[Hashable], head: Sequence[Hashable]) -> list[list[int]]:
    """Score the best alignment of the first i entries of `tail` with the first j of `head`, for every i and j.

    An alignment may begin late in `tail`, and begins with the first entry of `head`.
    """
    rows = [[-column for column in range(len(head) + 1)]]
    for one in tail:
        above, row = rows[-1], [0]
        for column, other in enumerate(head):
            best = max(above[column + 1], row[column]) - 1
            row.append(max(best, above[column] + _MATCH) if one == other else best)
        rows.append(row)
    return rows
