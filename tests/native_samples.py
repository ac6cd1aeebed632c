"""Images and PDFs for tests of files that are sent as they are."""

import struct
import sys
import zlib
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "documents" / "formats"))

from format_samples import page_of, pdf

LINE = "This agreement between Acme Ltd and Foo GmbH is governed by the laws of Denmark."


def agreement(pages: int = 1, *, title: str = "Agreement") -> bytes:
    """A PDF with a text layer."""
    return pdf([page_of(f"{title}, page {number}.", *[LINE] * 20) for number in range(1, pages + 1)])


def scan(pages: int = 1, *, of: int = 0) -> bytes:
    """A PDF without a text layer; scans `of` different things differ."""
    return pdf([b"0 0 %d 100 re f" % (100 + of)] * pages)


def locked() -> bytes:
    """A PDF that everybody may open, and that is encrypted."""
    return pdf([page_of("not so secret")], password=b"")


def png(width: int, height: int) -> bytes:
    """An image of one colour."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (width + 1) * height)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def gif(width: int, height: int) -> bytes:
    """The header of an image."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def jpeg(width: int, height: int, *, frame: int = 0xC0) -> bytes:
    """The segments of an image up to its size: a thumbnail in its description has another size."""
    described = b"\xff\xe1" + struct.pack(">H", 2 + 21) + b"\xff\xc0\0\x11\x08\0\x01\0\x01".ljust(21, b"\0")
    tables = b"\xff\xff\xc4" + struct.pack(">H", 2 + 3) + b"\0\0\0"
    return b"\xff\xd8" + described + tables + bytes((0xFF, frame)) + struct.pack(">HBHH", 17, 8, height, width)


def webp(width: int, height: int, kind: str = "VP8 ") -> bytes:
    """The header of an image, of one of the three kinds."""
    match kind:
        case "VP8L":
            body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
        case "VP8X":
            body = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        case _:
            body = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + kind.encode() + struct.pack("<I", len(body)) + body
