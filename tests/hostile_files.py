"""Files that take much time or memory to read, and small good ones."""

import zlib


def pdf(pages: int, size: int = 100) -> bytes:
    """A PDF whose pages share one stream of about this many bytes; each page is read anew."""
    drawn = b"(abc def ghi) Tj 1 0 0 1 3 4 Tm "
    stream = zlib.compress(b"BT /F1 1 Tf " + drawn * max(1, size // len(drawn)) + b"ET", 9)
    kids = b" ".join(b"%d 0 R" % (5 + page) for page in range(pages))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids),
        b"<</Length %d/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *[
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 3 0 R/Resources<</Font<</F1 4 0 R>>>>>>"
        ] * pages,
    ]  # fmt: skip
    return _written(objects)


def slow_pdf() -> bytes:
    """A PDF of 60 KB that takes minutes."""
    return pdf(100, 20_000_000)


def hungry_html() -> bytes:
    """An HTML file of 130 KB whose tree takes gigabytes: every paragraph repeats all elements that are open."""
    return ("<p>x" * 10_000 + "".join(f"<b id={number}>" for number in range(3_000)) + "<p>x" * 14_000).encode()


def _written(objects: list[bytes]) -> bytes:
    data, offsets = b"%PDF-1.7\n", []
    for number, one in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count, start = len(objects) + 1, len(data)
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        count, table, count, start,
    )  # fmt: skip
