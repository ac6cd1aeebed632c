"""Images that a model sees as they are: only their headers are read, for their size in pixels."""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from batchrun.document import NativeFile
from batchrun.documents.bounds import MAX_IMAGE_BYTES, MAX_IMAGE_SIDE
from batchrun.documents.formats import Found, Part, ReadOptions, Unusable
from batchrun.documents.formats.magic import refuse_textless

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of JPEG segments that tell the size of the image."""
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
"""The markers of JPEG segments without a length."""
_SMALLER = "make it smaller first"


class Size(NamedTuple):
    """The size of an image in pixels."""

    width: int
    height: int


def read(data: bytes, options: ReadOptions) -> Iterator[Found]:
    """Read an image as one part without text. Raises Unusable if images are not sent, or this one cannot be."""
    if options.pdf == "text":
        refuse_textless(data)
    if len(data) > MAX_IMAGE_BYTES:
        raise Unusable(
            f"an image of {len(data) / 1e6:,.1f} MB, and the API takes {MAX_IMAGE_BYTES / 1e6:.1f} MB; {_SMALLER}"
        )
    native = measured(data)
    if max(native.width, native.height) > MAX_IMAGE_SIDE:
        raise Unusable(
            f"an image of {native.width:,} x {native.height:,} pixels, and a side may have {MAX_IMAGE_SIDE:,};"
            f" {_SMALLER}"
        )
    yield Part(text="", native=native)


def measured(data: bytes) -> NativeFile:
    """Return the image with its size. Raises Unusable for what is no image, or has no pixels."""
    media_type, size_of = next((kind for magic, kind in _KINDS.items() if data.startswith(magic)), (None, None))
    if media_type is None or size_of is None:
        raise Unusable("no image that a model can see; convert it to PNG or JPEG first")
    try:
        size = size_of(data)
    except (struct.error, IndexError) as error:
        raise Unusable("a broken image, perhaps cut off; get the file again") from error
    if min(size) < 1:
        raise Unusable("a broken image: it says that it has no pixels; get the file again")
    return NativeFile(media_type, data, width=size.width, height=size.height)


def _png(data: bytes) -> Size:
    return Size(*struct.unpack_from(">II", data, 16))


def _gif(data: bytes) -> Size:
    return Size(*struct.unpack_from("<HH", data, 6))


def _jpeg(data: bytes) -> Size:
    """Walk over the segments to the one with the size. Raises IndexError or struct.error if there is none."""
    at = 2
    while True:
        while data[at] != 0xFF or data[at + 1] in {0x00, 0xFF}:  # filling
            at += 1
        marker = data[at + 1]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Size(width, height)
        at += 2 if marker in _ALONE else 2 + struct.unpack_from(">H", data, at + 2)[0]


def _webp(data: bytes) -> Size:
    kind = data[12:16]
    if kind == b"VP8X":
        width, high_width, height, high_height = struct.unpack_from("<HBHB", data, 24)
        return Size(1 + width + (high_width << 16), 1 + height + (high_height << 16))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Size(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", data, 26)
    return Size(width & 0x3FFF, height & 0x3FFF)


_KINDS: Mapping[bytes, tuple[str, Callable[[bytes], Size]]] = {
    b"\x89PNG": ("image/png", _png),
    b"\xff\xd8\xff": ("image/jpeg", _jpeg),
    b"GIF8": ("image/gif", _gif),
    b"RIFF": ("image/webp", _webp),
}
