"""Web pages: the text that a browser would show, with a line for each block and a place for each heading."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from batchrun.document import Place
from batchrun.documents.encoding import Undecodable
from batchrun.documents.formats import Found, Part, ReadOptions, Unusable
from batchrun.documents.formats.html_charset import decode_page

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_APART = _HEADINGS | {"p", "ul", "ol", "dl", "table", "blockquote", "pre", "listing", "xmp", "figure", "hr"}
_BLOCKS = _APART | {
    *("address", "article", "aside", "body", "caption", "center", "dd", "details", "dialog", "dir", "div", "dt"),
    *("fieldset", "figcaption", "footer", "form", "header", "hgroup", "legend", "li", "main", "menu", "nav"),
    *("optgroup", "option", "search", "section", "select", "summary", "tbody", "textarea", "tfoot", "thead"),
    *("title", "tr"),
}
_VERBATIM = frozenset(("pre", "listing", "xmp", "plaintext", "textarea"))
_UNSEEN = frozenset(
    (
        *("script", "style", "noscript", "template", "iframe", "noframes", "noembed", "object", "embed", "applet"),
        *("audio", "video", "canvas", "datalist", "annotation", "annotation-xml", "desc", "metadata", "rp"),
        *("-comment", "-doctype", "-cdata", "!doctype"),
    )
)
_NOT_DISPLAYED = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_NAME_LENGTH = 200
_NAME_PIECES = 100
_TAG = re.compile(rb"<(/?)([a-zA-Z][^\s/>]*)")
_UNNESTED = frozenset(
    (
        *(b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"param", b"source"),
        *(b"track", b"wbr", b"a", b"dd", b"dt", b"li", b"option", b"p", b"tbody", b"td", b"tfoot", b"th", b"thead"),
        b"tr",
    )
)
"""Elements that contain nothing, or that the next element of their kind closes."""
_MAX_STEPS = 2_000_000_000
"""The parser looks at every open element for a tag. These are 4 seconds; a page has a ten-thousandth of the steps."""


def read(data: bytes, options: ReadOptions) -> Iterator[Found]:
    """Read a web page as one part."""
    try:
        decoded = decode_page(data, options.encoding)
    except Undecodable as reason:
        raise Unusable(str(reason)) from reason
    text, places = html_to_text_and_places(decoded.text)
    yield Part(text=text, places=places, note=decoded.note)


def html_to_text(markup: str) -> str:
    """Return the visible text of markup. Raises Unusable."""
    return html_to_text_and_places(markup)[0]


def html_to_text_and_places(markup: str) -> tuple[str, tuple[Place, ...]]:
    """Return the visible text of markup, the title first, and the places of its headings. Raises Unusable."""
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    data = markup.encode("utf-8", "replace").replace(b"\0", b"")
    _require_shallow(data)
    try:
        parser = LexborHTMLParser(data)
        root = parser.root
        hidden = frozenset(node.mem_id for node in parser.css("[hidden], [style]") if _is_hidden(node))
    except SelectolaxError as error:
        raise Unusable(f"HTML that cannot be parsed ({error})") from error
    page = _Page()
    if root is not None:
        _write(root, page, hidden)
    return page.text(), page.places()


class _Page:
    """A text that grows, and the white space that is due before its next word."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._places: list[Place] = []
        self._length = 0
        self._breaks = self._tabs = 0
        self._space = False
        self._rows: list[tuple[int, int]] = []
        """The number of cells of each open row, and the length of the text where the row began."""
        self._headings: list[tuple[int, int]] = []
        """The number of pieces before each open heading, and the length of the text there."""

    def text(self) -> str:
        """Return the text so far."""
        return "".join(self._pieces).rstrip()

    def places(self) -> tuple[Place, ...]:
        """Return the headings in the order of their starts."""
        return tuple(sorted(self._places, key=lambda place: place.start))

    def write(self, text: str) -> None:
        """Add words. Any white space is one space."""
        words = text.split()
        if words:
            self._space = self._space or text[0].isspace()
            self._add(" ".join(words).replace("\ufffe", ""))
        self._space = text[-1:].isspace()

    def write_verbatim(self, text: str) -> None:
        """Add a text with its white space as it is."""
        if self._length or not text.isspace():
            self._space = False
            self._add(text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufffe", ""))

    def newline(self, count: int = 1) -> None:
        """Ask for ends of lines before the next word: in a row for one, at a cell's edge for none."""
        if not self._tabs:
            self._breaks = max(self._breaks, 1 if self._rows else count)

    def break_line(self) -> None:
        """Ask for one more end of a line, up to an empty line."""
        self.newline(min(self._breaks + 1, 2))

    def begin_row(self) -> None:
        """Begin a row of a table."""
        self.newline()
        self._rows.append((0, self._length))

    def end_row(self) -> None:
        """End the row that began last."""
        self._rows.pop()
        self._tabs = 0
        self.newline()

    def begin_cell(self) -> None:
        """Begin a cell, which a tab separates from the cell before."""
        if not self._rows:
            return
        cells, start = self._rows[-1]
        self._rows[-1] = (cells + 1, start)
        if cells:
            self._tabs += 1
            self._breaks = 0 if self._length > start else self._breaks

    def begin_heading(self) -> None:
        """Begin a heading."""
        self._headings.append((len(self._pieces), self._length))

    def end_heading(self) -> None:
        """End the heading that began last, and note its place unless the heading is empty."""
        pieces, length = self._headings.pop()
        words = "".join(self._pieces[pieces : pieces + _NAME_PIECES])
        if name := " ".join(words.split())[:_NAME_LENGTH]:
            self._places.append(Place("heading", name, length + len(words) - len(words.lstrip())))

    def _add(self, text: str) -> None:
        piece = self._due() + text
        self._pieces.append(piece)
        self._length += len(piece)
        self._breaks, self._tabs, self._space = 0, 0, False

    def _due(self) -> str:
        if not self._pieces:
            return "\t" * self._tabs
        last = self._pieces[-1]
        breaks = max(0, self._breaks - (len(last) - len(last.rstrip("\n"))))
        between = "\n" * breaks + "\t" * self._tabs
        return between or " " * (self._space and not self._breaks)


def _write(root: "LexborNode", page: _Page, hidden: frozenset[int]) -> None:
    """Write what can be seen below a node. The walk is no recursion, because elements nest deeper than calls may."""
    verbatim = 0
    todo: list[LexborNode | str] = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, str):  # the end of an element, whose tag this is
            verbatim -= node in _VERBATIM
            _end(node, page)
        elif (tag := node.tag or "") == "-text":
            (page.write_verbatim if verbatim else page.write)(node.text_content or "")
        elif _is_seen(node, tag, hidden):
            verbatim += tag in _VERBATIM
            _begin(tag, page)
            todo.append(tag)
            todo.extend(reversed(list(node.iter(include_text=True))))


def _begin(tag: str, page: _Page) -> None:
    if tag == "tr":
        page.begin_row()
    elif tag in ("td", "th"):
        page.begin_cell()
    elif tag == "br":
        page.break_line()
    elif tag in _BLOCKS:
        page.newline(2 if tag in _APART else 1)
        if tag in _HEADINGS:
            page.begin_heading()


def _end(tag: str, page: _Page) -> None:
    if tag == "tr":
        page.end_row()
    elif tag in _BLOCKS:
        if tag in _HEADINGS:
            page.end_heading()
        page.newline(2 if tag in _APART else 1)


def _is_seen(node: "LexborNode", tag: str, hidden: frozenset[int]) -> bool:
    if tag in _UNSEEN or node.mem_id in hidden:
        return False
    # Pictures have titles too, which only a pointer shows.
    return tag != "title" or (node.parent is not None and node.parent.tag in ("head", "body"))


def _is_hidden(node: "LexborNode") -> bool:
    """Whether an element is hidden. Scripts show a hidden page when the page has been loaded."""
    if node.tag in ("html", "body"):
        return False
    attributes = node.attributes
    return "hidden" in attributes or _NOT_DISPLAYED.search(attributes.get("style") or "") is not None


def _require_shallow(data: bytes) -> None:
    """Refuse elements nested so deeply that the parser, which is quadratic in the depth, would not come to an end."""
    if data.count(b"<") ** 2 // 2 <= _MAX_STEPS:
        return
    opened: Counter[bytes] = Counter()
    depth = steps = 0
    for match in _TAG.finditer(data):
        closing, name = match[1], match[2].lower()
        if not closing and name not in _UNNESTED:
            opened[name] += 1
            depth += 1
        elif closing and opened[name]:
            opened[name] -= 1
            depth -= 1
        steps += depth
        if steps > _MAX_STEPS:
            raise Unusable(
                f"HTML whose elements are nested too deeply (at least {depth:,} deep); convert it to text first"
            )
