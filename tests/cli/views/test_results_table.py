"""The table of results: it fits a terminal, and a pipe gets everything."""

from collections.abc import Sequence

import pytest

from batchrun.cli.views.results_table import column_widths, table_lines
from batchrun.escaping import columns_of

NAMES = ["doc_id", "title", "pages", "party"]
LONG = "Rahmenvertrag über die Lieferung von Prüfständen zwischen den Parteien"
ROWS = [["müller/1.txt", LONG, 12, "Müller GmbH"], ["b/2.txt", "短い契約書", None, "株式会社東京"]]


def lines(width: int | None, rows: Sequence[Sequence[object]] = ROWS, **options: object) -> list[str]:
    return list(table_lines(NAMES, lambda: rows, width, **({"stamped": False, "left_out": 0} | options)))


def test_at_80_columns_the_long_column_gives_way() -> None:
    assert lines(80) == [
        "doc_id        title                                          pages  party",
        "müller/1.txt  Rahmenvertrag über die Lieferung von Prüfstä…  12     Müller GmbH",
        "b/2.txt       短い契約書                                            株式会社東京",
        "2 rows",
    ]
    assert all(columns_of(line) <= 80 for line in lines(80))


@pytest.mark.parametrize("width", [200, None])
def test_where_there_is_room_nothing_is_cut(width: int | None) -> None:
    header, first, second, total = lines(width, left_out=5)
    assert LONG in first
    ends = {columns_of(line[: line.index(name)]) for line, name in ((first, "Müller G"), (second, "株"))}
    assert len(ends) == (1 if width else 2), "in a pipe a long value moves what stands behind it"
    assert total == "2 rows · 5 more columns: --all-columns, or -o FILE"
    assert header.split() == NAMES


def test_a_pipe_gets_long_values_and_its_columns_stay_narrow() -> None:
    _, first, second, _ = lines(None, [["1", LONG * 3, 1, "a"], ["2", "b", 2, "c"]])
    assert LONG * 3 in first
    assert len(second) < 80


@pytest.mark.parametrize(("width", "stacks"), [(80, False), (46, True), (60, False), (20, True)])
def test_a_narrow_terminal_gets_rows_one_below_the_other(width: int, stacks: bool) -> None:
    shown = lines(width, stamped=True)
    assert shown[0] == "SIMULATED"
    assert all(columns_of(line) <= width for line in shown)
    assert ("b/2.txt" in shown) == stacks
    if width == 46:
        assert shown[1:6] == [
            "müller/1.txt",
            "  title  Rahmenvertrag über die Lieferung von…",
            "  pages  12",
            "  party  Müller GmbH",
            "",
        ]


def test_nothing_in_a_cell_commands_the_terminal() -> None:
    shown = "\n".join(lines(60, [["a\x1b[2J", "x\r\ny\u202e", 1, {"ü": "\x9b"}], ["b", "c", 2, ["ä"]]]))
    assert not {"\x1b", "\r", "\x9b", "\u202e"} & set(shown)
    assert '["ä"]' in shown


WIDTHS = {
    "all fit": ([5, 10, 5], 30, [5, 10, 5]),
    "wide ones share": ([5, 100, 50], 60, [5, 26, 25]),
    "what one leaves another takes": ([5, 100, 20], 60, [5, 31, 20]),
    "not readable": ([30, 30, 30, 30, 30, 30], 80, None),
    "narrow columns on a narrow terminal": ([5, 10], 20, [5, 10]),
    "a wide one on a narrow terminal": ([5, 100], 59, None),
    "a pipe": ([5, 1000], None, [5, 60]),
}


@pytest.mark.parametrize(("natural", "width", "sizes"), WIDTHS.values(), ids=WIDTHS)
def test_widths(natural: list[int], width: int | None, sizes: list[int] | None) -> None:
    assert column_widths(natural, width) == sizes
