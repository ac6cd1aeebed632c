"""OpenDocument texts: headers, the body with the numbers of its lists, footers, then the notes; no deletions."""

from collections.abc import Iterator

from batchrun.documents.formats import Found, Part, ReadOptions
from batchrun.documents.formats.marked_text import Marks
from batchrun.documents.formats.odt_lists import Lists
from batchrun.documents.formats.odt_names import OFFICE_TEXT, STYLE_DISPLAY, TRACKED_CHANGES, style
from batchrun.documents.formats.odt_text import OdtText
from batchrun.documents.formats.office_zip import OfficeZip
from batchrun.documents.formats.xml_tree import Element

_MANIFEST = "META-INF/manifest.xml"
_HEADERS = tuple(map(style, ("header-first", "header", "header-left")))
_FOOTERS = tuple(map(style, ("footer-first", "footer", "footer-left")))


def read(data: bytes, _options: ReadOptions) -> Iterator[Found]:
    """Read an OpenDocument text as one part, with a place for each heading and each numbered clause."""
    archive = OfficeZip(data, "an OpenDocument text", "LibreOffice")
    if _MANIFEST in archive and b"encryption-data" in archive.read(_MANIFEST):
        raise archive.locked()
    content = archive.xml("content.xml")
    body = next(content.iter(OFFICE_TEXT), None)
    if body is None:
        raise archive.damaged("it has no body of a text")
    yield _part(content, body, archive.xml("styles.xml") if "styles.xml" in archive else None)


def _part(content: Element, body: Element, styles: Element | None) -> Part:
    roots = [content] if styles is None else [styles, content]
    marks = Marks()
    text = OdtText(Lists(roots), roots, marks)
    lines = [
        *_repeated(_HEADERS, styles, text),
        *text.lines(body),
        *_repeated(_FOOTERS, styles, text),
        *text.notes(),
    ]
    joined, places = marks.text_and_places(lines)
    has_changes = next(body.iter(TRACKED_CHANGES), None) is not None
    return Part(text=joined, places=places, note="tracked changes read as if accepted" if has_changes else None)


def _repeated(names: tuple[str, ...], styles: Element | None, text: OdtText) -> list[str]:
    """Return the lines of all headers or footers that are shown, each different text once."""
    found = styles.iter(*names) if styles is not None else ()
    shown = {tuple(text.lines(one)): None for one in found if one.get(STYLE_DISPLAY) != "false"}
    return [line for lines in shown for line in lines if line.strip()]
