"""The text of the parts of a Word file: the body, headers, notes. A paragraph or a row of a table is a line."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from batchrun.documents.formats.docx_names import ALTERNATIVES, ID, VAL, m, switch, switched_on, v, value, w
from batchrun.documents.formats.docx_numbering import Numbering
from batchrun.documents.formats.docx_styles import Style, Styles
from batchrun.documents.formats.drawing_text import DRAWN_ELSEWHERE, PARAGRAPH, paragraph_text
from batchrun.documents.formats.list_numbering import is_heading
from batchrun.documents.formats.marked_text import Marks, row
from batchrun.documents.formats.numerals import decimal, roman
from batchrun.documents.formats.symbol_fonts import symbol
from batchrun.documents.formats.xml_tree import Element, number

_P, _R, _TBL, _TR, _TC = w("p"), w("r"), w("tbl"), w("tr"), w("tc")
_P_PR, _R_PR = w("pPr"), w("rPr")
_TEXT, _FORMULA_TEXT, _SIGN, _ART = w("t"), m("t"), w("sym"), v("textpath")
_KEEP_SPACES = "{http://www.w3.org/XML/1998/namespace}space"
_UNSEEN = frozenset(
    (
        *map(w, ("pPr", "rPr", "tblPr", "tblGrid", "trPr", "tcPr", "tblPrEx", "sectPr", "sdtPr", "sdtEndPr", "rubyPr")),
        *map(w, ("customXmlPr", "smartTagPr", "instrText", "delText", "delInstrText", "ffData")),
        *map(m, ("rPr", "fPr", "dPr", "radPr", "naryPr", "oMathParaPr", "ctrlPr", "sSupPr", "sSubPr", "sSubSupPr")),
    )
)
_WRAPPED = {"\n": " ", "\r": " ", "\xa0": " ", "\xad": ""}
_UNUSUAL = re.compile("[\n\r\xa0\xad\uf020-\uf0ff]")
_JOINTS = {m("f"): "/", m("sSup"): "^", m("sSub"): "_", m("sSubSup"): "_^"}
"""What stands between the pieces of a formula, whose pieces stand above each other in Word."""
_NOTE_NUMBERS: Mapping[str, Callable[[int], str]] = {"footnote": decimal, "endnote": roman}
_MOST_SPANNED = 63


@dataclass(slots=True)
class _Line:
    """A paragraph under construction."""

    is_hidden: bool = False
    """Whether the style of the paragraph hides what does not say otherwise."""
    pieces: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    """The lines of the text boxes that are anchored in the paragraph; they follow the paragraph."""
    fields: list[bool] = field(default_factory=list)
    """The open fields, outermost first: whether the instruction, which nobody sees, still goes on."""

    instructions: int = 0
    """How many fields still have their instruction."""

    def add(self, text: str) -> None:
        if not self.instructions:
            self.pieces.append(text)

    def begin_field(self) -> None:
        self.fields.append(True)
        self.instructions += 1

    def begin_result(self) -> None:
        if self.fields:
            self.instructions -= self.fields[-1]
            self.fields[-1] = False

    def end_field(self) -> None:
        if self.fields:
            self.instructions -= self.fields.pop()


@dataclass(frozen=True, slots=True)
class Note:
    """A footnote or endnote that the text refers to."""

    kind: str
    note_id: str
    mark: str
    """The mark that stands in the text and before the note; empty if the author wrote one."""


class DocxText:
    """Turns the parts of one file to lines, in the order of the file: numbers and notes are counted on the way."""

    def __init__(self, styles: Styles, numbering: Numbering, marks: Marks) -> None:
        self._styles = styles
        self._numbering = numbering
        self._marks = marks
        self._drawing: Callable[[str], Sequence[str]] = lambda _: ()
        self.notes: dict[tuple[str, str], Note] = {}
        """The notes that the text refers to, by kind and id, in the order of the references."""
        self._marked = dict.fromkeys(_NOTE_NUMBERS, 0)
        self.left_out_deletions = False
        """Whether something was left out because its deletion is tracked."""
        self._inline: Mapping[str, Callable[[Element, _Line], None]] = {
            _R: self._run,
            ALTERNATIVES: self._alternatives,
            **dict.fromkeys((w("del"), w("moveFrom")), self._deleted),
            **dict.fromkeys((w("footnoteReference"), w("endnoteReference")), self._reference),
            **dict.fromkeys(_JOINTS, self._joined),
            m("d"): self._in_brackets,
            m("rad"): self._root,
            w("ruby"): self._ruby,
            w("txbxContent"): lambda box, line: line.boxes.extend(self._lines(box)),
            **dict.fromkeys(DRAWN_ELSEWHERE, self._drawn_elsewhere),
            **_SIGNS,
        }

    def lines(self, part: Element, drawing: Callable[[str], Sequence[str]]) -> list[str]:
        """Return the lines of a part, whose drawings are found by the ids of their links."""
        self._drawing = drawing
        return self._lines(part)

    def _lines(self, container: Element) -> list[str]:
        lines: list[str] = []
        begun = ""
        for block in _blocks(container, (_P, _TBL)):
            if block.tag == _TBL:
                lines.extend(self._rows(block))
            else:
                begun = self._paragraph(block, begun, lines)
        return [*lines, begun] if begun else lines

    def _paragraph(self, paragraph: Element, begun: str, lines: list[str]) -> str:
        """Add the lines of a paragraph; if the next one goes on (a drop cap, a deleted end), return its text."""
        properties = paragraph.find(_P_PR)
        style = self._styles.paragraph(value(properties, "pStyle"))
        line = _Line(is_hidden=style.hidden)
        self._walk(paragraph, line)
        text = begun + "".join(line.pieces)
        end = properties.find(_R_PR) if properties is not None else None
        if end is not None and (end.find(w("del")) is not None or end.find(w("moveFrom")) is not None):
            self.left_out_deletions = True
            lines.extend(line.boxes)
            return text
        if _is_drop_cap(properties):
            lines.extend(line.boxes)
            return text
        if text or not (line.is_hidden or switched_on(end, "vanish")):
            lines.extend(self._labelled(text, properties, style).split("\n"))
        lines.extend(line.boxes)
        return ""

    def _labelled(self, text: str, properties: Element | None, style: Style) -> str:
        label = self._numbering.label(properties, style)
        shown = f"{label.text}{label.separator}{text}" if label else text
        own = value(properties, "outlineLvl")
        outline = style.outline if own is None else number(own, 9)
        is_place = text.strip() and (outline in range(9) or is_heading(label, text))
        return self._marks.sign("heading", shown) + shown if is_place else shown

    def _rows(self, table: Element) -> Iterator[str]:
        for one in _blocks(table, (_TR,)):
            properties = one.find(w("trPr"))
            if switched_on(properties, "hidden"):
                continue
            if properties is not None and properties.find(w("del")) is not None:
                self.left_out_deletions = True
                continue
            cells = list(_blocks(one, (_TC,)))
            if len(cells) == 1:
                yield from self._cell(cells[0])
            else:
                yield row([text for cell in cells for text in self._in_columns(cell)])

    def _in_columns(self, cell: Element) -> Iterator[str]:
        """Return the text of a cell, then an empty text for each further column that the cell spans."""
        yield " ".join(self._cell(cell))
        further = number(value(cell.find(w("tcPr")), "gridSpan"), 1) - 1
        yield from [""] * min(further, _MOST_SPANNED)

    def _cell(self, cell: Element) -> list[str]:
        properties = cell.find(w("tcPr"))
        merged = properties.find(w("vMerge")) if properties is not None else None
        is_covered = merged is not None and merged.get(VAL) != "restart"
        return [] if is_covered else self._lines(cell)

    def _walk(self, parent: Element, line: _Line) -> None:
        for child in parent:
            handle = self._inline.get(child.tag)
            if handle:
                handle(child, line)
            elif child.tag not in _UNSEEN:
                self._walk(child, line)

    def _run(self, run: Element, line: _Line) -> None:
        properties = run.find(_R_PR)
        hidden = switch(properties, "vanish")
        if hidden is None:
            hidden = line.is_hidden or self._styles.named(value(properties, "rStyle")).hidden
        if not hidden:
            self._walk(run, line)

    def _alternatives(self, alternatives: Element, line: _Line) -> None:
        for branch in _seen_branch(alternatives):
            self._walk(branch, line)

    def _deleted(self, _deletion: Element, _line: _Line) -> None:
        self.left_out_deletions = True

    def _reference(self, reference: Element, line: _Line) -> None:
        kind = "footnote" if reference.tag == w("footnoteReference") else "endnote"
        key = kind, reference.get(ID) or ""
        if key not in self.notes:
            has_own_mark = reference.get(w("customMarkFollows")) in ("1", "true", "on")
            self._marked[kind] += not has_own_mark
            self.notes[key] = Note(*key, "" if has_own_mark else f"[{_NOTE_NUMBERS[kind](self._marked[kind])}]")
        line.add(self.notes[key].mark)

    def _drawn_elsewhere(self, drawn: Element, line: _Line) -> None:
        line.boxes.extend(self._drawing(drawn.get(DRAWN_ELSEWHERE[drawn.tag]) or ""))

    def _ruby(self, ruby: Element, line: _Line) -> None:
        """Add the base text, and how it is spoken in brackets, which the file has first."""
        for name, before, after in (("rubyBase", "", ""), ("rt", "(", ")")):
            text = ruby.find(w(name))
            if text is not None:
                line.add(before)
                self._walk(text, line)
                line.add(after)

    def _joined(self, formula: Element, line: _Line) -> None:
        pieces = [piece for piece in formula if piece.tag not in _UNSEEN]
        for piece, joint in zip(pieces, ["", *_JOINTS[formula.tag]], strict=False):
            line.add(joint)
            self._walk(piece, line)

    def _in_brackets(self, formula: Element, line: _Line) -> None:
        properties = formula.find(m("dPr"))
        line.add(_bracket(properties, "begChr", "("))
        self._walk(formula, line)
        line.add(_bracket(properties, "endChr", ")"))

    def _root(self, formula: Element, line: _Line) -> None:
        line.add("√")
        self._walk(formula, line)


def _blocks(parent: Element, tags: tuple[str, ...]) -> Iterator[Element]:
    """Find the nearest elements of these kinds, which content controls and the like may wrap."""
    for child in parent:
        if child.tag in tags:
            yield child
        elif child.tag == ALTERNATIVES:
            for branch in _seen_branch(child):
                yield from _blocks(branch, tags)
        elif child.tag not in _UNSEEN and child.tag != _P:
            yield from _blocks(child, tags)


def _seen_branch(alternatives: Element) -> Iterator[Element]:
    """Return the first of several ways to say the same that has something to read; none if no way has."""
    for branch in alternatives:
        if any(one.text or one.tag not in (_TEXT, _FORMULA_TEXT) for one in branch.iter(*_READABLE)):
            yield branch
            return


def _is_drop_cap(properties: Element | None) -> bool:
    """Whether a paragraph is the large first letter of the next one."""
    frame = properties.find(w("framePr")) if properties is not None else None
    return frame is not None and frame.get(w("dropCap")) in ("drop", "margin")


def _text(element: Element, line: _Line) -> None:
    text = element.text or ""
    if element.get(_KEEP_SPACES) != "preserve" and element.tag == _TEXT:
        text = text.strip(" \t\r\n")
    if not text.isprintable():
        text = _UNUSUAL.sub(lambda found: _usual(found[0], element), text)
    line.add(text)


def _usual(character: str, element: Element) -> str:
    if character in _WRAPPED:
        return _WRAPPED[character]
    run = element.getparent()
    fonts = run.find(f"{_R_PR}/{w('rFonts')}") if run is not None else None
    return symbol(fonts.get(w("ascii")) or "" if fonts is not None else "", f"{ord(character):x}")


def _field(mark: Element, line: _Line) -> None:
    kind = mark.get(w("fldCharType"))
    if kind == "begin":
        line.add(_form_field(mark.find(w("ffData"))))
        line.begin_field()
    elif kind == "separate":
        line.begin_result()
    elif kind == "end":
        line.end_field()


def _form_field(form: Element | None) -> str:
    """Return what a form shows in a check box or a list to choose from, which are not in the text of the field."""
    box = form.find(w("checkBox")) if form is not None else None
    if box is not None:
        checked = switch(box, "checked")
        return "☒" if (switched_on(box, "default") if checked is None else checked) else "☐"
    choices = form.find(w("ddList")) if form is not None else None
    entries = [one.get(VAL) or "" for one in choices.iterchildren(w("listEntry"))] if choices is not None else []
    chosen = number(value(choices, "result") or value(choices, "default"), 0)
    return entries[chosen] if 0 <= chosen < len(entries) else ""


def _bracket(properties: Element | None, name: str, usual: str) -> str:
    sign = properties.find(m(name)) if properties is not None else None
    return usual if sign is None else sign.get(m("val")) or ""


_SIGNS: Mapping[str, Callable[[Element, _Line], None]] = {
    **dict.fromkeys((_TEXT, _FORMULA_TEXT), _text),
    **dict.fromkeys((w("tab"), w("ptab")), lambda _, line: line.add("\t")),
    **dict.fromkeys((w("br"), w("cr")), lambda _, line: line.add("\n")),
    w("noBreakHyphen"): lambda _, line: line.add("-"),
    w("fldChar"): _field,
    _SIGN: lambda sign, line: line.add(symbol(sign.get(w("font")) or "", sign.get(w("char")) or "")),
    _ART: lambda art, line: line.boxes.append(art.get("string") or ""),
    PARAGRAPH: lambda drawn, line: line.boxes.extend(paragraph_text(drawn).split("\n")),
}
_READABLE = (_TEXT, _FORMULA_TEXT, _SIGN, _ART, PARAGRAPH, *DRAWN_ELSEWHERE)
