"""Pages of a PDF as pictures of bounded size, with the places of boxes on the pictures.

A hostile PDF may end or occupy the process here as in `pdf.read`, so pictures too are made in child processes.
"""

import ctypes
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from batchrun.documents.formats.pdf import opened
from batchrun.documents.formats.pdf_boxes import Box

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

MOST_WIDTH, MOST_HEIGHT = 680, 960
"""The most pixels of a picture, however large the page claims to be."""
MOST_PICTURE_BYTES = 40_000
"""A page of dense text takes 30,000 bytes. The picture of a page that takes more is made smaller."""
_SIZES = (1.0, 0.7, 0.45)
_LARGEST_SCALE = 3.0
"""The most pixels for each point: a stamp of a page is not blown up to a sheet."""
_TO_16_GREYS = bytes((grey + 8) // 17 for grey in range(256))


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page as a person sees the page, rotated and cropped as the PDF says."""

    page: int
    """The number of the page, from 1 on."""
    width: int
    """The width in pixels, as `height` and `boxes` are."""
    height: int
    png: bytes
    boxes: Sequence[tuple[int, int, int, int]]
    """Left, top, width and height of each box of the page; a box outside of what is seen has no width or height."""


def pictures_of(data: bytes, boxes: Sequence[Box]) -> list[PagePicture]:
    """Make a picture of each page that has a box, in the order of the pages. A page that is broken has no picture.

    Raises Unusable as `pdf.count_pages` does.
    """
    with closing(opened(data)) as pdf:
        pages = groupby(sorted(boxes, key=lambda box: box.page), key=lambda box: box.page)
        return [picture for page, on_page in pages for picture in _picture(pdf, page, list(on_page))]


def _picture(pdf: "PdfDocument", number: int, boxes: Sequence[Box]) -> Iterator[PagePicture]:
    from pypdfium2 import PdfiumError

    if not 0 < number <= len(pdf):
        return
    try:
        with closing(pdf.get_page(number - 1)) as page:
            sides = page.get_size()
            if not all(math.isfinite(side) and side > 0 for side in sides):
                return
            scale = min(
                (MOST_WIDTH - 0.5) / sides[0], (MOST_HEIGHT - 0.5) / sides[1], _LARGEST_SCALE
            )  # PDFium rounds up
            for size in _SIZES:
                width, height, png = _drawn(page, scale * size)
                if len(png) <= MOST_PICTURE_BYTES:
                    places = [_place(page, width, height, box) for box in boxes]
                    yield PagePicture(number, width, height, png, places)
                    return
    except PdfiumError:
        return


def _drawn(page: "PdfPage", scale: float) -> tuple[int, int, bytes]:
    """Draw a page in 16 greys. Returns the width, the height and the PNG."""
    with closing(page.render(scale=scale, grayscale=True)) as bitmap:
        width, height, stride, pixels = bitmap.width, bitmap.height, bitmap.stride, bytes(bitmap.buffer)
    rows = (pixels[at : at + width].translate(_TO_16_GREYS) for at in range(0, height * stride, stride))
    return width, height, _png(width, height, b"".join(b"\0" + _packed(row) for row in rows))


def _packed(row: bytes) -> bytes:
    """Put two greys into each byte, the left one first."""
    half = (len(row) + 1) // 2
    left, right = int.from_bytes(row[::2]), int.from_bytes(row[1::2].ljust(half, b"\0"))
    return (left << 4 | right).to_bytes(half)


def _png(width: int, height: int, lines: bytes) -> bytes:
    """Make a PNG with 4 bits for a pixel, as ISO/IEC 15948 says. Each line begins with its filter, here none."""
    header = struct.pack(">IIBBBBB", width, height, 4, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _place(page: "PdfPage", width: int, height: int, box: Box) -> tuple[int, int, int, int]:
    """Return where a box is on the picture, within its edges."""
    corners = [_pixel(page, width, height, x, y) for x, y in ((box.left, box.bottom), (box.right, box.top))]
    left, right = sorted(min(max(x, 0), width) for x, _ in corners)
    top, bottom = sorted(min(max(y, 0), height) for _, y in corners)
    return left, top, right - left, bottom - top


def _pixel(page: "PdfPage", width: int, height: int, x: float, y: float) -> tuple[int, int]:
    from pypdfium2 import raw

    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, width, height, 0, x, y, across, down)
    return across.value, down.value
