"""The pairing of the entries of two lists, so that as many cells as possible are equal."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf

Row = tuple[Hashable, ...]
"""The keys of the cells of an entry, in the order of the members; None is an empty cell."""

MOST_PAIRED = 200
"""So many rows on a side are paired at best, in about half a second; the time grows with the third power."""
_NAMESAKES = 100
"""So many rows that share a cell are looked at where rows are too many to be paired at best."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """How well the rows of two lists fit."""

    hits: int
    """The cells that are equal in paired rows. Two empty cells are no hit."""
    greedy: bool
    """Whether the rows were too many, so that another pairing may have more hits."""


def pair(gold: Sequence[Row], given: Sequence[Row]) -> Pairing:
    """Pair the rows of two lists so that the hits are most.

    Equal rows are paired first. This costs no hit: what a row shares with two others is at most the whole row and what
    the two others share. The rows that are left are an assignment problem. If more than `MOST_PAIRED` rows are left on
    a side, the pairing is greedy, and 10,000 rows of 20 members take some seconds.
    """
    wanted, found = Counter(gold), Counter(given)
    equal = sum(len(list(_cells(row))) * number for row, number in (wanted & found).items())
    few, many = sorted((list((wanted - found).elements()), list((found - wanted).elements())), key=len)
    if not few or len(few[0]) == 1:  # rows of one cell share nothing unless they are equal
        return Pairing(equal, greedy=False)
    if len(many) > MOST_PAIRED:
        return Pairing(equal + sum(hits for _, _, hits in greedy_pairs(few, many)), greedy=True)
    return Pairing(equal + _most_hits(few, many), greedy=False)


def _cells(row: Row) -> Iterator[tuple[int, Hashable]]:
    return (cell for cell in enumerate(row) if cell[1] is not None)


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
    for new in range(len(costs)):
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


def greedy_pairs(few: Sequence[Row], many: Sequence[Row]) -> Iterator[tuple[int, int, int]]:
    """Yield pairs of rows by their numbers, with the hits of each pair. Rows that share nothing are not paired.

    Those rows are paired first that share most. A row whose partner is taken looks again.
    """
    places: defaultdict[tuple[int, Hashable], list[int]] = defaultdict(list)
    for number in reversed(range(len(many))):
        for cell in _cells(many[number]):
            places[cell].append(number)
    taken: set[int] = set()
    waiting = [(-len(row), at, -1) for at, row in enumerate(few)]
    heapify(waiting)
    while waiting:
        less, at, number = heappop(waiting)
        if number >= 0 and number not in taken:
            taken.add(number)
            yield at, number, -less
        elif (partner := _partner(few[at], places, taken)) is not None:
            heappush(waiting, (-_hits(few[at], many[partner]), at, partner))


def _partner(row: Row, places: Mapping[tuple[int, Hashable], list[int]], taken: set[int]) -> int | None:
    """Return the row that shares most cells, of the first that are left for each cell; None if no row shares any."""
    shared = Counter(number for cell in _cells(row) for number in _first_left(places.get(cell, []), taken))
    return max(shared, key=shared.__getitem__, default=None)


def _first_left(numbers: list[int], taken: set[int]) -> list[int]:
    """Return the last of some numbers that nobody has taken; taken numbers at the end are thrown away."""
    while numbers and numbers[-1] in taken:
        numbers.pop()
    return [number for number in numbers[-_NAMESAKES:] if number not in taken]
