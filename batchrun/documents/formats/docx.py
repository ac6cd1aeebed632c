"""Word files: headers, the body with its numbers, footers, then the notes; tracked changes as if accepted."""

from collections.abc import Callable, Iterator
from functools import cached_property

from batchrun.documents.formats import Found, Part, ReadOptions
from batchrun.documents.formats.docx_names import ID, LINK, TYPE, switched_on, w
from batchrun.documents.formats.docx_numbering import Numbering
from batchrun.documents.formats.docx_styles import Styles, shortened
from batchrun.documents.formats.docx_text import DocxText
from batchrun.documents.formats.drawing_text import drawing_lines
from batchrun.documents.formats.marked_text import Marks
from batchrun.documents.formats.office_zip import OfficeZip, Relationship
from batchrun.documents.formats.xml_tree import Element

_USUAL_PLACE = "word/document.xml"


def read(data: bytes, _options: ReadOptions) -> Iterator[Found]:
    """Read a Word file as one part, with a place for each heading and each clause whose number says the whole way."""
    yield _File(OfficeZip(data, "a Word document", "Word")).part()


class _File:
    def __init__(self, archive: OfficeZip) -> None:
        self._archive = archive
        links = archive.relationships("").values()
        self._main = next((link.target for link in links if link.kind == "officeDocument"), _USUAL_PLACE)
        self._links = archive.relationships(self._main)
        self._marks = Marks()
        self._text = DocxText(
            Styles(self._linked("styles", shortened)), Numbering(self._linked("numbering")), self._marks
        )

    def part(self) -> Part:
        document = self._archive.xml(self._main)
        body = document.find(w("body"))
        if body is None:
            raise self._archive.damaged("it has no body of a text")
        sections = list(body.iter(w("sectPr")))
        lines = [
            *self._repeated("header", sections),
            *self._text.lines(body, self._drawing(self._links)),
            *self._repeated("footer", sections),
            *self._notes(),
        ]
        text, places = self._marks.text_and_places(lines)
        has_unread = next(body.iter(w("altChunk")), None) is not None
        return Part(
            text=text, places=places, note="; ".join(self._notes_for_people(text, has_unread=has_unread)) or None
        )

    def _notes_for_people(self, text: str, *, has_unread: bool) -> Iterator[str]:
        if self._text.left_out_deletions:
            yield "tracked changes read as if accepted"
        if has_unread:
            yield "parts that are files of their own were not read; open it in Word and save it again to have them"
        elif not text:
            yield "no text in it, only pictures or nothing at all"

    def _linked(self, kind: str, shorten: Callable[[bytes], bytes] | None = None) -> Element | None:
        target = next((link.target for link in self._links.values() if link.kind == kind), None)
        return self._archive.xml(target, shorten) if target and target in self._archive else None

    def _repeated(self, kind: str, sections: list[Element]) -> list[str]:
        """Return the lines of all headers or footers that are shown, each different text once."""
        lines: dict[tuple[str, ...], None] = {}
        for target in dict.fromkeys(self._shown(kind, sections)):
            root = self._archive.xml(target)
            lines[tuple(self._text.lines(root, self._drawing(self._archive.relationships(target))))] = None
        return [line for one in lines for line in one if line.strip()]

    def _shown(self, kind: str, sections: list[Element]) -> Iterator[str]:
        for section in sections:
            for reference in section.iterchildren(w(f"{kind}Reference")):
                link = self._links.get(reference.get(LINK) or "")
                if link and link.target in self._archive and self._is_used(reference.get(TYPE), section):
                    yield link.target

    def _is_used(self, pages: str | None, section: Element) -> bool:
        if pages == "first":
            return switched_on(section, "titlePg")
        return pages != "even" or self._has_even_pages

    @cached_property
    def _has_even_pages(self) -> bool:
        return switched_on(self._linked("settings"), "evenAndOddHeaders")

    def _notes(self) -> Iterator[str]:
        """Return the lines of the notes that the text refers to, each note after its mark."""
        for kind in ("footnote", "endnote"):
            if any(note.kind == kind for note in self._text.notes.values()):
                yield from self._notes_of(kind)

    def _notes_of(self, kind: str) -> Iterator[str]:
        link = next((link for link in self._links.values() if link.kind == f"{kind}s"), None)
        if link is None or link.target not in self._archive:
            return
        drawing = self._drawing(self._archive.relationships(link.target))
        written = {one.get(ID): one for one in self._archive.xml(link.target)}
        for note in [note for note in self._text.notes.values() if note.kind == kind and note.note_id in written]:
            lines = self._text.lines(written[note.note_id], drawing)
            yield " ".join(filter(None, [note.mark, "\n".join(lines).strip()]))

    def _drawing(self, links: dict[str, Relationship]) -> Callable[[str], list[str]]:
        """Return what finds the lines of a diagram or chart by the id of its link."""

        def lines(link_id: str) -> list[str]:
            link = links.get(link_id)
            return drawing_lines(self._archive.xml(link.target)) if link and link.target in self._archive else []

        return lines
