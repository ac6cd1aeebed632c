# ruff: noqa: RUF001 - Word writes such signs
"""A service agreement as Word writes one: clauses that Word counts, tracked changes, a footnote, a table, a header."""

from collections.abc import Sequence
from itertools import count
from xml.sax.saxutils import escape

from making_office.archive import XML, archive, content_types, links

_NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_HEADER = "Services agreement QD-2026-14 · Quenby Data Services Ltd and Bramble Lane Studios Ltd"
_TITLE, _HEADING, _CLAUSE, _SUBCLAUSE, _PLAIN = "Title", "Heading1", "Clause", "Subclause", "Normal"
_FOOTNOTE = "Working days are Monday to Friday, without public holidays in England."
_FEES = (
    ("Service", "Hours a month", "Fee in GBP"),
    ("Hosting and backups", "–", "420.00"),
    ("Support", "10", "750.00"),
    ("Development", "16", "1,360.00"),
)
_BEFORE_FEES = (
    (_TITLE, "Services Agreement"),
    (
        _PLAIN,
        "This agreement is made on 1 June 2026 between Quenby Data Services Ltd, of 88 Harbour Street, "
        "Tilmouth TM2 5RB (the “Supplier”), and Bramble Lane Studios Ltd, of 12 Bramble Lane, Wexcombe "
        "WX1 3QF (the “Customer”).",
    ),
    (_HEADING, "Services"),
    (_CLAUSE, "The Supplier runs the Customer’s web shop and order system, and in particular"),
    (_SUBCLAUSE, "hosts both on servers in the United Kingdom;"),
    (_SUBCLAUSE, "makes a backup every night, and keeps each backup for 30 days;"),
    (_SUBCLAUSE, "develops new features as agreed from month to month."),
    (_CLAUSE, "The Supplier begins to work on a fault within {-eight}{+four} hours on any working day.{note}"),
    (_HEADING, "Fees"),
    (_CLAUSE, "The Customer pays £{-2,350}{+2,530} a month without VAT, made up as follows:"),
)
_AFTER_FEES = (
    (_CLAUSE, "Invoices are sent on the first day of a month and payable within 21 days."),
    (_HEADING, "Confidentiality"),
    (_CLAUSE, "Each party keeps the other’s business secrets for three years after the end of this agreement."),
    (_CLAUSE, "Clause 3.1 does not hold for information that"),
    (_SUBCLAUSE, "is public without a fault of the party that received it; or"),
    (_SUBCLAUSE, "a court or an authority orders to be disclosed."),
    (_HEADING, "Liability"),
    (
        _CLAUSE,
        "The Supplier’s liability in any one year is limited to £{-20,000}{+30,000}. Nothing limits liability for "
        "fraud, or for death or injury caused by negligence.",
    ),
    (_HEADING, "Term"),
    (_CLAUSE, "This agreement begins on 1 July 2026 and runs for 24 months. It then goes on from month to month."),
    (_CLAUSE, "{+After the first 24 months, }{-E}{+e}ither party may end this agreement by 60 days’ written notice."),
    (_HEADING, "Law"),
    (_CLAUSE, "This agreement is governed by the law of England and Wales."),
    (_PLAIN, "Signed for Quenby Data Services Ltd: Ines Quenby, managing director"),
    (_PLAIN, "Signed for Bramble Lane Studios Ltd: Tobias Renwick, director"),
)


def make() -> bytes:
    """Return the agreement as a Word file."""
    kinds = {
        "document": "document.main",
        "styles": "styles",
        "numbering": "numbering",
        "footnotes": "footnotes",
        "header1": "header",
    }
    return archive(
        {
            "[Content_Types].xml": content_types(
                {f"word/{name}.xml": f"wordprocessingml.{kind}" for name, kind in kinds.items()}
            ),
            "_rels/.rels": links(rId1="officeDocument word/document.xml"),
            "word/document.xml": _member("document", f"<w:body>{_body()}</w:body>"),
            "word/_rels/document.xml.rels": links(
                rId1="styles styles.xml",
                rId2="numbering numbering.xml",
                rId3="footnotes footnotes.xml",
                rId4="header header1.xml",
            ),
            "word/styles.xml": _member("styles", _styles()),
            "word/numbering.xml": _member("numbering", _numbering()),
            "word/footnotes.xml": _member("footnotes", _footnotes()),
            "word/header1.xml": _member("hdr", f"<w:p>{_run(_HEADER)}</w:p>"),
        }
    )


def _member(tag: str, content: str) -> str:
    return f"{XML}<w:{tag} {_NAMESPACES}>{content}</w:{tag}>"


def _body() -> str:
    changes = count(1)
    before, after = (
        "".join(_paragraph(style, text, changes) for style, text in texts) for texts in (_BEFORE_FEES, _AFTER_FEES)
    )
    section = (
        '<w:sectPr><w:headerReference w:type="default" r:id="rId4"/><w:pgSz w:w="11906" w:h="16838"/>'
        '<w:pgMar w:top="1440" w:right="1440" w:bottom="1440" w:left="1440" w:header="708" w:footer="708" '
        'w:gutter="0"/></w:sectPr>'
    )
    return f"{before}{_table(_FEES)}{after}{section}"


def _paragraph(style: str, text: str, changes: "count[int]") -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr>{"".join(_runs(text, changes))}</w:p>'


def _runs(text: str, changes: "count[int]") -> Sequence[str]:
    """Return the runs of a text: {+inserted}, {-deleted} and {note} in it are marks of changes, and of the footnote."""
    pieces = text.replace("}", "{").split("{")
    return [_piece(piece, changes) for piece in pieces if piece]


def _piece(piece: str, changes: "count[int]") -> str:
    if piece == "note":
        return '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteReference w:id="1"/></w:r>'
    if piece[0] not in "+-":
        return _run(piece)
    tag, text = ("ins", "t") if piece[0] == "+" else ("del", "delText")
    who = f'w:id="{next(changes)}" w:author="Ines Quenby" w:date="2026-05-27T15:04:00Z"'
    return f"<w:{tag} {who}>{_run(piece[1:], text)}</w:{tag}>"


def _run(text: str, tag: str = "t") -> str:
    return f'<w:r><w:{tag} xml:space="preserve">{escape(text)}</w:{tag}></w:r>'


def _table(rows: Sequence[Sequence[str]]) -> str:
    borders = "".join(
        f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="808080"/>'
        for side in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    width = '<w:gridCol w:w="3000"/>' * len(rows[0])
    lines = "".join(f"<w:tr>{''.join(f'<w:tc><w:p>{_run(cell)}</w:p></w:tc>' for cell in row)}</w:tr>" for row in rows)
    return (
        f'<w:tbl><w:tblPr><w:tblW w:w="0" w:type="auto"/><w:tblBorders>{borders}</w:tblBorders></w:tblPr>'
        f"<w:tblGrid>{width}</w:tblGrid>{lines}</w:tbl>"
    )


def _styles() -> str:
    return (
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/>'
        '<w:pPr><w:spacing w:after="120"/></w:pPr><w:rPr><w:sz w:val="22"/></w:rPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="Title"><w:name w:val="Title"/><w:basedOn w:val="Normal"/>'
        '<w:rPr><w:b/><w:sz w:val="36"/></w:rPr></w:style>'
    ) + (
        _numbered_style(_HEADING, "heading 1", 0, '<w:outlineLvl w:val="0"/>', "<w:b/>")
        + _numbered_style(_CLAUSE, "Clause", 1)
        + _numbered_style(_SUBCLAUSE, "Subclause", 2)
    )


def _numbered_style(style: str, name: str, level: int, outline: str = "", look: str = "") -> str:
    return (
        f'<w:style w:type="paragraph" w:styleId="{style}"><w:name w:val="{name}"/><w:basedOn w:val="Normal"/>'
        f'<w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="1"/></w:numPr>{outline}</w:pPr>'
        f"<w:rPr>{look}</w:rPr></w:style>"
    )


def _numbering() -> str:
    levels = ((_HEADING, "decimal", "%1."), (_CLAUSE, "decimal", "%1.%2"), (_SUBCLAUSE, "lowerLetter", "(%3)"))
    listed = "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/><w:pStyle w:val="{style}"/>'
        f'<w:lvlText w:val="{shown}"/><w:lvlJc w:val="left"/>'
        f'<w:pPr><w:ind w:left="{(720, 720, 1287)[level]}" w:hanging="{(720, 720, 567)[level]}"/></w:pPr></w:lvl>'
        for level, (style, kind, shown) in enumerate(levels)
    )
    return (
        f'<w:abstractNum w:abstractNumId="0"><w:multiLevelType w:val="multilevel"/>{listed}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
    )


def _footnotes() -> str:
    lines = "".join(
        f'<w:footnote w:type="{kind}" w:id="{number}"><w:p><w:r><w:{tag}/></w:r></w:p></w:footnote>'
        for number, kind, tag in (
            (-1, "separator", "separator"),
            (0, "continuationSeparator", "continuationSeparator"),
        )
    )
    return f'{lines}<w:footnote w:id="1"><w:p><w:r><w:footnoteRef/></w:r>{_run(f" {_FOOTNOTE}")}</w:p></w:footnote>'
