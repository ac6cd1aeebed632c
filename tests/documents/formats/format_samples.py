"""Small files of each format, made by hand, and what their readers find in them."""

import hashlib
import io
import random
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A file, and what a reader must say of it."""

    name: str
    data: bytes
    text: str
    """The golden text of the only part."""
    places: tuple[tuple[str, str], ...] = ()
    """Kind and name of places, in order; others may stand between."""
    pages: int | None = None


# ---------------------------------------------------------------------------------------------------------- PDF
HELVETICA = b"/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding"
_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_NEW_FILE = b"an id, 16 bytes."


def page_of(*lines: str) -> bytes:
    """Return the content of a page with these lines."""
    shown = b" ".join(b"(" + line.encode("cp1252") + b")'" for line in lines)
    return b"BT /F 12 Tf 72 720 Td 14 TL " + shown + b" ET"


def pdf(
    pages: Sequence[bytes],
    *,
    rotate: int = 0,
    font: bytes = HELVETICA,
    password: bytes | None = None,
    crop: bytes = b"0 0 600 800",
    characters: bytes | None = None,
) -> bytes:
    """Make a PDF. With a password, even an empty one, the file is encrypted, by RC4 as the oldest files are.

    `characters` is the map from the font's codes to characters, for a font that has such a map.
    """
    owner = _rc4(hashlib.md5(_padded(b"owner")).digest()[:5], _padded(password or b""))
    rights = b"\xfc\xff\xff\xff"
    key = hashlib.md5(_padded(password or b"") + owner + rights + _NEW_FILE).digest()[:5]
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font" + font + b">>"]
    if characters is not None:
        objects[2] = b"<</Type/Font" + font + b"/ToUnicode 4 0 R>>"
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(characters), characters))
    kids = []
    for content in pages:
        number = len(objects) + 1
        own_key = hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10]
        stream = content if password is None else _rc4(own_key, content)
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/CropBox[%s]/Rotate %d/Contents %d 0 R"
            b"/Resources<</Font<</F 3 0 R>>>>>>" % (crop, rotate, number)
        )
        kids.append(b"%d 0 R" % (number + 1))
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    trailer = b"/Root 1 0 R"
    if password is not None:
        lock = (owner.hex().encode(), _rc4(key, _PADDING).hex().encode())
        objects.append(b"<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % lock)
        trailer += b"/Encrypt %d 0 R/ID[<%s><%s>]" % (len(objects), *[_NEW_FILE.hex().encode()] * 2)
    return _pdf_file(objects, trailer)


def _pdf_file(objects: Sequence[bytes], trailer: bytes) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    table = b"0000000000 65535 f \n"
    for number, content in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    size = len(objects) + 1
    return bytes(out) + b"xref\n0 %d\n%strailer\n<<%s/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (
        *(size, table, trailer, size),
        len(out),
    )


def _padded(password: bytes) -> bytes:
    return (password + _PADDING)[:32]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    out = bytearray()
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


# ------------------------------------------------------------------------------------------------- zip archives
def archive(members: dict[str, str | bytes]) -> bytes:
    """Make a zip archive, the same at any time of day."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_TYPES = f'{_XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">%s</Types>'
_RELS = f'{_XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%s</Relationships>'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PARTS = "application/vnd.openxmlformats-officedocument"


def _link(number: int, kind: str, target: str) -> str:
    return f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'


def _type(part: str, kind: str) -> str:
    return f'<Override PartName="{part}" ContentType="{_PARTS}.{kind}+xml"/>'


_TYPES_OF_FILES = (
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
)


def docx() -> bytes:
    """Make a Word file with a heading and two paragraphs."""
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = (
        '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Payment</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>Ninety days.</w:t></w:r></w:p><w:p><w:r><w:t>Zürich only.</w:t></w:r></w:p>"
    )
    styles = '<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>'
    return archive(
        {
            "[Content_Types].xml": _TYPES
            % (
                _TYPES_OF_FILES
                + _type("/word/document.xml", "wordprocessingml.document.main")
                + _type("/word/styles.xml", "wordprocessingml.styles")
            ),
            "_rels/.rels": _RELS % _link(1, "officeDocument", "word/document.xml"),
            "word/_rels/document.xml.rels": _RELS % _link(1, "styles", "styles.xml"),
            "word/document.xml": f'{_XML}<w:document xmlns:w="{w}"><w:body>{body}</w:body></w:document>',
            "word/styles.xml": f'{_XML}<w:styles xmlns:w="{w}">{styles}</w:styles>',
        }
    )


def pptx() -> bytes:
    """Make a presentation of two slides."""
    namespaces = (
        'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
        f'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="{_OFFICE}"'
    )
    slide = (
        f"{_XML}<p:sld {namespaces}><p:cSld><p:spTree><p:sp><p:nvSpPr><p:cNvPr id='1' name='x'/><p:cNvSpPr/><p:nvPr/>"
        "</p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>%s</a:t></a:r></a:p></p:txBody></p:sp></p:spTree>"
        "</p:cSld></p:sld>"
    )
    slides = '<p:sldIdLst><p:sldId id="256" r:id="rId1"/><p:sldId id="257" r:id="rId2"/></p:sldIdLst>'
    types = (
        _TYPES_OF_FILES
        + _type("/ppt/presentation.xml", "presentationml.presentation.main")
        + _type("/ppt/slides/slide1.xml", "presentationml.slide")
        + _type("/ppt/slides/slide2.xml", "presentationml.slide")
    )
    return archive(
        {
            "[Content_Types].xml": _TYPES % types,
            "_rels/.rels": _RELS % _link(1, "officeDocument", "ppt/presentation.xml"),
            "ppt/_rels/presentation.xml.rels": _RELS
            % (_link(1, "slide", "slides/slide1.xml") + _link(2, "slide", "slides/slide2.xml")),
            "ppt/presentation.xml": f"{_XML}<p:presentation {namespaces}>{slides}</p:presentation>",
            "ppt/slides/slide1.xml": slide % "Costs",
            "ppt/slides/slide2.xml": slide % "Benefits",
        }
    )


def _opendocument(kind: str, body: str) -> bytes:
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    names = "urn:oasis:names:tc:opendocument:xmlns"
    namespaces = " ".join(f'xmlns:{short}="{names}:{short}:1.0"' for short in ("office", "text", "table"))
    manifest = (
        f'{_XML}<manifest:manifest xmlns:manifest="{names}:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{mimetype}"/></manifest:manifest>'
    )
    return archive(
        {
            "mimetype": mimetype,
            "META-INF/manifest.xml": manifest,
            "content.xml": f"{_XML}<office:document-content {namespaces}><office:body>{body}"
            "</office:body></office:document-content>",
        }
    )


def odt() -> bytes:
    """Make an OpenDocument text with a heading and a paragraph."""
    return _opendocument(
        "text",
        '<office:text><text:h text:outline-level="1">Payment</text:h><text:p>Ninety days.</text:p></office:text>',
    )


def epub() -> bytes:
    """Make a book of two chapters."""
    package = (
        f'{_XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">x</dc:identifier><dc:title>Rivers</dc:title>'
        '</metadata><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/><item id="b" '
        'href="b.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/>'
        "</spine></package>"
    )
    container = (
        f'{_XML}<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
        'full-path="OEBPS/c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    chapter = (
        f'{_XML}<html xmlns="http://www.w3.org/1999/xhtml"><head><title>%s</title></head><body><h1>%s</h1><p>%s</p>'
        "</body></html>"
    )
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/c.opf": package,
            "OEBPS/a.xhtml": chapter % ("Source", "Source", "It springs."),
            "OEBPS/b.xhtml": chapter % ("Mouth", "Mouth", "It ends."),
        }
    )


def xlsx() -> bytes:
    """Make a workbook with a sheet of two rows."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    row = '<row r="%d"><c r="A%d" t="inlineStr"><is><t>%s</t></is></c><c r="B%d"%s</c></row>'
    rows = row % (1, 1, "Item", 1, ' t="inlineStr"><is><t>Price</t></is>') + row % (2, 2, "Ink", 2, "><v>15</v>")
    types = (
        _TYPES_OF_FILES
        + _type("/xl/workbook.xml", "spreadsheetml.sheet.main")
        + _type("/xl/worksheets/sheet1.xml", "spreadsheetml.worksheet")
    )
    return archive(
        {
            "[Content_Types].xml": _TYPES % types,
            "_rels/.rels": _RELS % _link(1, "officeDocument", "xl/workbook.xml"),
            "xl/_rels/workbook.xml.rels": _RELS % _link(1, "worksheet", "worksheets/sheet1.xml"),
            "xl/workbook.xml": f'{_XML}<workbook xmlns="{main}" xmlns:r="{_OFFICE}"><sheets><sheet name="Prices" '
            'sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/worksheets/sheet1.xml": f'{_XML}<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
        }
    )


# --------------------------------------------------------------------------------------------------------- mail
MAIL = (
    b"From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?Z=C3=BCrich?=\r\n"
    b"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nThe caf=E9 is open.\r\n"
)
MBOX = b"From ann@example.com Mon Nov 30 10:00:00 2026\n" + MAIL.replace(b"\r\n", b"\n") + b"\n"

HTML = (
    b"<!DOCTYPE html><html><head><title>Terms</title><style>p {}</style></head><body><h1>1. <b>Pay</b>ment</h1>"
    b"<p>Ninety&nbsp;days.<br>No more.</p><script>no()</script><table><tr><th>Item<th>Price<tr><td>Ink<td>15</table>"
    b"<ul><li>one<li>two</ul></body></html>"
)
RTF = (
    rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial;}}{\info{\title no}}\f0 Caf\'e9 "
    rb"for \u8364?15 \f1\'e4\'e0\f0\par {\v hidden }\trowd a\cell b\cell\row {\*\generator no}end\par}"
)

SAMPLES = {
    "text": Sample("a.txt", "Größe\r\n<html> is a tag\r\n".encode(), text="Größe\n<html> is a tag\n"),
    "pdf": Sample(
        "a.pdf",
        pdf(
            [
                page_of("The price is agree-", "able to both.", "A word that is cut-"),
                page_of("off here."),
                b"",
                page_of("Four"),
            ]
        ),
        text="The price is agree-able to both.\nA word that is cut-off here.\n\nFour",
        places=(("page", "1"), ("page", "2"), ("page", "3"), ("page", "4")),
        pages=4,
    ),
    "docx": Sample("a.docx", docx(), text="Payment\nNinety days.\nZürich only.", places=(("heading", "Payment"),)),
    "pptx": Sample("a.pptx", pptx(), text="Costs\n\nBenefits", places=(("slide", "1"), ("slide", "2")), pages=2),
    "odt": Sample("a.odt", odt(), text="Payment\nNinety days.", places=(("heading", "Payment"),)),
    "epub": Sample(
        "a.epub",
        epub(),
        text="Source\n\nSource\n\nIt springs.\n\nMouth\n\nMouth\n\nIt ends.",
        places=(("chapter", "Source"), ("chapter", "Mouth")),
    ),
    "rtf": Sample("a.rtf", RTF, text="Café for €15 да\na\tb\nend"),
    "html": Sample(
        "a.html",
        HTML,
        text="Terms\n\n1. Payment\n\nNinety days.\nNo more.\n\nItem\tPrice\nInk\t15\n\none\ntwo",
        places=(("heading", "1. Payment"),),
    ),
    "eml": Sample(
        "a.eml", MAIL, text="From: Ann <ann@example.com>\nTo: bob@example.com\nSubject: Zürich\n\nThe café is open.\n"
    ),
    "mbox": Sample(
        "a.mbox", MBOX, text="From: Ann <ann@example.com>\nTo: bob@example.com\nSubject: Zürich\n\nThe café is open.\n"
    ),
    "sheets": Sample("a.xlsx", xlsx(), text="Item\tPrice\nInk\t15", places=(("sheet", "Prices"),)),
}
"""A file of each format. Each member of FORMATS has one."""


def damaged(data: bytes, *, copies: int = 200) -> Iterator[bytes]:
    """Return broken copies of a file: cut off at every tenth, and with some bits flipped. The same copies each time."""
    for tenth in range(10):
        yield data[: len(data) * tenth // 10]
    chance = random.Random(len(data))
    for _ in range(copies):
        copy = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
        yield bytes(copy)
