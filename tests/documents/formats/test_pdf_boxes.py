"""Boxes of stretches of a PDF's text, on layouts that the tests draw word by word."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, pairwise, product
from pathlib import Path

import pytest
from format_samples import page_of, pdf

from batchrun.document import Place
from batchrun.documents.formats import Part, ReadOptions, Unusable
from batchrun.documents.formats.pdf import read
from batchrun.documents.formats.pdf_boxes import Box, boxes_of

COURIER = b"/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding"
SIZE = 10
WIDTH, ASCENT, DESCENT = 0.6 * SIZE, 0.629 * SIZE, 0.157 * SIZE
"""These are the metrics that Adobe gives the font Courier: each character is as wide as each other."""
LEADING = 13
QUOTES = 150
WORDS = ("the", "of", "agreement", "party", "shall", "disclose", "notice", "written", "to", "information", "a", "by")


@dataclass(frozen=True)
class Word:
    """A word as the test draws it."""

    text: str
    page: int
    line: int
    """Words of the same line have one box."""
    x: float
    y: float
    upward: bool = False
    """Whether the word is drawn at 90 degrees."""

    def box(self) -> Box:
        length = WIDTH * len(self.text)
        if self.upward:
            return Box(self.page, self.x - ASCENT, self.y, self.x + DESCENT, self.y + length)
        return Box(self.page, self.x, self.y - DESCENT, self.x + length, self.y + ASCENT)


def words(count: int, seed: int) -> list[str]:
    """Words of which each stands once, so that a quote has one place."""
    chosen = random.Random(seed)
    return [f"{chosen.choice(WORDS)}{number:03}" for number in range(count)]


def laid_out(texts: Sequence[str], starts: Sequence[tuple[int, float, float, float]]) -> list[Word]:
    """Lay words out in lines that begin at `starts` (page, x, y, width), as far as the words go."""
    rest, placed = list(texts), []
    for line, (page, left, y, width) in enumerate(starts):
        x = left
        while rest and x + WIDTH * len(rest[0]) <= left + width:
            placed.append(Word(rest[0], page, line, x, y))
            x += WIDTH * (len(rest.pop(0)) + 1)
    return placed


def lines(page: int, left: float, width: float, count: int = 40) -> list[tuple[int, float, float, float]]:
    return [(page, left, 720 - LEADING * line, width) for line in range(count)]


def one_column(seed: int) -> list[Word]:
    return laid_out(words(600, seed), [*lines(1, 72, 450), *lines(2, 72, 450)])


def two_columns(seed: int) -> list[Word]:
    starts = [start for page, left in product((1, 2), (60, 320)) for start in lines(page, left, 220)]
    return laid_out(words(600, seed), starts)


def table(seed: int) -> list[Word]:
    """A table of three columns: a cell is a line of its own."""
    starts = [(1, left, 720 - LEADING * row, 120) for row in range(40) for left in (60, 210, 360)]
    return laid_out(words(200, seed), starts)


def upward(seed: int) -> list[Word]:
    """Lines that run upward, from left to right over the page."""
    turned = [Word(one.text, one.page, one.line, 800 - one.y, one.x, upward=True) for one in one_column(seed)]
    return [one for one in turned if one.page == 1]


def drawn(placed: Sequence[Word], *, singly: bool) -> list[bytes]:
    """The contents of the pages, with an operator for each word or for each line."""
    pages = []
    for _, on_page in groupby(placed, key=lambda word: word.page):
        runs = [list(run) for _, run in groupby(on_page, key=lambda word: (word.line, word.text if singly else ""))]
        pages.append(b"\n".join(_shown(run) for run in runs))
    return pages


def _shown(run: Sequence[Word]) -> bytes:
    matrix = b"0 1 -1 0" if run[0].upward else b"1 0 0 1"
    text = " ".join(word.text for word in run).encode()
    return b"BT /F %d Tf %s %f %f Tm (%s) Tj ET" % (SIZE, matrix, run[0].x, run[0].y, text)


def true_boxes(quote: Sequence[Word]) -> list[Box]:
    """One box for each line of a quote."""
    return [_around([word.box() for word in line]) for _, line in groupby(quote, key=lambda word: word.line)]


def _around(boxes: Sequence[Box]) -> Box:
    return Box(
        boxes[0].page,
        min(box.left for box in boxes),
        min(box.bottom for box in boxes),
        max(box.right for box in boxes),
        max(box.top for box in boxes),
    )


def overlap(found: Sequence[Box], true: Sequence[Box]) -> float:
    """The area that both have in common, as a share of the area that either has (IoU)."""
    both = either = 0.0
    for page in {box.page for box in (*found, *true)}:
        ours, theirs = ([box for box in boxes if box.page == page] for boxes in (found, true))
        for cell in _cells([*ours, *theirs]):
            inside = any(_covers(box, cell) for box in ours), any(_covers(box, cell) for box in theirs)
            area = (cell.right - cell.left) * (cell.top - cell.bottom)
            both, either = both + area * all(inside), either + area * any(inside)
    return both / either


def _cells(boxes: Sequence[Box]) -> Iterator[Box]:
    """The grid that the sides of the boxes make."""
    across = sorted({side for box in boxes for side in (box.left, box.right)})
    up = sorted({side for box in boxes for side in (box.bottom, box.top)})
    for (left, right), (bottom, top) in product(pairwise(across), pairwise(up)):
        yield Box(boxes[0].page, left, bottom, right, top)


def _covers(box: Box, cell: Box) -> bool:
    return box.left <= cell.left < box.right and box.bottom <= cell.bottom < box.top


def part_of(data: bytes) -> Part:
    (part,) = read(data, ReadOptions())
    assert isinstance(part, Part)
    return part


def boxes_in(data: bytes, *quotes: str) -> list[list[Box]]:
    part = part_of(data)
    starts = [part.text.index(quote) for quote in quotes]
    return boxes_of(data, [(at, at + len(quote)) for at, quote in zip(starts, quotes, strict=True)], part.places)


@pytest.mark.parametrize(
    ("layout", "singly", "rotate", "crop"),
    [
        pytest.param(one_column, False, 0, b"0 0 600 800", id="one column"),
        pytest.param(two_columns, False, 0, b"0 0 600 800", id="two columns"),
        pytest.param(table, False, 0, b"0 0 600 800", id="table"),
        pytest.param(table, True, 0, b"0 0 600 800", id="table, words singly"),
        pytest.param(one_column, True, 0, b"0 0 600 800", id="words singly"),
        pytest.param(two_columns, True, 270, b"0 0 600 800", id="all at once"),
        pytest.param(upward, False, 0, b"0 0 600 800", id="upward"),
        pytest.param(upward, False, 90, b"0 0 600 800", id="upward, rotated back"),
        pytest.param(one_column, False, 90, b"0 0 600 800", id="rotated 90"),
        pytest.param(one_column, False, 180, b"0 0 600 800", id="rotated 180"),
        pytest.param(one_column, False, 270, b"0 0 600 800", id="rotated 270"),
        pytest.param(one_column, False, 0, b"50 100 580 790", id="crop box"),
    ],
)
def test_boxes_are_where_quotes_were_drawn(
    layout: Callable[[int], list[Word]], *, singly: bool, rotate: int, crop: bytes
) -> None:
    placed = layout(7)
    data = pdf(drawn(placed, singly=singly), rotate=rotate, font=COURIER, crop=crop)
    part = part_of(data)
    draw = random.Random(11)
    starts = [draw.randrange(len(placed) - 30) for _ in range(QUOTES)]
    quotes = [placed[start : start + draw.randint(4, 30)] for start in starts]
    spans = [
        (part.text.index(quote[0].text), part.text.index(quote[-1].text) + len(quote[-1].text)) for quote in quotes
    ]

    found = boxes_of(data, spans, part.places)

    for quote, (start, end) in zip(quotes, spans, strict=True):
        assert part.text[start:end].split() == [word.text for word in quote]
    overlaps = [overlap(boxes, true_boxes(quote)) for boxes, quote in zip(found, quotes, strict=True)]
    assert min(overlaps) >= 0.5


def test_words_that_are_drawn_singly_have_one_box_a_line() -> None:
    placed = one_column(3)[:25]
    data = pdf(drawn(placed, singly=True), font=COURIER)
    part = part_of(data)

    (boxes,) = boxes_of(data, [(0, len(part.text))], part.places)

    assert len(boxes) == len({word.line for word in placed})


def test_lines_of_vertical_text_are_not_merged() -> None:
    placed = upward(3)[:25]
    data = pdf(drawn(placed, singly=False), font=COURIER)
    part = part_of(data)

    (boxes,) = boxes_of(data, [(0, len(part.text))], part.places)

    assert len(boxes) == len({word.line for word in placed})


def test_cells_that_are_far_apart_have_boxes_of_their_own() -> None:
    cells = b"BT /F 10 Tf 72 700 Td (left) Tj ET BT /F 10 Tf 300 700 Td (right) Tj ET"

    (boxes,) = boxes_in(pdf([cells], font=COURIER), "left right")

    assert [box.left for box in boxes] == pytest.approx([72, 300], abs=1)


def test_a_span_is_split_at_the_ends_of_pages() -> None:
    data = pdf([page_of("first"), b"", page_of("the agree-"), page_of("ment holds"), page_of("last")])
    part = part_of(data)
    assert part.text == "first\n\nthe agree-ment holds\n\nlast"

    whole, over, between = boxes_of(data, [(0, len(part.text)), (11, 21), (5, 7)], part.places)

    assert [box.page for box in whole] == [1, 3, 4, 5]
    assert [box.page for box in over] == [3, 4]
    assert over[1].right < whole[2].right
    assert between == []


def bfchars(**characters: str) -> bytes:
    """A map from codes, by their letters, to characters in UTF-16 (hexadecimal)."""
    pairs = b" ".join(b"<%02X> <%s>" % (ord(code), to.encode()) for code, to in characters.items())
    return (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def 1"
        b" begincodespacerange <00> <FF> endcodespacerange %d beginbfchar %s endbfchar endcmap end end"
    ) % (len(characters), pairs)


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("D835DD04", "\U0001d504"),
        ("00660069", "fi"),
        ("FFFE", ""),
        ("D835", ""),
        ("0061000D000A0062", "a\nb"),
        ("0061000DD835000A0062", "a\nb"),
        ("000D", "\n"),
    ],
    ids=["beyond 16 bits", "ligature", "no character", "half a character", "line end", "half in line end", "return"],
)
def test_characters_that_are_counted_otherwise_do_not_shift_boxes(to: str, text: str) -> None:
    content = b"BT /F 10 Tf 72 700 Td (  oXXe two) Tj 0 -20 Td (threXX four) Tj ET"
    data = pdf([content], font=COURIER, characters=bfchars(X=to))
    part = part_of(data)
    assert part.text == f"o{text * 2}e two\nthre{text * 2} four"

    two, four = boxes_in(data, "two", "four")

    assert [box.left for box in two] == pytest.approx([72 + 7 * WIDTH], abs=1)
    assert [box.right for box in two] == pytest.approx([72 + 10 * WIDTH], abs=1)
    assert [(box.left, box.bottom) for box in four] == [
        (pytest.approx(72 + 7 * WIDTH, abs=1), pytest.approx(680, abs=3))
    ]


def test_a_hyphen_at_the_end_of_a_line_has_a_box_on_either_line() -> None:
    (boxes,) = boxes_in(pdf([page_of("They agree-", "ment holds.")], font=COURIER), "agree-ment")

    assert [box.left for box in boxes] == pytest.approx([72 + 5 * 7.2, 72], abs=1)
    assert boxes[0].bottom > boxes[1].top


def test_a_page_without_text_has_no_boxes() -> None:
    data = pdf([b"0 0 100 100 re f"])

    assert boxes_of(data, [(0, 10)], [Place("page", "1", 0)]) == [[]]


def test_spans_beyond_the_text_and_the_pages_have_no_boxes() -> None:
    data = pdf([page_of("One.")])
    places = [Place("page", "1", 0), Place("heading", "1 One", 0), Place("page", "2", 6)]

    assert boxes_of(data, [(4, 6), (7, 9), (2, 2), (5, 3)], places) == [[], [], [], []]
    assert boxes_of(data, [(0, 4)], []) == [[]]


def test_a_broken_page_has_no_boxes_and_the_others_have_theirs() -> None:
    broken = pdf([page_of("One."), page_of("Two.")]).replace(b"/Kids[5 0 R 7 0 R]", b"/Kids[5 0 R 6 0 R]")
    part = part_of(broken)

    one, two = boxes_of(broken, [(0, 4), (4, 8)], part.places)

    assert [box.page for box in one] == [1]
    assert two == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"%PDF-1.4\njunk", "a broken PDF"), (pdf([page_of("x")], password=b"x"), "encrypted with a password")],
    ids=["broken", "encrypted"],
)
def test_what_cannot_be_opened_is_unusable(data: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        boxes_of(data, [(0, 1)], [Place("page", "1", 0)])


def require_boxes_within(data: bytes) -> None:
    """Look for boxes in hostile bytes: there may be none, and every box has an area."""
    with suppress(Unusable):
        for boxes in boxes_of(data, [(0, 5), (3, 1_000)], [Place("page", "1", 0), Place("page", "2", 20)]):
            assert all(box.has_area for box in boxes)


DAMAGED = """
import sys
sys.path.insert(0, sys.argv[1])
from format_samples import SAMPLES, damaged
from test_pdf_boxes import require_boxes_within
for data in (*damaged(SAMPLES["pdf"].data, copies=500), *(other.data for other in SAMPLES.values())):
    require_boxes_within(data)
print("all read")
"""


def test_damaged_files_have_boxes_or_none() -> None:
    # The library of PDFs may end the process, so broken PDFs are read in another.
    here = str(Path(__file__).parent)
    ended = subprocess.run([sys.executable, "-c", DAMAGED, here], capture_output=True, text=True, check=False)

    assert ended.stdout == "all read\n", ended.stderr
