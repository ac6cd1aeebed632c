"""The cells of a document of ExtractBench, counted: a cell is a field, or a field of an entry of a list."""

import json
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.quality.matching.pairing import MOST_PAIRED, Row, cheapest_assignment, greedy_pairs
from batchrun.quality.published.extract_bench_cells import equal, one_space, with_iso_dates

Entry = Mapping[str, Any]


@dataclass
class Cells:
    """The counts of one document."""

    rules: Mapping[str, Mapping[str, Any]]
    """The alternates and the normalizers of fields, by their paths in the expected answer, such as `items[0].price`."""
    right: int = 0
    expected: int = 0
    given: int = 0

    def add_fields(self, expected: Entry, given: Entry, schema: Mapping[str, Any]) -> None:
        """Add the fields of a document. A field that one side lacks is null there."""
        for name in sorted({*expected, *given} - {"_provenance"}):
            of_field = _object(schema.get(name))
            if of_field.get("type") == "array" or isinstance(expected.get(name), list):
                self._add_entries(name, _list(expected.get(name)), _list(given.get(name)), of_field)
            else:
                self.expected += 1
                self.given += 1
                self.right += self._equal(name, expected, given, name)

    def _add_entries(self, path: str, expected: list[Any], given: list[Any], schema: Mapping[str, Any]) -> None:
        """Add the entries of a list. A list whose entries are no objects has no cells."""
        columns = _columns(schema, expected)
        nested = [name for name in columns if any(_is_list_of_objects(_object(one).get(name)) for one in expected)]
        cells = [name for name in columns if name not in nested]
        self.expected += len(expected) * len(cells)
        self.given += len(given) * len(cells)
        ones, others = ([_object(entry) for entry in entries] for entries in (expected, given))
        pairs = dict(self._assigned(path, ones, others, cells or list(columns)))
        for at, to in pairs.items():
            place, one, other = f"{path}[{at}]", ones[at], others[to]
            self.right += sum(self._equal(f"{place}.{name}", one, other, name) for name in cells)
            for name in nested:
                self._add_entries(f"{place}.{name}", _list(one.get(name)), _list(other.get(name)), columns[name])
        without, extra = set(range(len(ones))) - set(pairs), set(range(len(others))) - set(pairs.values())
        for name in nested:
            self.expected += sum(_leaves(ones[at].get(name), columns[name]) for at in without)
            self.given += sum(_leaves(others[at].get(name), columns[name]) for at in extra)

    def _assigned(
        self, path: str, ones: Sequence[Entry], others: Sequence[Entry], names: Sequence[str]
    ) -> Iterator[tuple[int, int]]:
        """Assign entries one to one so that few cells differ: equal entries first, the rest at best if it is short."""
        waiting, left = defaultdict[Row, deque[int]](deque), list[int]()
        for to, other in enumerate(others):
            waiting[_row(other, names)].append(to)
        for at, one in enumerate(ones):
            if same := waiting.get(_row(one, names)):
                yield at, same.popleft()
            else:
                left.append(at)
        free = sorted(to for same in waiting.values() for to in same)
        if max(len(left), len(free)) > MOST_PAIRED:
            few, many = [_row(ones[at], names) for at in left], [_row(others[to], names) for to in free]
            alike = {left[at]: free[to] for at, to, _ in greedy_pairs(few, many)}
            yield from alike.items()
            yield from zip(sorted({*left} - alike.keys()), sorted({*free} - {*alike.values()}), strict=False)
            return
        costs = [
            [sum(not self._equal(f"{path}[{at}].{name}", ones[at], others[to], name) for name in names) for to in free]
            for at in left
        ]
        if len(left) <= len(free):
            yield from ((left[row], free[to]) for to, row in enumerate(cheapest_assignment(costs)) if row >= 0)
        else:
            rows = cheapest_assignment([list(column) for column in zip(*costs, strict=True)])
            yield from ((left[at], free[row]) for at, row in enumerate(rows) if row >= 0)

    def _equal(self, path: str, expected: Entry, given: Entry, name: str) -> bool:
        rule = self.rules.get(path, {})
        values = (_object(one).get("value") for one in _list(rule.get("evidence")))
        accepted = (expected.get(name), *(with_iso_dates(value) for value in values if value is not None))
        return any(equal(one, given.get(name), name, _list(rule.get("normalizers"))) for one in accepted)


def _row(entry: Entry, names: Sequence[str]) -> Row:
    values = (entry.get(name) for name in names)
    return tuple(json.dumps(one_space(one) if isinstance(one, str) else one, sort_keys=True) for one in values)


def _columns(schema: Mapping[str, Any], entries: Sequence[Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the columns of a list with their schemas: those of its schema, else those that its entries have."""
    named = _object(_object(schema.get("items")).get("properties"))
    names = named or sorted({name for entry in entries for name in _object(entry)})
    return {name: _object(named.get(name)) for name in names}


def _leaves(value: Any, schema: Mapping[str, Any]) -> int:
    """Count the cells of a value that has no counterpart."""
    if not (isinstance(value, list) and any(isinstance(one, dict) for one in value)):
        return 1
    columns = _columns(schema, value)
    return sum(_leaves(_object(one).get(name), inner) for one in value for name, inner in columns.items())


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
