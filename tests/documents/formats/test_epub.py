"""EPUB books: chapters in the order of the spine, with their titles."""

import pytest
from office_samples import archive, at, epub, only_part

from batchrun.documents.formats import Unusable

NAV = (
    '<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><ol><li><a href="text/b.xhtml#top">The <i>First</i></a></li>'
    '<li><a href="text/a.xhtml">The Second</a></li></ol></nav></body></html>'
)
NCX = (
    '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>The First</text></navLabel>'
    '<content src="text/b.xhtml"/></navPoint></navMap></ncx>'
)


def page(content: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><body>{content}</body></html>'


@pytest.mark.parametrize("toc", [NAV, NCX, "", "<broken"])
def test_chapters_in_the_order_of_the_spine_with_their_titles(toc: str) -> None:
    part = only_part(
        "epub", epub({"b.xhtml": page("<p>one&nbsp;é</p>"), "a.xhtml": page("<h1>Two</h1><p>two</p>")}, toc)
    )
    assert part.text.replace("\xa0", " ").split() == ["one", "é", "Two", "two"]
    chapters = [(place.name, at(part, place)) for place in part.places if place.kind == "chapter"]
    first = [("The First", part.text.partition("\n")[0])] if toc in (NAV, NCX) else []
    assert chapters == [*first, ("The Second" if toc == NAV else "Two", "Two")]
    assert [(place.name, at(part, place)) for place in part.places if place.kind == "heading"] == [("Two", "Two")]


def test_a_file_without_title_or_heading_goes_on_with_the_chapter_before() -> None:
    chapters = {"b.xhtml": page("<p>begins</p>"), "c.xhtml": page("<p>goes on</p>"), "d.xhtml": page("")}
    part = only_part("epub", epub(chapters, NAV))
    assert part.text == "begins\n\ngoes on"
    assert [place.name for place in part.places] == ["The First"]


def test_several_titles_within_a_file_are_no_title_of_the_file() -> None:
    toc = NAV.replace("text/a.xhtml", "text/b.xhtml#middle")
    part = only_part("epub", epub({"b.xhtml": page("<h1>Both</h1><p>text</p>")}, toc))
    assert [place.name for place in part.places if place.kind == "chapter"] == ["Both"]


@pytest.mark.parametrize("codec", ["utf-16", "iso-8859-1", "utf-8-sig", "no-such-codec"])
def test_chapters_in_other_encodings(codec: str) -> None:
    known = "utf-8" if codec == "no-such-codec" else codec
    chapter = page("<p>café</p>").replace("utf-8", codec.removesuffix("-sig")).encode(known)
    assert only_part("epub", epub({"a.xhtml": chapter})).text == "café"


def test_encrypted_chapters_are_refused_and_encrypted_fonts_are_not() -> None:
    def locked(name: str) -> dict[str, str]:
        reference = f'<encryption><EncryptedData><CipherReference URI="{name}"/></EncryptedData></encryption>'
        return {"META-INF/encryption.xml": reference}

    chapters = {"a.xhtml": page("x")}
    assert only_part("epub", epub(chapters, **locked("OEBPS/font.otf"))).text == "x"
    with pytest.raises(Unusable, match="an EPUB book that is protected"):
        only_part("epub", epub(chapters, **locked("OEBPS/text/a.xhtml")))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (epub({}), "it lists no chapters"),
        (archive({"META-INF/container.xml": "<container/>"}), "does not say where"),
        (archive({"x": ""}), "META-INF/container.xml is missing"),
    ],
    ids=["no chapters", "an empty container", "no container"],
)
def test_no_book(data: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=f"an EPUB book that is damaged .*{reason}"):
        only_part("epub", data)
