"""Folded words, and where they stand in the text."""

import pytest

from batchrun.answers.evidence.folding import fold
from batchrun.answers.evidence.headers import running_lines


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        pytest.param("The  Party's\tCONSENT", "the party s consent", id="case and space"),
        pytest.param("“final” \u2013 eﬀect", "final effect", id="ligatures"),
        pytest.param("Müller MU\u0308LLER Straße", "muller muller strasse", id="accents"),
        pytest.param("agree-\nment agree-  \r\n  ment", "agreement agreement", id="hyphen at a line end"),
        pytest.param("agree\u00ad\nment agree\u00adment", "agreement agreement", id="soft hyphen"),
        pytest.param("agree\ufffement", "agreement", id="U+FFFE"),
        pytest.param("agree\u200bment \u2060agree\ufeffment", "agreement agreement", id="zero width"),
        pytest.param("2020-\n2021", "2020 2021", id="hyphen between digits"),
        pytest.param("preli-\nPage 3", "preli page 3", id="hyphen before a running line"),
        pytest.param("non-exclusive and/or", "non exclusive and or", id="hyphen in a line"),
        pytest.param("$1,500.50 5%", "1 500 50 5", id="numbers"),
        pytest.param("\uff11\uff12 \uff35\uff4e\uff49\uff54\uff53", "12 units", id="full width"),
        pytest.param("契約を結ぶ ok", "契 約 を 結 ふ ok", id="Japanese"),
        pytest.param("계약서 당사자", "계약서 당사자", id="Korean"),
        pytest.param("अनुबंध की", "अनुबंध की", id="Hindi"),
        pytest.param("snake_case -- …", "snake case", id="signs"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_what_is_folded(text: str, folded: str) -> None:
    words = fold(text)
    assert words.spaced.split() == fold(folded).spaced.split()
    assert len(words) == len(folded.split())


@pytest.mark.parametrize("text", ["The “ﬁnal” agree-\nment of Mu\u0308ller, 1,500.50", "a\u00ad\nb c", "…", "契約 x"])
def test_each_word_knows_its_place(text: str) -> None:
    words = fold(text)
    for number in range(len(words)):
        begin, end = words.begins[number], words.ends[number]
        assert fold(text[begin:end]).spaced == f" {words[number]} "
        assert words.number_at(words.starts[number]) == number
    assert "".join(words[number] for number in range(len(words))) == words.letters


def test_words_in_stretches_that_are_left_out_are_gone() -> None:
    words = fold("one two three four five").without([(4, 7), (14, 18)])
    assert words.spaced == " one three five "
    assert list(words.begins) == [0, 8, 19]
    assert list(words.ends) == [3, 13, 23]


def test_a_letter_with_many_marks_takes_no_time() -> None:
    assert len(fold("a" + "\u0301\u0323" * 100_000 + " b")) == 2


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        pytest.param(
            ["Head 1\ntext a\nFoot", "Head 2\ntext b\nFoot"], ["Head 1", "Foot", "Head 2", "Foot"], id="digits"
        ),
        pytest.param(["Head\none\n", "Other\ntwo\n"], [], id="different lines"),
        pytest.param(["Head\nthis goes on\nso", "Head\nthis goes on\nthus"], ["Head", "Head"], id="small letters"),
        pytest.param(["Only one page\n"], [], id="one page"),
        pytest.param(["A\nB\nC\nMiddle\nx\ny\nz", "D\nE\nF\nMiddle\nu\nv\nw"], [], id="middle"),
        pytest.param(["Head\na", *(f"x{'y' * at}\nb" for at in range(8)), "Head\nc"], [], id="too rare"),
        pytest.param(["", "", ""], [], id="empty pages"),
        pytest.param([f"Head {'x' * 400}", f"Head {'x' * 400}"], [], id="too long"),
    ],
)
def test_running_lines_are_whole_lines_at_the_edges_of_many_pages(pages: list[str], found: list[str]) -> None:
    text, starts = "", []
    for page in pages:
        starts.append(len(text))
        text += f"{page}\n\n"
    assert [text[begin:end] for begin, end in running_lines(text, starts)] == found
