"""A budget as Excel writes one: two sheets, with dates, amounts and sums."""

from collections.abc import Sequence
from datetime import date
from xml.sax.saxutils import escape

from making_office.archive import XML, archive, content_types, links

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_LINKS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_EXCEL_BEGINS = date(1899, 12, 30)
_DATE, _MONEY = 1, 2
"""The positions of the formats in the list of styles."""

Cell = str | int | float | date | None
_COSTS = (
    ("Rent, Unit 7", 28_800, 38_400),
    ("Timber", 61_250, 64_000),
    ("Machines", 12_900, 7_500),
    ("Web shop and support", 15_180, 30_360),
    ("Insurance", 4_310, 4_525),
    ("Wages", 148_700, 156_100),
)
_BUDGET: Sequence[Sequence[Cell]] = (
    ("Bramble Lane Studios Ltd: budget for 2027",),
    ("Approved on", date(2026, 11, 24), "by", "Tobias Renwick"),
    (),
    ("Cost in GBP", "2026 expected", "2027 planned", "Change"),
    *((name, before, planned, planned - before) for name, before, planned in _COSTS),
    ("Total", sum(row[1] for row in _COSTS), sum(row[2] for row in _COSTS), sum(row[2] - row[1] for row in _COSTS)),
)
_SUPPLIERS: Sequence[Sequence[Cell]] = (
    ("Supplier", "What for", "Contract until", "Paid in 2026, GBP"),
    ("Ostrey Property Holdings LLP", "Rent", date(2031, 3, 24), 28_800),
    ("Pellworth Timber Ltd", "Timber", None, 57_916.04),
    ("Kestwick Tools Ltd", "Machines", None, 11_804.5),
    ("Quenby Data Services Ltd", "Web shop", date(2028, 6, 30), 15_180),
    ("Dunmarrow Mutual", "Insurance", date(2026, 12, 31), 4_310),
)


def make() -> bytes:
    """Return the workbook."""
    sheets = {"Budget 2027": _BUDGET, "Suppliers": _SUPPLIERS}
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(sheets, 1))
    kinds = {"workbook": "sheet.main", "styles": "styles", "worksheets/sheet1": "worksheet"}
    kinds["worksheets/sheet2"] = "worksheet"
    return archive(
        {
            "[Content_Types].xml": content_types(
                {f"xl/{name}.xml": f"spreadsheetml.{kind}" for name, kind in kinds.items()}
            ),
            "_rels/.rels": links(rId1="officeDocument xl/workbook.xml"),
            "xl/workbook.xml": f"{XML}<workbook {_MAIN} {_LINKS}><sheets>{listed}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": links(
                rId1="worksheet worksheets/sheet1.xml", rId2="worksheet worksheets/sheet2.xml", rId3="styles styles.xml"
            ),
            "xl/styles.xml": _styles(),
            **{f"xl/worksheets/sheet{n}.xml": _sheet(rows) for n, rows in enumerate(sheets.values(), 1)},
        }
    )


def _sheet(rows: Sequence[Sequence[Cell]]) -> str:
    lines = "".join(_row(number, row) for number, row in enumerate(rows, 1) if row)
    widths = '<cols><col min="1" max="1" width="30" customWidth="1"/><col min="2" max="4" width="17" customWidth="1"/>'
    return f"{XML}<worksheet {_MAIN}>{widths}</cols><sheetData>{lines}</sheetData></worksheet>"


def _row(number: int, row: Sequence[Cell]) -> str:
    cells = "".join(_cell(f"{column}{number}", cell) for column, cell in zip("ABCD", row, strict=False))
    return f'<row r="{number}">{cells}</row>'


def _cell(place: str, value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    if isinstance(value, date):
        return f'<c r="{place}" s="{_DATE}"><v>{(value - _EXCEL_BEGINS).days}</v></c>'
    return f'<c r="{place}" s="{_MONEY}"><v>{value}</v></c>'


def _styles() -> str:
    formats = "".join(
        f'<xf numFmtId="{number}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for number in (0, 14, 4)
    )
    return (
        f'{XML}<styleSheet {_MAIN}><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/>'
        '</fill></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
        f'<cellXfs count="3">{formats}</cellXfs></styleSheet>'
    )
