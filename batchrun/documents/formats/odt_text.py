"""The text of an OpenDocument text. A paragraph or a row of a table is a line."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from batchrun.documents.formats.list_numbering import Label, is_heading
from batchrun.documents.formats.marked_text import Marks, row
from batchrun.documents.formats.odt_lists import Item, Lists, Nesting
from batchrun.documents.formats.odt_names import (
    ALTERNATIVE_TEXTS,
    STYLE_NAME,
    TRACKED_CHANGES,
    office,
    style,
    table,
    text,
)
from batchrun.documents.formats.xml_tree import Element, number

_P, _H, _LIST, _TABLE = text("p"), text("h"), text("list"), table("table")
_BLOCKS = frozenset((_P, _H, _LIST, _TABLE))
_ITEM, _LIST_HEADER = text("list-item"), text("list-header")
_ROW, _CELL, _COVERED = table("table-row"), table("table-cell"), table("covered-table-cell")
_INDEXES = ("table-of-content", "alphabetical-index", "bibliography", "illustration-index", "object-index")
_UNSEEN = frozenset(
    (
        *(TRACKED_CHANGES, office("annotation"), office("annotation-end"), office("forms"), *ALTERNATIVE_TEXTS),
        *(text("hidden-text"), text("note-citation"), table("table-columns"), table("table-column")),
        *(text(f"{name}-source") for name in (*_INDEXES, "user-index", "table-index")),
    )
)
_GAP = re.compile("[ \t\r\n]+")
_MOST_REPEATED = 100


@dataclass(slots=True)
class _Line:
    """A paragraph under construction."""

    pieces: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    """The lines of the text boxes that are anchored in the paragraph; they follow the paragraph."""


class OdtText:
    """Turns the body, headers and notes of one file to lines, in the order of the file: lists are counted."""

    def __init__(self, lists: Lists, roots: Sequence[Element], marks: Marks) -> None:
        self._lists = lists
        self._marks = marks
        self._hidden = {name for root in roots for name in _hidden_styles(root)}
        self._notes: dict[str, list[str]] = {"footnote": [], "endnote": []}
        self._inline: Mapping[str, Callable[[Element, _Line], None]] = {
            **dict.fromkeys(_BLOCKS, lambda block, line: line.boxes.extend(self._block(block, None))),
            text("s"): lambda gap, line: line.pieces.append(" " * _repeated(gap.get(text("c")))),
            text("tab"): lambda _, line: line.pieces.append("\t"),
            text("line-break"): lambda _, line: line.pieces.append("\n"),
            text("note"): self._note,
            text("span"): self._span,
            text("ruby-text"): self._ruby_text,
        }

    def lines(self, container: Element, item: Item | None = None) -> list[str]:
        """Return the lines of a body, a header, a note, a cell or an item of a list."""
        return [line for block in _blocks(container, _BLOCKS) for line in self._block(block, item)]

    def notes(self) -> list[str]:
        """Return the lines of the notes that were met, each note after its mark."""
        return [line for lines in self._notes.values() for line in lines]

    def _block(self, block: Element, item: Item | None) -> Iterator[str]:
        if block.tag == _TABLE:
            yield from self._rows(block)
        elif block.tag == _LIST:
            yield from self._list(block, item.nesting if item else None)
        else:
            yield from self._paragraph(block, item)

    def _list(self, element: Element, outer: Nesting | None) -> Iterator[str]:
        nesting = self._lists.nesting(element, outer)
        for child in element.iterchildren(_ITEM, _LIST_HEADER):
            start = child.get(text("start-value"))
            item = Item(nesting, number(start, 1) if start else None, is_counted=child.tag == _LIST_HEADER)
            yield from self.lines(child, item)

    def _paragraph(self, paragraph: Element, item: Item | None) -> Iterator[str]:
        line = _Line()
        self._walk(paragraph, line)
        shown = "".join(line.pieces).replace("\xad", "").replace("\xa0", " ")
        is_hidden = paragraph.get(text("style-name")) in self._hidden
        if not is_hidden:
            yield from self._labelled(shown, paragraph, item).split("\n")
        yield from line.boxes

    def _labelled(self, shown: str, paragraph: Element, item: Item | None) -> str:
        label = self._label(paragraph, item)
        whole = f"{label.text}{label.separator}{shown}" if label else shown
        is_place = shown.strip() and (paragraph.tag == _H or is_heading(label, shown))
        return self._marks.sign("heading", whole) + whole if is_place else whole

    def _label(self, paragraph: Element, item: Item | None) -> Label | None:
        if item:
            return self._lists.label(item)
        if paragraph.tag == _H and paragraph.get(text("is-list-header")) != "true":
            return self._lists.heading_label(number(paragraph.get(text("outline-level")), 1) - 1)
        return None

    def _rows(self, element: Element) -> Iterator[str]:
        for one in _blocks(element, (_ROW,)):
            cells = list(_blocks(one, (_CELL, _COVERED)))
            if len(cells) == 1:
                yield from self.lines(cells[0])
            else:
                yield row([cell for element in cells for cell in self._cells(element)])

    def _cells(self, element: Element) -> list[str]:
        shown = "" if element.tag == _COVERED else " ".join(self.lines(element))
        further = _repeated(element.get(table("number-columns-repeated"))) - 1
        return [shown, *[""] * further]  # a repeated text would let a small file become a huge one

    def _walk(self, parent: Element, line: _Line) -> None:
        self._add(parent.text, line)
        for child in parent:
            handle = self._inline.get(child.tag)
            if handle:
                handle(child, line)
            elif child.tag not in _UNSEEN:
                self._walk(child, line)
            self._add(child.tail, line)

    def _add(self, characters: str | None, line: _Line) -> None:
        """Add characters; a gap is one space, and none at the start or after another gap."""
        if characters:
            shown = _GAP.sub(" ", characters)
            before = line.pieces[-1] if line.pieces else "\n"
            line.pieces.append(shown.lstrip(" ") if before.endswith((" ", "\n")) else shown)

    def _span(self, span: Element, line: _Line) -> None:
        if span.get(text("style-name")) not in self._hidden:
            self._walk(span, line)

    def _note(self, note: Element, line: _Line) -> None:
        citation = note.find(text("note-citation"))
        mark = f"[{citation.text or ''}]" if citation is not None else ""
        line.pieces.append(mark)
        lines = "\n".join(self.lines(note)).strip()
        self._notes["endnote" if note.get(text("note-class")) == "endnote" else "footnote"].append(f"{mark} {lines}")

    def _ruby_text(self, ruby: Element, line: _Line) -> None:
        line.pieces.append("(")
        self._walk(ruby, line)
        line.pieces.append(")")


def _blocks(parent: Element, tags: Sequence[str] | frozenset[str]) -> Iterator[Element]:
    """Find the nearest elements of these kinds, which sections, groups and frames may wrap."""
    for child in parent:
        if child.tag in tags:
            yield child
        elif child.tag not in _UNSEEN and child.tag not in _BLOCKS and child.get(text("display")) != "none":
            yield from _blocks(child, tags)


def _hidden_styles(root: Element) -> Iterator[str]:
    for one in root.iter(style("style")):
        properties = one.find(style("text-properties"))
        if properties is not None and properties.get(text("display")) == "none":
            yield one.get(STYLE_NAME) or ""


def _repeated(count: str | None) -> int:
    return max(1, min(number(count, 1), _MOST_REPEATED))
