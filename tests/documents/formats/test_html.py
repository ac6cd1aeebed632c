"""Web pages: what can be seen, in which lines, and in which encoding."""

import codecs
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.document import Place
from batchrun.documents.formats import Part, ReadOptions, Unusable
from batchrun.documents.formats.html import html_to_text, html_to_text_and_places, read

TEXTS = {
    "nothing": ("", ""),
    "words": ("  a \n b\t c ", "a b c"),
    "entities": ("a &amp; b &lt;c&gt; &euro;1&nbsp;000 &#x1F600;", "a & b <c> €1 000 😀"),
    "inline elements": ("on<b>e</b> t<i>w</i>o <span>three</span>", "one two three"),
    "blocks": ("<div>a</div><div>b<div>c</div></div>d", "a\nb\nc\nd"),
    "paragraphs": ("<p>a<p>b", "a\n\nb"),
    "breaks": ("a<br>b<br><br>c<br><br><br>d", "a\nb\n\nc\n\nd"),
    "the title comes first": ("<head><title>T &amp; C</title></head><body>x", "T & C\nx"),
    "lists": ("<ul><li>a<li>b<ul><li>c</ul></ul><dl><dt>d<dd>e</dl>", "a\nb\n\nc\n\nd\ne"),
    "a table": ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>", "a\tb\nc\td"),
    "a table of paragraphs": ("<table><tr><td><p>a</p></td><td><p>b</p></td></tr><tr><td>c</table>", "a\tb\nc"),
    "empty cells": ("<table><tr><td><td>b<td><td>d<tr><td>e<td></table>", "\tb\t\td\ne"),
    "a table in a table": ("<table><tr><td>a<td><table><tr><td>b<td>c</table><td>d</table>", "a\tb\tc\td"),
    "verbatim": ("x<pre>\n a\n\n   b <b>c</b>\n</pre>y", "x\n\n a\n\n   b c\n\ny"),
    "a text area": ("<textarea>a\n  b</textarea>c", "a\n  b\nc"),
    "hidden": ("<p hidden>no</p><p style='color:red;DISPLAY : none'>no</p>yes", "yes"),
    "hidden within hidden": ("<div hidden>no<div hidden>no</div>no</div>yes", "yes"),
    "a page hidden until it is loaded": ("<body style='display:none'>yes", "yes"),
    "not hidden": ("<p style='display:nonesuch; x-display:none'>yes<p aria-hidden=true>also", "yes\n\nalso"),
    "scripts": ("<body><script>no</script><style>no</style><noscript>no</noscript><template>no</template>yes", "yes"),
    "comments": ("a<!-- no -->b<!--> c", "ab c"),
    "a picture": ("<svg><title>no</title><text>yes</text></svg>", "yes"),
    "what no text may hold": ("a\0b&#0;&#13;c&#xFFFE;d", "ab\ufffd cd"),
    "half a character": ("a\ud800b", "a?b"),
    "frames": ("<frameset><noframes>no</noframes></frameset>", ""),
}


@pytest.mark.parametrize("case", TEXTS)
def test_text(case: str) -> None:
    markup, text = TEXTS[case]

    assert html_to_text(markup) == text


def test_headings_are_places() -> None:
    text, places = html_to_text_and_places("<title>T</title>x<h1>1. <b>Pay</b>ment</h1>a<h2> </h2><h3>2.1\nTax</h3>b")

    assert text == "T\nx\n\n1. Payment\n\na\n\n2.1 Tax\n\nb"
    assert places == (Place("heading", "1. Payment", 5), Place("heading", "2.1 Tax", 20))


def test_headings_in_headings_are_in_order() -> None:
    text, places = html_to_text_and_places("<h1>a<div><h2>b</h2></div></h1>")

    assert text == "a\n\nb"
    assert [place.name for place in places] == ["a b", "b"]


def read_text(data: bytes, encoding: str = "auto") -> str:
    (part,) = read(data, ReadOptions(encoding=encoding))
    assert isinstance(part, Part)
    return part.text


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        ("<p>Größe".encode(), "auto", "Größe"),
        ("<meta charset=utf-8>Größe".encode(), "auto", "Größe"),
        ("<meta charset='windows-1251'>да".encode("cp1251"), "auto", "да"),
        (b"<meta charset=iso-8859-1>\x80", "auto", "€"),
        ("<meta http-equiv=Content-Type content='text/html; charset=gb2312'>你镕".encode("gb18030"), "auto", "你镕"),
        ("<meta charset=shift_jis>①".encode("cp932"), "auto", "①"),
        ("<?xml version='1.0' encoding='iso-8859-2'?><html>ł".encode("iso-8859-2"), "auto", "ł"),
        (codecs.BOM_UTF8 + "<meta charset=iso-8859-1>é".encode(), "auto", "é"),
        ("<meta charset=iso-8859-1>é".encode("utf-16"), "auto", "é"),
        ("<meta charset=utf-16>é".encode(), "auto", "é"),
        ("<meta charset=iso-8859-1>да".encode("cp1251"), "cp1251", "да"),
        ("<meta charset=nonsense>é".encode(), "auto", "é"),
        ("<meta charset=iso-8859-12>é".encode(), "auto", "é"),
        ("<meta charset=unicode_escape>\\x41é".encode(), "auto", "\\x41é"),
        ("<meta charset=utf-8>Où l'été, garçon, dès août.".encode("cp1252"), "auto", "Où l'été, garçon, dès août."),
    ],
)
def test_encodings(data: bytes, encoding: str, text: str) -> None:
    assert read_text(data, encoding) == text


def test_a_guess_is_noted() -> None:
    (part,) = read("<p>Où l'été, garçon, dès août.".encode("cp1252"), ReadOptions())

    assert isinstance(part, Part)
    assert part.note == "read as windows-1252 (guessed)"


def test_another_encoding_than_the_job_says() -> None:
    with pytest.raises(Unusable, match="not utf-8 text"):
        read_text(b"<p>\xff", "utf-8")


@pytest.mark.parametrize(
    "unit", ["<div>", "<!--><div>", "<div></x>", "<DIV/>", "<div><table><td></div>", "<b a=1><i><p>"]
)
def test_deep_nesting_is_refused_at_once(unit: str) -> None:
    began = time.process_time()

    with pytest.raises(Unusable, match=r"nested too deeply \(at least [\d,]+ deep\)"):
        html_to_text(unit * 200_000)
    assert time.process_time() - began < 10


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["<p>x", "<li>x", "<tr><td>x", "<br>", "<div>x</div>", "<a name=x>y", "<img src=x>"])
def test_long_pages_are_read(unit: str) -> None:
    assert html_to_text(f"<table>{unit * 100_000}end").endswith("end")


def test_deep_pages_are_read() -> None:
    assert html_to_text("<div><span>" * 3_000 + "end") == "end"


@given(
    st.lists(
        st.sampled_from(
            [*"ab \n", *(f"<{c}{t}>" for c in ("", "/") for t in ["h1", "p", "td", "tr", "table", "pre", "b", "li"])]
        )
    )
)
def test_any_markup_has_clean_text_and_places(pieces: list[str]) -> None:
    text, places = html_to_text_and_places("".join(pieces))

    assert text == text.rstrip()
    # Browsers show what stands in a table and in no cell above the table, so the order may be another one.
    assert sorted("".join(text.split())) == sorted(piece for piece in pieces if piece in "ab")
    for place in places:
        assert " ".join(text[place.start :].split()).startswith(place.name)
