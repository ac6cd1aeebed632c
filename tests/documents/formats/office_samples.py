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
    """A zip archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
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
