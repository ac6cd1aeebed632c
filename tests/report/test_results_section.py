"""The results of a report: whatever documents and models wrote is text, and the section has a bounded size."""

from typing import Any

import pytest
from lxml import etree

from batchrun.documents.formats.pdf_pictures import PagePicture
from batchrun.outcome import Outcome
from batchrun.report.documents import ReportDocument, ReportDocuments
from batchrun.report.results_section import MOST_BOXES, MOST_BYTES, SCRIPT, STYLE, results_section
from batchrun.store.reports.run_answers import RunDocument
from batchrun.workflow.evidence_context import field_evidence

HOSTILE = [
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "]]> -->", '" onmouseover="alert(1)',
    "\u202egnp.exe\u202c", "NUL\0 and \x1b[31m", "\ufffe\udcff", "</pre></details></li>", "a\u2028b", "&lt;b&gt;&#0;",
]  # fmt: skip
TEXT = "First line.\n{}\nThe term is two years.\nLast line."


def document(doc_id: str = "a.txt", outcome: Outcome | None = Outcome.SUCCEEDED, **more: Any) -> ReportDocument:
    reason = more.pop("reason", None)
    found = RunDocument(doc_id, outcome, reason, seconds=1.0, input_tokens=1200, cost_nusd=12_000_000)
    return ReportDocument(found, **{"source": doc_id} | more)


def section(*shown: ReportDocument, total: int = 0, problems: int = 0, has_texts: bool = True) -> str:
    return results_section(ReportDocuments(shown, total or len(shown), problems, has_texts), "8f3c")


def parsed(markup: str) -> Any:
    return etree.fromstring(markup)


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_what_others_wrote_is_text_wherever_it_stands(hostile: str) -> None:
    text = TEXT.format(hostile)
    told = {"status": "exact", "spans": [[0, len(text)]], "problem": hostile, "place": hostile}
    markup = section(
        document(
            hostile,
            Outcome.INVALID,
            reason=hostile,
            source=hostile,
            values={hostile: hostile, "many": [hostile]},
            evidence=field_evidence({hostile: told}, text, part=None),
            unread=hostile,
        ),
        document("b", beginning=hostile, values={"x": {hostile: 1}}),
    )

    names = {element.tag for element in parsed(markup).iter()}
    assert not names & {"script", "img", "style", "iframe", "a", "svg"}
    assert len(list(parsed(markup).iter("li"))) == 2
    assert all(character.isprintable() or character == "\n" for character in markup)
    assert not {name for element in parsed(markup).iter() for name in element.attrib if name.startswith("on")}


def test_a_quote_is_marked_among_its_lines() -> None:
    text = TEXT.format("A line between.")
    start = text.index("two years")
    told = {"status": "exact", "spans": [[start, start + 9]], "pages": [2]}

    found = parsed(section(document(values={"term": "2"}, evidence=field_evidence({"term": told}, text, part=None))))

    (pre,) = found.iter("pre")
    assert ["".join(mark.itertext()) for mark in pre.iter("mark")] == ["two years"]
    assert "".join(pre.itertext()) == text
    assert "quote exact, page 2" in "".join(found.itertext())


def test_a_quote_whose_document_is_not_at_hand_is_not_marked() -> None:
    told = {"status": "exact", "spans": [[5, 9]], "text": "two years"}
    evidence = field_evidence({"term": told}, None, part=None)

    found = parsed(section(document(values={"term": 2}, evidence=evidence, unread="the document has changed")))

    assert not list(found.iter("mark"))
    assert [pre.text for pre in found.iter("pre")] == ["two years"]
    assert "the document is not shown: the document has changed" in "".join(found.itertext())


def test_the_boxes_of_a_page_lie_over_its_picture() -> None:
    picture = PagePicture(3, 100, 200, b"\x89PNG", [(10, 20, 30, 8), (10, 20, 30, 8), (0, 0, 0, 0)])
    found = parsed(section(document(values={"term": 2}, pictures=[picture], pictured={3: ["term", "law", "term"]})))

    (image,), (drawn,) = found.iter("img"), found.iter("svg")
    assert image.get("src") == "data:image/png;base64,iVBORw=="
    assert image.get("alt") == "Page 3 of a.txt, with boxes around the quotes for term, law"
    assert drawn.get("viewBox") == "0 0 100 200"
    assert [dict(box.attrib) for box in drawn] == [{"x": "8", "y": "18", "width": "34", "height": "12"}]


def test_a_picture_has_a_bounded_number_of_boxes() -> None:
    picture = PagePicture(1, 100, 200, b"\x89PNG", [(at % 90, at // 90, 5, 5) for at in range(9_000)])

    assert section(document(pictures=[picture], pictured={1: ["a"]})).count("<rect") == MOST_BOXES


def test_without_texts_no_row_opens() -> None:
    markup = section(document(reason=""), has_texts=False)

    assert "<details" not in markup
    assert "No text of documents and answers is shown." in markup


@pytest.mark.parametrize("fill", ["x", '"', "\0", "\U000e0001"], ids=["letter", "quote", "nul", "tag"])
def test_the_section_has_a_bounded_size(fill: str) -> None:
    long = fill * 700
    shown = [
        document(f"{number}{long}", Outcome.INVALID, reason=long, values={long: long, "b": long}, beginning=long[:600])
        for number in range(600)
    ]

    markup = section(*shown, total=100_000, problems=600)

    assert len(markup.encode()) < MOST_BYTES * 1.2
    listed = len(list(parsed(markup).iter("li")))
    assert listed == 600 or f"{listed} of 600 problems" in markup


def test_problems_that_are_not_shown_are_told() -> None:
    shown = [document(str(number), Outcome.INVALID, reason="it is not a date") for number in range(400)]

    assert "400 of 100,000 documents: 400 of 10,000 problems, and a sample" in section(
        *shown, total=100_000, problems=10_000
    )


def test_script_and_style_can_stand_in_a_page_that_is_xml() -> None:
    for text in (SCRIPT, STYLE):
        assert "<" not in text
        assert "&" not in text
