# ruff: noqa: RUF001 - LibreOffice writes such signs
"""A memo as LibreOffice writes one: a heading, a table and a numbered list."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from making_office.archive import archive

_KIND = "application/vnd.oasis.opendocument.text"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "style", "text", "table")
)
_HEAD = (
    ("To", "All staff"),
    ("From", "Amara Vint, workshop manager"),
    ("Date", "12 October 2026"),
    ("Subject", "Moving the finishing room to Unit 7"),
)
_RULES = (
    "The finishing room at Bramble Lane closes on Friday 23 October 2026 at 16:00.",
    "Please label your unfinished pieces with the customer’s name and the order number by Thursday evening.",
    "Paint, oil and solvents go into the steel cabinet; the lease allows 200 litres of them in all.",
)


def make() -> bytes:
    """Return the memo as an OpenDocument text."""
    return archive(
        {
            "mimetype": _KIND,
            "META-INF/manifest.xml": _manifest(),
            "content.xml": f'{_XML}<office:document-content {_NAMESPACES} office:version="1.3">'
            f"<office:automatic-styles>{_list_style()}</office:automatic-styles>"
            f"<office:body><office:text>{_body()}</office:text></office:body></office:document-content>",
        }
    )


def _manifest() -> str:
    entries = "".join(
        f'<manifest:file-entry manifest:full-path="{path}" manifest:media-type="{kind}"/>'
        for path, kind in (("/", _KIND), ("content.xml", "text/xml"))
    )
    name = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    return f'{_XML}<manifest:manifest xmlns:manifest="{name}" manifest:version="1.3">{entries}</manifest:manifest>'


def _list_style() -> str:
    return (
        '<text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-suffix="." '
        'style:num-format="1"/></text:list-style>'
    )


def _body() -> str:
    items = "".join(f"<text:list-item>{_paragraph(rule)}</text:list-item>" for rule in _RULES)
    return "".join(
        (
            '<text:h text:outline-level="1">Memo</text:h>',
            _table(_HEAD),
            _paragraph("From Monday 26 October 2026 we finish and pack everything in Unit 7, Canal Yard."),
            f'<text:list text:style-name="L1">{items}</text:list>',
            _paragraph("The removal costs £1,480 and is done by Harker Removals Ltd. Questions? Extension 14."),
        )
    )


def _paragraph(words: str) -> str:
    return f"<text:p>{escape(words)}</text:p>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = "".join(
        "<table:table-row>"
        + "".join(f'<table:table-cell office:value-type="string">{_paragraph(cell)}</table:table-cell>' for cell in row)
        + "</table:table-row>"
        for row in rows
    )
    columns = f'<table:table-column table:number-columns-repeated="{len(rows[0])}"/>'
    return f'<table:table table:name="Head">{columns}{lines}</table:table>'
