"""Pictures of the pages of a PDF, and where boxes are on the pictures."""

import random
import struct
import zlib
from collections.abc import Sequence
from math import ceil

import pytest
from format_samples import page_of, pdf

from batchrun.documents.formats import Part, ReadOptions, Unusable
from batchrun.documents.formats.pdf import read
from batchrun.documents.formats.pdf_boxes import Box, boxes_of
from batchrun.documents.formats.pdf_pictures import (
    MOST_HEIGHT,
    MOST_PICTURE_BYTES,
    MOST_WIDTH,
    PagePicture,
    pictures_of,
)

LINE = "The initial term is two years."


def boxes(data: bytes, quote: str = LINE) -> list[Box]:
    (part,) = read(data, ReadOptions())
    assert isinstance(part, Part)
    start = part.text.index(quote)
    return [box for of_span in boxes_of(data, [(start, start + len(quote))], part.places) for box in of_span]


def pixels(picture: PagePicture) -> list[list[int]]:
    """The greys of a PNG, from 0 to 15, by row."""
    assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, *header = struct.unpack(">IIBBBBB", picture.png[16:29])
    assert ((width, height), header) == ((picture.width, picture.height), [4, 0, 0, 0, 0])
    at, chunks = 8, []
    while at < len(picture.png):
        (size,) = struct.unpack(">I", picture.png[at : at + 4])
        name, body = picture.png[at + 4 : at + 8], picture.png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", picture.png[at + 8 + size : at + 12 + size]) == (zlib.crc32(name + body),)
        chunks.append((name, body))
        at += 12 + size
    assert [name for name, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    lines, row = zlib.decompress(chunks[1][1]), 1 + ceil(width / 2)
    assert len(lines) == row * height
    return [_greys(lines[y * row + 1 : (y + 1) * row])[:width] for y in range(height)]


def _greys(packed: bytes) -> list[int]:
    return [grey for byte in packed for grey in (byte >> 4, byte & 15)]


def inked(picture: PagePicture) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of everything that is dark."""
    dark = [(x, y) for y, row in enumerate(pixels(picture)) for x, grey in enumerate(row) if grey < 8]
    return min(x for x, _ in dark), min(y for _, y in dark), max(x for x, _ in dark), max(y for _, y in dark)


def require_around(picture: PagePicture, boxes: Sequence[tuple[int, int, int, int]]) -> None:
    """The box is where the only line of the page is drawn, and no larger than a line."""
    ((left, top, width, height),) = boxes
    ink = inked(picture)
    assert left - 3 <= ink[0] < ink[2] <= left + width + 3
    assert top - 3 <= ink[1] < ink[3] <= top + height + 3
    assert width * height < 2 * (ink[2] - ink[0] + 6) * (ink[3] - ink[1] + 6)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [b"0 0 600 800", b"50 500 450 760"], ids=["whole", "cropped"])
def test_a_box_is_where_the_line_is_seen(rotate: int, crop: bytes) -> None:
    data = pdf([page_of(LINE)], rotate=rotate, crop=crop)

    (picture,) = pictures_of(data, boxes(data))

    assert picture.width <= MOST_WIDTH
    assert picture.height <= MOST_HEIGHT
    require_around(picture, picture.boxes)


def test_there_is_a_picture_of_each_page_with_a_box_and_of_no_other() -> None:
    data = pdf([page_of("Nothing."), page_of(LINE), page_of("Nothing."), page_of("The end of all.")])
    asked = [*boxes(data, "The end of all."), *boxes(data)]

    assert [one.page for one in pictures_of(data, asked)] == [2, 4]


@pytest.mark.parametrize(
    ("sides", "drawn"),
    [(b"0 0 14400 14400", [1]), (b"0 0 0.5 9000", [1]), (b"0 0 30 40", [1]), (b"0 0 nan 1", [1])],
    ids=["large", "thin", "stamp", "no number"],
)
def test_a_picture_has_a_bounded_size_whatever_the_page_claims(sides: bytes, drawn: list[int]) -> None:
    data = pdf([page_of(LINE)]).replace(b"/MediaBox[0 0 600 800]/CropBox[0 0 600 800]", b"/MediaBox[%s]" % sides)

    found = pictures_of(data, [Box(1, 10.0, 10.0, 20.0, 20.0)])

    assert [picture.page for picture in found] == drawn
    for picture in found:
        assert 0 < picture.width <= MOST_WIDTH
        assert 0 < picture.height <= MOST_HEIGHT
        pixels(picture)


def test_a_page_of_noise_is_made_smaller_until_it_fits() -> None:
    chance = random.Random(1)
    data = pdf([b"".join(b"%d %d 1 1 re f " % (chance.randrange(600), chance.randrange(800)) for _ in range(30_000))])

    found = pictures_of(data, [Box(1, 10.0, 10.0, 20.0, 20.0)])

    (width,) = (picture.width for picture in found if len(picture.png) <= MOST_PICTURE_BYTES)
    assert width < 0.8 * MOST_WIDTH


def test_a_box_off_the_page_has_no_size_and_a_page_that_is_not_there_no_picture() -> None:
    data = pdf([page_of(LINE)])
    off, wild = Box(1, 900.0, 900.0, 950.0, 910.0), Box(1, -1e12, -1e12, 1e12, 1e12)

    (picture,) = pictures_of(data, [off, wild, Box(9, 1.0, 1.0, 2.0, 2.0), Box(0, 1.0, 1.0, 2.0, 2.0)])

    assert 0 in picture.boxes[0][2:]
    assert all(0 <= side <= MOST_HEIGHT for side in picture.boxes[1])


def test_what_is_no_pdf_or_needs_a_password_has_none() -> None:
    for data in (b"no PDF", pdf([page_of(LINE)], password=b"secret")):
        with pytest.raises(Unusable):
            pictures_of(data, [Box(1, 1.0, 1.0, 2.0, 2.0)])


def test_a_pdf_that_everybody_can_open_has_pictures() -> None:
    data = pdf([page_of(LINE)], password=b"")

    (picture,) = pictures_of(data, boxes(data))

    require_around(picture, picture.boxes)
