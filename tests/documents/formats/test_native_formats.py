"""PDFs and images as parts that are sent as they are, and what is refused of them."""

from pathlib import Path
from typing import Literal

import pytest
from format_samples import damaged, page_of, pdf
from native_samples import agreement, gif, jpeg, locked, png, scan, webp

from batchrun.document import Document, NativeFile, Unreadable
from batchrun.documents import bounds
from batchrun.documents.files import FileSource
from batchrun.documents.formats import Part, ReadOptions, Unusable, image
from batchrun.documents.formats import pdf as pdf_format
from batchrun.documents.text_cache import TextCache

Choice = Literal["text", "native", "auto"]
MOSTLY_SCANNED = pdf([page_of("A cover."), b"", b""])
HALF_SCANNED = pdf([page_of("A letter."), b""])


def part_of(data: bytes, choice: Choice) -> Part:
    (part,) = pdf_format.read(data, ReadOptions(pdf=choice))
    assert isinstance(part, Part)
    return part


@pytest.mark.parametrize(
    ("data", "choice", "sent_as_it_is", "has_text"),
    [
        (agreement(2), "text", False, True),
        (agreement(2), "native", True, True),
        (agreement(2), "auto", False, True),
        (scan(2), "native", True, False),
        (scan(2), "auto", True, False),
        (MOSTLY_SCANNED, "text", False, True),
        (MOSTLY_SCANNED, "auto", True, False),
        (HALF_SCANNED, "auto", False, True),
        (locked(), "auto", False, True),
    ],
)
def test_what_is_sent_of_a_pdf(data: bytes, choice: Choice, sent_as_it_is: bool, has_text: bool) -> None:
    part = part_of(data, choice)

    assert part.native == (NativeFile("application/pdf", data, pages=part.pages) if sent_as_it_is else None)
    assert bool(part.text) == has_text
    assert bool(part.places) == has_text
    assert (part.note == "sent as it is, because most of its pages have no text that can be used") == (
        sent_as_it_is and choice == "auto"
    )


def test_all_text_of_a_file_is_known_although_little_of_it_is_of_use() -> None:
    part = part_of(MOSTLY_SCANNED, "native")

    assert part.text == ""
    assert part.native
    assert part.native.layer == "A cover."


@pytest.mark.parametrize(
    ("data", "choice", "reason"),
    [
        (scan(), "text", r"without a text layer, as scans are; .*\[source\] pdf = \"native\" or \"auto\""),
        (locked(), "native", r"the API takes no encrypted PDF; .*, or take its text: \[source\] pdf = \"text\""),
        (pdf([b""], password=b""), "auto", "the API takes no encrypted PDF; save it without the encryption$"),
        (pdf([b""], password=b"x"), "native", "encrypted with a password"),
        (b"%PDF-1.4 junk", "native", "a broken PDF"),
    ],
)
def test_a_pdf_that_cannot_be_sent(data: bytes, choice: Choice, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        part_of(data, choice)


def test_a_pdf_larger_than_a_request_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bounds.MAX_NATIVE_BYTES * 4 // 3 <= bounds.MAX_BYTES
    data = agreement()
    monkeypatch.setattr(pdf_format, "MAX_NATIVE_BYTES", len(data))
    assert part_of(data, "native").native

    monkeypatch.setattr(pdf_format, "MAX_NATIVE_BYTES", len(data) - 1)
    with pytest.raises(Unusable, match=r"that fit into a request as they are; split it, or take its text"):
        part_of(data, "native")


IMAGES = {
    "PNG": (png(640, 480), "image/png"),
    "GIF": (gif(640, 480), "image/gif"),
    "JPEG": (jpeg(640, 480), "image/jpeg"),
    "progressive JPEG": (jpeg(640, 480, frame=0xC2), "image/jpeg"),
    "WebP": (webp(640, 480), "image/webp"),
    "lossless WebP": (webp(640, 480, "VP8L"), "image/webp"),
    "extended WebP": (webp(640, 480, "VP8X"), "image/webp"),
}


@pytest.mark.parametrize(("data", "media_type"), IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("choice", ["native", "auto"])
def test_an_image_has_its_size(data: bytes, media_type: str, choice: Choice) -> None:
    (part,) = image.read(data, ReadOptions(pdf=choice))

    assert part == Part(text="", native=NativeFile(media_type, data, width=640, height=480))


@pytest.mark.parametrize(("data", "media_type"), IMAGES.values(), ids=IMAGES)
def test_an_image_that_is_broken_is_unusable(data: bytes, media_type: str) -> None:
    for copy in damaged(data):
        try:
            (part,) = image.read(copy, ReadOptions(pdf="native"))
        except Unusable:
            continue
        assert isinstance(part, Part)
        assert part.native
        assert min(part.native.width, part.native.height) > 0
        assert max(part.native.width, part.native.height) <= bounds.MAX_IMAGE_SIDE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png(8_001, 1), "an image of 8,001 x 1 pixels, and a side may have 8,000; make it smaller first"),
        (gif(1, 9_000), "1 x 9,000 pixels"),
        (gif(0, 5), "it says that it has no pixels"),
        (jpeg(1, 1)[:20], "a broken image, perhaps cut off"),
        (b"\xff\xd8\xff" + b"\xff" * 1000, "a broken image"),
        (png(1, 1).ljust(bounds.MAX_IMAGE_BYTES + 1), "an image of 7.9 MB, and the API takes 7.9 MB"),
        (b"II*\0", "no image that a model can see"),
    ],
)
def test_an_image_that_cannot_be_sent(data: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        list(image.read(data, ReadOptions(pdf="native")))


def read_all(root: Path, choice: Choice) -> list[Document | Unreadable]:
    cache = TextCache(root / "cache")
    return list(FileSource(root=root, include=["*.*"], options=ReadOptions(pdf=choice), cache=cache).scan())


def test_files_of_a_folder_are_told_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(scan())
    (tmp_path / "b.dat").write_bytes(png(10, 20))
    (tmp_path / "c.txt").write_text("text")

    pdf_file, picture, text = read_all(tmp_path, "auto")

    assert isinstance(pdf_file, Document)
    assert isinstance(picture, Document)
    assert pdf_file.native == NativeFile("application/pdf", scan(), pages=1)
    assert (pdf_file.pages, pdf_file.reader.partition("/")[0]) == (1, "pdf")
    assert picture.native == NativeFile("image/png", png(10, 20), width=10, height=20)
    assert (picture.pages, picture.reader) == (None, "image/1")
    assert isinstance(text, Document)
    assert text.native is None


def test_images_stay_refused_where_text_is_sent(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(png(10, 20))

    (picture,) = read_all(tmp_path, "text")

    assert isinstance(picture, Unreadable)
    assert 'send it as it is: [source] pdf = "native" or "auto"' in picture.reason


def test_the_cache_keeps_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(agreement())

    assert read_all(tmp_path, "native") == read_all(tmp_path, "native")
    assert TextCache(tmp_path / "cache").size() == 0

    read_all(tmp_path, "text")
    kept = TextCache(tmp_path / "cache").size()
    assert kept > 0
    assert isinstance(read_all(tmp_path, "native")[0], Document)
    assert TextCache(tmp_path / "cache").size() == kept


def test_a_file_that_is_sent_as_it_is_is_known_by_its_bytes() -> None:
    one, other = (Document("a", "a", "", native=NativeFile("image/png", png(size, 1))) for size in (1, 2))

    assert one.content_sha != other.content_sha
    assert one.content_sha == Document("b", "b", "seen", native=NativeFile("image/png", png(1, 1))).content_sha
    assert Document("a", "a", "x", columns={"n": 1}).content_sha == (
        "5bd63c82277842b12cbffef4faa94ad44720f1e892f815e4a16d859b3f650e06"
    )
