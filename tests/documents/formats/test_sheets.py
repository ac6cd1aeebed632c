"""Workbooks: a part for each sheet, or for each row."""

import pytest
from office_samples import archive, cell, only_part, parts, xlsx
from python_calamine import PasswordError

from batchrun.document import Place
from batchrun.documents.formats import Unusable, sheets
from batchrun.documents.formats.sheet_extent import cells


def row(number: int, *content: str) -> str:
    return f'<row r="{number}">{"".join(content)}</row>'


PRICES = (
    row(3, cell("B3", "Name"), cell("C3", "Price"), cell("D3", "Date"), cell("E3", "Sold"))
    + row(4, cell("B4", "a\nb"), cell("C4", "15", "n"), cell("D4", "45296.4375", "n", 1), cell("E4", "1", "b"))
    + row(5, cell("B5", ""))
    + row(7, cell("B7", "c"), cell("C7", "0.30000000000000004", "n"))
)


def test_a_sheet_has_its_rows_by_line_and_its_cells_by_tab() -> None:
    part = only_part("sheets", xlsx({"Prices": PRICES}))
    assert part.text == "Name\tPrice\tDate\tSold\na b\t15\t2024-01-05T10:30:00\tTRUE\n\nc\t0.3"
    assert (part.name, part.places, part.note) == ("Prices", (Place("sheet", "Prices", 0),), None)


def test_hidden_sheets_are_told_and_empty_ones_left_out() -> None:
    found = parts("sheets", xlsx({"A": row(1, cell("A1", "x")), "Empty": "", "B": row(1, cell("A1", "y"))}, hidden="B"))
    assert [(part.name, part.text, part.note) for part in found] == [("A", "x", None), ("B", "y", "a hidden sheet")]


def test_sheets_of_one_name_get_names_of_their_own() -> None:
    listed = "".join(f'<sheet name="A" r:id="sheet{number}"/>' for number in (1, 2, 3))
    namespace = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    members = {"xl/workbook.xml": f"<workbook {namespace}><sheets>{listed}</sheets></workbook>"}
    sheets = dict.fromkeys("ABC", row(1, cell("A1", "x")))
    assert [part.name for part in parts("sheets", xlsx(sheets, **members))] == ["A", "A 2", "A 3"]


def test_a_row_each() -> None:
    first, second = parts("sheets", xlsx({"Prices": PRICES}), rows=True)
    assert (first.name, second.name) == ("Prices!4", "Prices!7")
    assert first.text == "Name: a\nb\nPrice: 15\nDate: 2024-01-05T10:30:00\nSold: TRUE"
    assert first.columns == {"Name": "a\nb", "Price": 15, "Date": "2024-01-05T10:30:00", "Sold": True}
    assert second.text == "Name: c\nPrice: 0.3"
    assert second.columns == {"Name": "c", "Price": 0.30000000000000004, "Date": None, "Sold": None}


def test_columns_without_a_name_of_their_own_get_one() -> None:
    header = row(1, cell("C1", "Name"), cell("E1", "Name"), cell("F1", "Name 2"))
    values = row(2, cell("C2", "a"), cell("D2", "b"), cell("E2", "c"), cell("F2", "d"), cell("G2", "e"))
    (part,) = parts("sheets", xlsx({"S": header + values}), rows=True)
    assert part.columns == {"Name": "a", "column D": "b", "Name 2": "c", "Name 2 2": "d", "column G": "e"}


@pytest.mark.parametrize(("rows", "what"), [(False, "anything in a cell"), (True, "a row below a header")])
def test_nothing_to_read(rows: bool, what: str) -> None:
    content = row(1, cell("A1", "Header")) if rows else ""
    with pytest.raises(Unusable, match=f"a workbook without {what}"):
        parts("sheets", xlsx({"S": content}), rows=rows)


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (row(1, cell("A1", "x")) + row(1_048_576, cell("XFD1048576", "y")), "17,179,869,184"),
        (row(1, cell("ZZ100000", "x"), cell("A1", "y")), "70,200,000"),
        (row(1, "<c r='A1'><v>1</v></c><c  r = 'A90000000'><v>1</v></c>"), "90,000,000"),
    ],
)
def test_a_cell_far_away_is_refused_before_memory_runs_out(content: str, size: str) -> None:
    with pytest.raises(Unusable, match=f"a sheet of {size} cells, nearly all empty .*; delete what stands far away"):
        parts("sheets", xlsx({"S": content}))


def test_the_extent_is_found_though_references_are_cut() -> None:
    content = b'<row r="2"><c r="B2"/><c r="D11"/></row><c t="s" r="AA3"/>'
    for size in range(1, len(content)):
        assert cells(content[at : at + size] for at in range(0, len(content), size)) == 10 * 26
    assert cells(iter([b"<row/>"])) == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (archive({"x": "y"}), "that is damaged"),
        (b"PK\x03\x04", "that is damaged"),
        (b"no workbook", "that is damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "that is damaged"),
    ],
)
def test_no_workbook(data: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=f"^a workbook {reason}.*; open it in Excel or LibreOffice and save it again$"):
        parts("sheets", data)


class PanicException(BaseException):
    """What calamine raises for a bug of its own, by name."""


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (PanicException("index 5 out of range"), r"that is damaged \(index 5 out of range\)"),
        (PasswordError("encrypted"), "protected by a password; open it in Excel or LibreOffice"),
    ],
)
def test_what_calamine_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch, fault: BaseException, reason: str) -> None:
    def fail(_: object) -> None:
        raise fault

    monkeypatch.setattr(sheets, "load_workbook", fail)
    with pytest.raises(Unusable, match=reason):
        parts("sheets", b"\xd0\xcf\x11\xe0")


def test_an_end_from_outside_is_not_taken_for_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sheets, "load_workbook", end)
    with pytest.raises(KeyboardInterrupt):
        parts("sheets", b"\xd0\xcf\x11\xe0")
