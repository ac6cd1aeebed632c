"""Writes PDFs: lines of text at places, rules, and images of one bit a dot. Nothing is compressed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 595, 842
"""A4, in points."""
_FONTS = {"F1": "Helvetica", "F2": "Helvetica-Bold", "F3": "Times-Roman", "F4": "Times-Bold"}
_NARROW = frozenset(",. ")


@dataclass
class Page:
    """One page under construction. Lengths are points; y counts from the upper edge."""

    content: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, *, font: str = "F1", size: float = 10) -> None:
        """Write one line of text, whose first letter stands at x."""
        escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        self.content.append(f"BT /{font} {size:g} Tf {x:g} {HEIGHT - y:g} Td ({escaped}) Tj ET")

    def amount(self, x: float, y: float, words: str, *, font: str = "F1", size: float = 10) -> None:
        """Write digits, commas and points in Helvetica so that they end at x."""
        width = sum(0.278 if sign in _NARROW else 0.556 for sign in words) * size
        self.text(round(x - width, 2), y, words, font=font, size=size)

    def rule(self, x: float, y: float, length: float) -> None:
        """Draw a thin line to the right."""
        self.content.append(f"0.5 w {x:g} {HEIGHT - y:g} m {x + length:g} {HEIGHT - y:g} l S")


def text_pdf(title: str, pages: Sequence[Page]) -> bytes:
    """Return a PDF of pages of text."""
    fonts = " ".join(
        f"/{name} << /Type /Font /Subtype /Type1 /BaseFont /{base} /Encoding /WinAnsiEncoding >>"
        for name, base in _FONTS.items()
    )
    contents = [_stream("", "\n".join(page.content).encode("cp1252")) for page in pages]
    return _file(title, f"/Font << {fonts} >>", contents, [])


def image_pdf(title: str, width: int, height: int, dots: bytes) -> bytes:
    """Return a PDF of one page that shows an image and has no text. A set bit is a white dot; rows are whole bytes."""
    packed = run_lengths(dots)
    about = f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent 1"
    image = _stream(f"{about} /ColorSpace /DeviceGray /Filter /RunLengthDecode ", packed)
    content = _stream("", f"q {WIDTH} 0 0 {HEIGHT} 0 0 cm /Im0 Do Q".encode())
    return _file(title, "/XObject << /Im0 4 0 R >>", [content], [image])


def run_lengths(data: bytes) -> bytes:
    """Pack bytes as the PDF filter RunLengthDecode unpacks them: runs of equal bytes, and copies of up to 128."""
    packed = bytearray()
    at = 0
    while at < len(data):
        run = _run(data, at)
        if run > 1:
            packed += bytes((257 - run, data[at]))
            at += run
            continue
        end = at + 1
        while end < min(len(data), at + 128) and _run(data, end) < 3:
            end += 1
        packed += bytes((end - at - 1,)) + data[at:end]
        at = end
    return bytes(packed + b"\x80")


def _run(data: bytes, at: int) -> int:
    """Return how many bytes from `at` on are equal, at most 128."""
    end = at + 1
    while end < min(len(data), at + 128) and data[end] == data[at]:
        end += 1
    return end - at


def _stream(about: str, data: bytes) -> bytes:
    return f"<< {about}/Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def _file(title: str, resources: str, contents: Sequence[bytes], images: Sequence[bytes]) -> bytes:
    """Put the objects together: catalog, pages, facts, the images from number 4 on, then each page and its content."""
    first = 4 + len(images)
    numbers = range(first, first + 2 * len(contents), 2)
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Resources << {resources} >> /Contents"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{' '.join(f'{n} 0 R' for n in numbers)}] /Count {len(contents)} >>".encode(),
        f"<< /Title ({title}) /Producer (sample_data/make_office.py) >>".encode("cp1252"),
        *images,
    ]
    for number, content in zip(numbers, contents, strict=True):
        objects += [f"{page} {number + 1} 0 R >>".encode(), content]
    return _numbered(objects)


def _numbered(objects: Sequence[bytes]) -> bytes:
    file = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(file))
        file += f"{number} 0 obj\n".encode() + one + b"\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    start = len(file)
    file += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    file += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(file)
