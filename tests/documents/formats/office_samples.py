"""Office files built by hand, so that each test says what its file has in it."""

import io
import zipfile
from collections.abc import Mapping

from batchrun.document import Place
from batchrun.documents.formats import FORMATS, Part, ReadOptions

_DOCX_NAMESPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "v": "urn:schemas-microsoft-com:vml",
        "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
        "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
        "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
        "p": "http://schemas.openxmlformats.org/presentationml/2006/main",
    }.items()
)
_LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def archive(members: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive, the same at any time: samples are in the names of tests, which two processes must agree on."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, compression)
    return target.getvalue()


def xml(tag: str, content: str = "") -> str:
    """A member of a Word or PowerPoint file; the tag has its prefix."""
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><{tag} {_DOCX_NAMESPACES}>{content}</{tag}>'


def links(**targets: str) -> str:
    """The links of a member: `rId="kind target"`."""
    content = "".join(
        f'<Relationship Id="{link}" Type="{_LINK}/{target.split()[0]}" Target="{target.split()[1]}"/>'
        for link, target in targets.items()
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{content}</Relationships>'
    )


def docx(body: str, *, styles: str = "", numbering: str = "", links_of_body: str = "", **members: str) -> bytes:
    """A Word file with this body; further members are named by their file in word/ without the ending."""
    usual = {"styles": xml("w:styles", styles), "numbering": xml("w:numbering", numbering)}
    kinds = {name: f"{name.rstrip('0123456789')} {name}.xml" for name in (*usual, *members)}
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": links(rId1="officeDocument word/document.xml"),
            "word/document.xml": xml("w:document", f"<w:body>{body}</w:body>"),
            "word/_rels/document.xml.rels": links(**kinds),
            **{f"word/{name}.xml": content for name, content in (usual | members).items()},
        }
    )


def p(text: str = "", properties: str = "") -> str:
    """A paragraph with one run, or with what is given as markup."""
    content = text if text.startswith("<") else f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>' if text else ""
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{content}</w:p>"


def r(text: str, properties: str = "") -> str:
    """A run."""
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def table(*rows: list[str], properties: str = "") -> str:
    """A table; a cell is text or markup of paragraphs."""
    cells = [[cell if cell.startswith("<") else p(cell) for cell in one] for one in rows]
    return (
        "<w:tbl>"
        + "".join(f"<w:tr>{''.join(f'<w:tc>{cell}</w:tc>' for cell in one)}</w:tr>" for one in cells)
        + "</w:tbl>"
    )


def parts(format_name: str, data: bytes, *, rows: bool = False) -> list[Part]:
    """What a reader finds, which must be parts."""
    found = list(FORMATS[format_name].read(data, ReadOptions(rows=rows)))
    assert all(isinstance(one, Part) for one in found)
    return [one for one in found if isinstance(one, Part)]


def only_part(format_name: str, data: bytes) -> Part:
    """The one part of a file, whose places must stand where their names do."""
    (part,) = parts(format_name, data)
    assert [place.start for place in part.places] == sorted(place.start for place in part.places)
    return part


def at(part: Part, place: Place) -> str:
    """The line at which a place begins."""
    return part.text[place.start :].partition("\n")[0]


def pptx(*slides: str, links_of_slides: Mapping[str, str] | None = None, **members: str) -> bytes:
    """A PowerPoint file; a slide is what its tree of shapes has, members are named by their file in ppt/."""
    numbers = range(1, len(slides) + 1)
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="slide{n}"/>' for n in numbers)
    further = {f"ppt/{name}.xml": content for name, content in members.items()}
    return archive(
        {
            "_rels/.rels": links(rId1="officeDocument ppt/presentation.xml"),
            "ppt/presentation.xml": xml("p:presentation", f"<p:sldIdLst>{listed}</p:sldIdLst>"),
            "ppt/_rels/presentation.xml.rels": links(**{f"slide{n}": f"slide slides/{n}.xml" for n in numbers}),
            **{f"ppt/slides/{n}.xml": slides[n - 1] for n in numbers},
            **{f"ppt/slides/_rels/{n}.xml.rels": content for n, content in (links_of_slides or {}).items()},
            **further,
        }
    )


_ODF_PREFIXES = {
    **{name: name for name in ("office", "style", "text", "table")},
    "draw": "drawing",
    "svg": "svg-compatible",
}
_ODF_NAMESPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for prefix, name in _ODF_PREFIXES.items()
)
_LOEXT = 'xmlns:loext="urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0"'


def odt(body: str, styles: str = "", masters: str = "", **members: str) -> bytes:
    """An OpenDocument text with this body, these automatic styles, and these master pages."""
    namespaces = f"{_ODF_NAMESPACES} {_LOEXT}"
    content = (
        f"<office:document-content {namespaces}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    pages = f"<office:master-styles>{masters}</office:master-styles>"
    pages = f"<office:document-styles {namespaces}>{pages}</office:document-styles>"
    return archive(
        {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content, "styles.xml": pages} | members
    )


def epub(chapters: Mapping[str, str], toc: str = "", **members: str) -> bytes:
    """An EPUB book with these chapters in OEBPS/text/, and a newer (nav) or older (ncx) table of contents."""
    kind = (
        'properties="nav" media-type="application/xhtml+xml"'
        if "<nav>" in toc
        else 'media-type="application/x-dtbncx+xml"'
    )
    items = "".join(f'<item id="{name}" href="text/{name}" media-type="application/xhtml+xml"/>' for name in chapters)
    spine = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf">'
        f'<manifest>{items}<item id="toc" href="toc.xml" {kind}/></manifest>'
        f"<spine>{spine}</spine></package>"
    )
    container = '<container xmlns="urn:x"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/book.opf": package,
            **({"OEBPS/toc.xml": toc} if toc else {}),
            **{f"OEBPS/text/{name}": content for name, content in chapters.items()},
            **members,
        }
    )


def xlsx(sheets: Mapping[str, str], hidden: str = "", **members: str) -> bytes:
    """A workbook; a sheet is the XML of its rows. Style 1 is a date."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="sheet{n}"{" state=" + repr("hidden") if name == hidden else ""}/>'
        for n, name in enumerate(sheets, 1)
    )
    formats = '<xf numFmtId="0"/><xf numFmtId="22"/>'
    linked = {f"sheet{n}": f"worksheet worksheets/sheet{n}.xml" for n in range(1, len(sheets) + 1)}
    return archive(
        {
            "_rels/.rels": links(rId1="officeDocument xl/workbook.xml"),
            "xl/workbook.xml": f'<workbook {main} xmlns:r="{_LINK}"><sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": links(**linked, styles="styles styles.xml"),
            "xl/styles.xml": f"<styleSheet {main}><cellXfs>{formats}</cellXfs></styleSheet>",
            **{
                f"xl/worksheets/sheet{n}.xml": f"<worksheet {main}><sheetData>{rows}</sheetData></worksheet>"
                for n, rows in enumerate(sheets.values(), 1)
            },
            **members,
        }
    )


def cell(reference: str, value: str, kind: str = "", style: int = 0) -> str:
    """A cell of a workbook: text, or by its kind ("n" a number, "b" a truth)."""
    if not kind:
        return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{reference}" t="{kind}" s="{style}"><v>{value}</v></c>'
