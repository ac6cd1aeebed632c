"""Rows as a table that fits the terminal, or one below the other where a table would not be readable."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from batchrun.cli.export_rows import as_cell
from batchrun.cli.views.format import count, cut
from batchrun.escaping import columns_of, escape_control

LEAST_WIDTH, READABLE, MOST_PADDED, GAP = 60, 12, 60, 2
"""The narrowest terminal on which values are shortened, the least that is left of a column then, the widest column that
is kept straight in a pipe, and the space between columns; all in columns of a terminal."""
Row = Sequence[object]


def table_lines(
    names: Sequence[str], read: Callable[[], Iterable[Row]], width: int | None, *, stamped: bool, left_out: int
) -> Iterator[str]:
    """Yield the lines of a table. `width` is the terminal's: values are shortened to fit; None shortens nothing.

    `read` reads the rows, and is called twice, so that no more than a few rows are in memory. `stamped` says whether
    the run is simulated, and `left_out` how many columns are not shown.
    """
    names = [escape_control(name) for name in names]
    natural, number = list(map(columns_of, names)), 0
    for row in read():
        natural = [max(size, columns_of(shown(cell))) for size, cell in zip(natural, row, strict=True)]
        number += 1
    if stamped:
        yield "SIMULATED"
    sizes = column_widths(natural, width)
    rows = ([shown(cell) for cell in row] for row in read())
    if sizes:
        cuts = width is not None
        for row in chain([names], rows):
            yield "  ".join(fitted(cell, size, cuts=cuts) for cell, size in zip(row, sizes, strict=True)).rstrip()
    else:
        yield from stacked(names, rows, width or LEAST_WIDTH)
    more = f" · {count(left_out, 'more column')}: --all-columns, or -o FILE" if left_out > 0 else ""
    yield cut(f"{count(number, 'row')}{more}", width)


def column_widths(natural: Sequence[int], width: int | None) -> list[int] | None:
    """Share the width of a terminal between columns: narrow columns get what they need, and wide ones share the rest.

    A width of None shortens nothing. Returns None if some column would not be readable.
    """
    if width is None:
        return [min(size, MOST_PADDED) for size in natural]
    left = width - GAP * (len(natural) - 1)
    if sum(natural) <= left:
        return list(natural)
    sizes = dict[int, int]()
    for number, column in enumerate(sorted(range(len(natural)), key=natural.__getitem__)):
        sizes[column] = min(natural[column], left // (len(natural) - number))
        left -= sizes[column]
    is_readable = all(size >= min(natural[column], READABLE) for column, size in sizes.items())
    return [sizes[column] for column in range(len(natural))] if is_readable and width >= LEAST_WIDTH else None


def fitted(cell: str, size: int, *, cuts: bool = True) -> str:
    """Return a cell as wide as its column. A longer cell is shortened, or with `cuts` off sticks out."""
    cell = cut(cell, size) if cuts else cell
    return cell + " " * (size - columns_of(cell))


def stacked(names: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    """Yield each row as a heading, the value of its first column, and a line for every other column."""
    label = min(max(map(columns_of, names[1:]), default=0), width // 3)
    for row in rows:
        yield cut(row[0], width)
        for name, cell in list(zip(names, row, strict=True))[1:]:
            yield cut(f"  {fitted(name, label)}  {cell}", width).rstrip()
        yield ""


def shown(value: object) -> str:
    """Return a value as the text in a cell."""
    return "" if value is None else escape_control(as_cell(value))
