"""The pairing of the entries of two lists, so that as many cells as possible are equal."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

Row = tuple[Hashable, ...]
"""The keys of the cells of an entry, in the order of the members; None is an empty cell."""

MOST_PAIRED = 200
"""So many rows on a side are paired at best, in about a second. More rows take the third power of the time."""
_NAMESAKES = 20
"""So many rows that share a cell are looked at where rows are too many to be paired at best."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """How well the rows of two lists fit."""

    hits: int
    """The cells that are equal in paired rows; two empty cells are no hit."""
    greedy: bool
    """Whether the rows were too many, so that another pairing may have more hits."""


def pair(gold: Sequence[Row], given: Sequence[Row]) -> Pairing:
    """Pair the rows of two lists so that the hits are most.

    Equal rows are paired first, which costs no hit: a row shares with two rows at most as many cells more than these
    two share with each other as the row has cells. The rest is an assignment problem. If more than `MOST_PAIRED` rows
    are left on a side, each row takes the best of some rows that share a cell with the row.
    """
    wanted, found = Counter(gold), Counter(given)
    equal = sum(_filled(row) * number for row, number in (wanted & found).items())
    left, other = list((wanted - found).elements()), list((found - wanted).elements())
    few, many = sorted((left, other), key=len)
    greedy = len(many) > MOST_PAIRED and bool(few)
    return Pairing(equal + (_greedy_hits(left, other) if greedy else _most_hits(few, many)), greedy)


def _filled(row: Row) -> int:
    return sum(cell is not None for cell in row)


def _hits(row: Row, other: Row) -> int:
    return sum(cell is not None and cell == opposite for cell, opposite in zip(row, other, strict=True))


def _most_hits(few: Sequence[Row], many: Sequence[Row]) -> int:
    hits = [[_hits(row, other) for other in many] for row in few]
    rows = cheapest_assignment([[-shared for shared in row] for row in hits])
    return sum(hits[row][column] for column, row in enumerate(rows) if row >= 0)


def cheapest_assignment(costs: Sequence[Sequence[int]]) -> list[int]:
    """Return a row for each column so that the costs are least in sum, and -1 for a column without a row.

    There are at least as many columns as rows. This is the Hungarian algorithm (Kuhn 1955), in which each new row looks
    for the shortest path to a free column by reduced costs (Edmonds and Karp 1972): O(rows^2 * columns).
    """
    columns = len(costs[0]) if costs else 0
    owners, row_prices, column_prices = [-1] * columns, [0.0] * len(costs), [0.0] * columns
    for new, _ in enumerate(costs):
        lengths, origins, waiting = [inf] * columns, [-1] * columns, set(range(columns))
        row, column, length = new, -1, 0.0
        while row >= 0:
            row_costs, base = costs[row], length - row_prices[row]
            for other in waiting:
                if (through := base + row_costs[other] - column_prices[other]) < lengths[other]:
                    lengths[other], origins[other] = through, column
            column = min(waiting, key=lengths.__getitem__)
            waiting.remove(column)
            row, length = owners[column], lengths[column]
        row_prices[new] += length
        for passed in set(range(columns)) - waiting - {column}:
            row_prices[owners[passed]] += length - lengths[passed]
            column_prices[passed] -= length - lengths[passed]
        while column >= 0:
            origin = origins[column]
            owners[column] = owners[origin] if origin >= 0 else new
            column = origin
    return owners


def _greedy_hits(gold: Sequence[Row], given: Sequence[Row]) -> int:
    """Count the hits if each gold row takes the best of those rows that are left, of `_NAMESAKES` for each cell."""
    places: defaultdict[tuple[int, Hashable], list[int]] = defaultdict(list)
    for number in reversed(range(len(given))):
        for cell in _cells(given[number]):
            places[cell].append(number)
    taken: set[int] = set()
    total = 0
    for row in gold:
        near = {number for cell in _cells(row) for number in _first_left(places[cell], taken)}
        if near:
            hits, best = max((_hits(row, given[number]), -number) for number in near)
            taken.add(-best)
            total += hits
    return total


def _cells(row: Row) -> Iterator[tuple[int, Hashable]]:
    return ((at, cell) for at, cell in enumerate(row) if cell is not None)


def _first_left(numbers: list[int], taken: set[int]) -> list[int]:
    """Return the last of some numbers that nobody has taken; taken numbers at the end are thrown away."""
    while numbers and numbers[-1] in taken:
        numbers.pop()
    return [number for number in numbers[-_NAMESAKES:] if number not in taken]
