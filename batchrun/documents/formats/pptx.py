"""PowerPoint files: the slides in the order of the show, each followed by its notes."""

from collections.abc import Iterator

from batchrun.documents.formats import Found, Part, ReadOptions
from batchrun.documents.formats.drawing_text import (
    DRAWN_ELSEWHERE,
    PARAGRAPH,
    TABLE,
    TABLE_CELL,
    TABLE_ROW,
    drawing_lines,
    paragraph_text,
)
from batchrun.documents.formats.marked_text import Marks, row
from batchrun.documents.formats.office_zip import OfficeZip, Relationship
from batchrun.documents.formats.xml_tree import Element

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_SHAPE = f"{_P}sp"
_PLACEHOLDER = f"{_P}nvSpPr/{_P}nvPr/{_P}ph"
_USUAL_PLACE = "ppt/presentation.xml"
_MERGED = ("hMerge", "vMerge")

Links = dict[str, Relationship]


def read(data: bytes, _options: ReadOptions) -> Iterator[Found]:
    """Read a PowerPoint file as one part, with a place for each slide."""
    archive = OfficeZip(data, "a PowerPoint presentation", "PowerPoint")
    links = archive.relationships("").values()
    main = next((link.target for link in links if link.kind == "officeDocument"), _USUAL_PLACE)
    slides = list(dict.fromkeys(_slides(archive, main)))
    if not slides:
        raise archive.damaged("no slide is found in it")
    marks = Marks()
    blocks: list[str] = []
    hidden, signs = 0, ""
    for index, slide in enumerate(slides, 1):
        root = archive.xml(slide)
        hidden += root.get("show") in ("0", "false")
        signs += marks.sign("slide", str(index))
        lines = _slide(archive, slide, root)
        if lines:  # an empty slide begins where the next one does
            blocks.append(signs + "\n".join(lines))
            signs = ""
    text, places = marks.text_and_places(["\n\n".join(blocks) + signs])
    yield Part(text=text, places=places, pages=len(slides), note=_note(hidden))


def _slides(archive: OfficeZip, main: str) -> Iterator[str]:
    links = archive.relationships(main)
    for listed in archive.xml(main).iter(f"{_P}sldId"):
        link = links.get(listed.get(_LINK) or "")
        if link and link.target in archive:
            yield link.target


def _slide(archive: OfficeZip, name: str, root: Element) -> list[str]:
    links = archive.relationships(name)
    lines = list(_lines(root, archive, links))
    notes = next((link.target for link in links.values() if link.kind == "notesSlide"), "")
    spoken = list(_notes(archive.xml(notes))) if notes in archive else []
    return [*lines, "Notes:", *spoken] if spoken else lines


def _notes(root: Element) -> Iterator[str]:
    """Return the lines of the notes' text itself, without the number of the slide and the like around the text."""
    for shape in root.iter(_SHAPE):
        placeholder = shape.find(_PLACEHOLDER)
        if placeholder is None or placeholder.get("type", "body") == "body":
            yield from (line for line in map(paragraph_text, shape.iter(PARAGRAPH)) if line.strip())


def _lines(parent: Element, archive: OfficeZip, links: Links) -> Iterator[str]:
    """Find text in shapes, groups and frames, in the order of the file."""
    for child in parent:
        if child.tag == PARAGRAPH:
            text = paragraph_text(child)
            if text.strip():
                yield text
        elif child.tag == TABLE:
            yield from map(_row, child.iterchildren(TABLE_ROW))
        elif child.tag in DRAWN_ELSEWHERE:
            link = links.get(child.get(DRAWN_ELSEWHERE[child.tag]) or "")
            yield from drawing_lines(archive.xml(link.target)) if link and link.target in archive else ()
        elif child.tag == _ALTERNATIVES:
            yield from _alternative(child, archive, links)
        else:
            yield from _lines(child, archive, links)


def _alternative(alternatives: Element, archive: OfficeZip, links: Links) -> list[str]:
    """Return the lines of the first of several ways to say the same that has any."""
    ways = (list(_lines(way, archive, links)) for way in alternatives)
    return next(filter(None, ways), [])


def _row(element: Element) -> str:
    return row([_cell(cell) for cell in element.iterchildren(TABLE_CELL)])


def _cell(cell: Element) -> str:
    is_covered = any(cell.get(merged) in ("1", "true") for merged in _MERGED)
    return "" if is_covered else " ".join(map(paragraph_text, cell.iter(PARAGRAPH)))


def _note(hidden: int) -> str | None:
    return f"{hidden} hidden slide{'s' if hidden > 1 else ''} included" if hidden else None
