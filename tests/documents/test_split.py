"""Splitting: every character is in a segment, no segment is too large, and cuts are where a person would cut."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.document import Document, Place
from batchrun.documents.split import Segment, reserved_id, segment_document, segment_name, split

PARAGRAPH = "The supplier delivers the goods on the day that the order names. The buyer pays for them.\n"


def quarter(text: str) -> int:
    return -(-len(text) // 4)


def in_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def in_words(text: str) -> int:
    return len(text.split())


def document(text: str, places: tuple[Place, ...] = (), pages: int | None = None) -> Document:
    return Document("contracts/long.pdf", "contracts/long.pdf", text, places=places, pages=pages)


def paged(pages: list[str]) -> Document:
    places, start = [], 0
    for number, page in enumerate(pages, 1):
        places.append(Place("page", str(number), start))
        start += len(page)
    return document("".join(pages), tuple(places), len(pages))


def pieces(whole: Document, segments: list[Segment]) -> list[str]:
    return [whole.text[one.start : one.end] for one in segments]


def require_sound(whole: Document, segments: list[Segment]) -> None:
    assert [one.number for one in segments] == list(range(1, len(segments) + 1))
    assert {one.total for one in segments} == {len(segments)}
    assert segments[0].start == 0
    assert segments[-1].end == len(whole.text)
    for one, following in pairwise(segments):
        assert one.start < following.start <= one.end < following.end


TEXTS = st.one_of(
    st.text(alphabet="ab .\n\r\f#!\u3002\U0001f600\u00e4\"')", max_size=400),
    st.text(max_size=200),
    st.lists(st.sampled_from(["word ", "x" * 50, "\n\n", "\n", "# Head\n", "End. ", "\f", " " * 30]), max_size=80).map(
        "".join
    ),
)


@given(
    text=TEXTS,
    most=st.integers(4, 120),
    overlap=st.integers(0, 60),
    count=st.sampled_from([len, quarter, in_bytes, in_words]),
    starts=st.lists(st.tuples(st.sampled_from(["page", "heading", "sheet"]), st.integers(0, 500)), max_size=6),
)
def test_any_text_is_covered_by_segments_under_the_bound(text, most, overlap, count, starts):
    places = tuple(Place(kind, "n", start) for kind, start in sorted(starts, key=lambda one: one[1]))
    whole = document(text, places)
    segments = split(whole, most_tokens=most, overlap_tokens=overlap, count=count)
    require_sound(whole, segments)
    assert all(count(piece) <= most for piece in pieces(whole, segments))
    assert segments == split(whole, most_tokens=most, overlap_tokens=overlap, count=count)


@pytest.mark.parametrize("unit", ["a", "\U0001f600", "\n", " ", '."', "a ", "\ud800"], ids=ascii)
def test_a_text_of_megabytes_without_structure_is_cut_at_once(unit):
    whole = document(unit * (5_000_000 // len(unit)))
    began = time.process_time()
    segments = split(whole, most_tokens=100_000, overlap_tokens=200, count=in_bytes)
    assert time.process_time() - began < 20
    require_sound(whole, segments)
    assert all(in_bytes(piece) <= 100_000 for piece in pieces(whole, segments))


def test_a_character_above_the_bound_is_a_segment_of_its_own():
    whole = document("\U0001f600ab\U0001f600")
    segments = split(whole, most_tokens=2, overlap_tokens=0, count=in_bytes)
    require_sound(whole, segments)
    assert [piece for piece in pieces(whole, segments) if in_bytes(piece) > 2] == ["\U0001f600"] * 2


def test_a_bound_below_one_is_a_mistake():
    with pytest.raises(ValueError, match="0 tokens"):
        split(document("text"), most_tokens=0, overlap_tokens=0, count=len)


def test_a_document_that_fits_is_one_segment_and_the_document_itself():
    whole = document("short")
    (only,) = split(whole, most_tokens=100, overlap_tokens=10, count=len)
    assert (only.start, only.end, only.number, only.total) == (0, 5, 1, 1)
    assert segment_document(whole, only) is whole


def test_an_empty_document_is_one_empty_segment():
    assert split(document(""), most_tokens=10, overlap_tokens=2, count=len) == [
        Segment(number=1, total=1, start=0, end=0)
    ]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("\f", "x\n\n"),
        ("\n# Head\n", "x\n\n"),
        ("\n\n", ".\n"),
        ("\n", "A b. "),
        (". ", "aa "),
        (" ", "a"),
        ("\u3002", "a"),
    ],
    ids=ascii,
)
def test_the_better_boundary_is_taken_although_a_worse_one_is_nearer(better, worse):
    filler = worse * 500
    text = filler[:430] + better + filler[:460]  # two segments of 500 would be even
    first, _ = split(document(text), most_tokens=500, overlap_tokens=0, count=len)
    expected = 430 + len(better) if "#" not in better else 431
    assert first.end == expected


def test_pages_are_better_than_headings_and_headings_better_than_paragraphs():
    text = PARAGRAPH * 100
    page, heading, blank = 44 * len(PARAGRAPH), 46 * len(PARAGRAPH), 50 * len(PARAGRAPH)
    text = text[: blank - 2] + "\n\n" + text[blank:]
    places = (Place("page", "2", page), Place("heading", "2.1 Payment", heading))
    for known, expected in ((places, page), (places[1:], heading), ((), blank)):
        first, _ = split(document(text, known), most_tokens=6_000, overlap_tokens=0, count=len)
        assert first.end == expected


def test_segments_are_nearly_equal_in_size():
    whole = document(PARAGRAPH * 1_010)
    sizes = [len(piece) for piece in pieces(whole, split(whole, most_tokens=9_000, overlap_tokens=0, count=len))]
    assert len(sizes) == -(-len(whole.text) // 9_000)
    assert max(sizes) - min(sizes) <= 2 * len(PARAGRAPH)


def test_segments_share_an_overlap_that_begins_with_a_line():
    whole = document(PARAGRAPH * 1_000)
    segments = split(whole, most_tokens=9_000, overlap_tokens=500, count=len)
    for one, following in pairwise(segments):
        assert 500 <= one.end - following.start <= 750
        assert whole.text[following.start - 1] == "\n"


def test_whatever_is_no_longer_than_the_overlap_stands_whole_in_a_segment():
    whole = document("".join(f"<{number:05}>" + "x" * (number % 90) for number in range(5_000)))
    found = set()
    for piece in pieces(whole, split(whole, most_tokens=3_000, overlap_tokens=200, count=len)):
        found.update(entry for entry in piece.split("<") if len(entry) >= 6 and piece.count(f"<{entry}<"))
    assert len(found) >= 4_999  # no sign follows the last of them


def test_an_overlap_is_at_most_about_a_quarter_of_a_segment():
    whole = document(PARAGRAPH * 1_000)
    segments = split(whole, most_tokens=4_000, overlap_tokens=3_999, count=len)
    assert all(one.end - following.start <= 1_500 for one, following in pairwise(segments))


def test_a_megabyte_is_counted_about_twice_and_quickly():
    whole = paged([PARAGRAPH * 37 for _ in range(300)])
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return quarter(text)

    began = time.process_time()
    segments = split(whole, most_tokens=20_000, overlap_tokens=200, count=count)
    assert time.process_time() - began < 10
    require_sound(whole, segments)
    assert counted < 2.5 * len(whole.text)


def test_the_places_of_a_segment_are_said_to_people():
    whole = paged([PARAGRAPH * 30 for _ in range(10)])
    segments = split(whole, most_tokens=10_000, overlap_tokens=0, count=len)
    assert [one.places for one in segments] == ["pages 1-3", "pages 4-6", "pages 7-8", "pages 9-10"]


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ((), ""),
        ((Place("sheet", "Prices", 0),), "sheet Prices"),
        ((Place("sheet", "Prices", 0), Place("sheet", "Terms", 40)), "sheets Prices to Terms"),
        ((Place("heading", "1 Scope", 0), Place("heading", "2 Price", 40)), "headings 1 Scope to 2 Price"),
        ((Place("page", "7", 0), Place("heading", "1 Scope", 0)), "page 7"),
        ((Place("page", "7", 0), Place("page", "8", 99)), "page 7"),
        ((Place("chapter", "n" * 99, 0),), "chapter " + "n" * 39 + "\u2026"),
    ],
)
def test_places_in_words(places, said):
    (only, *_) = split(document("x" * 99, places), most_tokens=100, overlap_tokens=0, count=len)
    assert only.places == said


def test_a_segment_is_a_document_with_a_name_and_places_of_its_own():
    whole = paged([PARAGRAPH * 30 for _ in range(10)])
    segments = split(whole, most_tokens=10_000, overlap_tokens=500, count=len)
    second = segment_document(whole, segments[1])
    assert second.doc_id == f"contracts/long.pdf [part 2 of {len(segments)}]"
    assert (second.source, second.place) == (whole.source, whole.place)
    assert second.text == whole.text[segments[1].start : segments[1].end]
    assert second.note == f"part 2 of {len(segments)}: {segments[1].places}"
    assert second.places[0] == Place("page", "3", 0)
    assert all(whole.text[segments[1].start + one.start - 1] == "\n" for one in second.places[1:])
    assert second.pages == len(second.places)
    assert second == segment_document(whole, split(whole, most_tokens=10_000, overlap_tokens=500, count=len)[1])


def test_the_id_of_a_segment_says_which_document_it_is_of():
    segment = Segment(number=2, total=7, start=0, end=4)
    name = segment_name(segment_document(document("text"), segment).doc_id)
    assert name is not None
    assert (name.doc_id, name.number, name.total) == ("contracts/long.pdf", 2, 7)


@pytest.mark.parametrize(
    "doc_id",
    ["a.pdf", "a [part 0 of 2]", "a [part 3 of 2]", "a [part 1 of 1]", "a [part 02 of 3]", "a [part 1 of 2].pdf"],
)
def test_other_ids_are_no_names_of_segments(doc_id):
    assert segment_name(doc_id) is None
    assert reserved_id(doc_id) is None


def test_a_document_cannot_have_the_id_of_a_segment():
    assert reserved_id("a\nb [part 1 of 2]") == (
        'its id ends with "[part 1 of 2]", as only a part of a split document does: rename it'
    )
    assert segment_name(f"a [part 1 of {'9' * 5000}]") is None
