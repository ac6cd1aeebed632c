"""PDFs: what a text layer gives, and what has none."""

import pytest
from format_samples import page_of, pdf

from batchrun.document import Place
from batchrun.documents.formats import Part, ReadOptions, Unusable
from batchrun.documents.formats.pdf import PdfFacts, count_pages, inspect, read

CODES_WITHOUT_CHARACTERS = (
    b"/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[<</Type/Font/Subtype/CIDFontType2/BaseFont/X"
    b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor<</Type/FontDescriptor"
    b"/FontName/X/Flags 4>>>>]"
)
CODES = b"BT /F 12 Tf 72 720 Td <0001000400050006> Tj ET"
SCAN = pdf([b"", b"0 0 100 100 re f"])


def part_of(data: bytes) -> Part:
    (part,) = read(data, ReadOptions())
    assert isinstance(part, Part)
    return part


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_rotated_pages_come_in_order(angle: int) -> None:
    part = part_of(pdf([page_of("first line", "second line", "third line")], rotate=angle))

    assert part.text == "first line\nsecond line\nthird line"


def test_a_hyphen_at_the_end_of_a_line_is_a_hyphen() -> None:
    assert part_of(pdf([page_of("They agree-", "ment holds.")])).text == "They agree-ment holds."


def test_pages_are_places() -> None:
    part = part_of(pdf([page_of("One."), page_of("Two.")]))

    assert part.text == "One.\n\nTwo."
    assert part.places == (Place("page", "1", 0), Place("page", "2", 6))
    assert part.pages == 2
    assert part.note is None


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("the agree-", "ment holds", "the agree-ment holds"),
        ("the agree-", "Ment holds", "the agree-\n\nMent holds"),
        ("page -", "ment", "page -\n\nment"),
        ("1-", "ment", "1-\n\nment"),
    ],
)
def test_a_word_goes_on_over_the_end_of_a_page(before: str, after: str, text: str) -> None:
    part = part_of(pdf([page_of("Text", before), page_of(after)]))

    assert part.text == f"Text\n{text}"
    assert part.text[part.places[1].start :] == after


def test_pages_without_text_are_named() -> None:
    part = part_of(pdf([b"", page_of("Two."), b""]))

    assert part.text == "Two."
    assert [place.name for place in part.places] == ["1", "2", "3"]
    assert part.note == "2 of 3 pages have no text (1, 3)"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (SCAN, r'without a text layer, as scans are; .*\[source\] pdf = "native" or "auto"'),
        (pdf([CODES], font=CODES_WITHOUT_CHARACTERS), "fonts do not say which characters they show"),
        (pdf([page_of("secret")], password=b"x"), "encrypted with a password"),
        (b"%PDF-1.4\njunk", "a broken PDF"),
        (pdf([]), "a broken PDF"),
    ],
    ids=["a scan", "codes", "encrypted", "broken", "no pages"],
)
def test_unusable(data: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        part_of(data)


def test_a_file_that_everybody_may_open_is_read() -> None:
    assert part_of(pdf([page_of("not so secret")], password=b"")).text == "not so secret"


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (pdf([page_of("x"), page_of("y")]), PdfFacts(pages=2, encrypted=False, has_text=True)),
        (SCAN, PdfFacts(pages=2, encrypted=False, has_text=False)),
        (pdf([page_of("x")], password=b""), PdfFacts(pages=1, encrypted=True, has_text=True)),
    ],
    ids=["text", "scan", "encrypted"],
)
def test_facts(data: bytes, facts: PdfFacts) -> None:
    assert inspect(data) == facts
    assert count_pages(data) == facts.pages


def test_pages_of_what_cannot_be_opened() -> None:
    with pytest.raises(Unusable, match="encrypted with a password"):
        count_pages(pdf([page_of("x")], password=b"x"))


def test_a_page_that_is_broken_has_no_text() -> None:
    whole = pdf([page_of("One."), page_of("Two.")])
    broken = whole.replace(b"/Kids[5 0 R 7 0 R]", b"/Kids[5 0 R 6 0 R]")

    assert broken != whole
    part = part_of(broken)
    assert part.text == "One."
    assert part.note == "1 of 2 pages has no text (2)"
