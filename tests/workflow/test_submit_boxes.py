"""Boxes of the passages of a PDF in the evidence, whichever way the PDF and its answer come."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from native_samples import page_of, pdf
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.execution.document_reader import DocumentReader
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.workers import open_pool
from batchrun.workers.children import Children

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
QUOTE = "The initial term of this Agreement is twenty-four (24) months."
FILLER = "Nothing of interest stands in this line of filler text, which goes on."
FIRST_BASELINE, LEADING, LEFT = 706, 14, 72
"""Where `page_of` writes its lines, in points."""
MAIL = b"""From: ann@example.org
Subject: Terms
Content-Type: multipart/mixed; boundary="b1"

--b1
Content-Type: text/plain

%s
--b1
Content-Type: application/pdf
Content-Disposition: attachment; filename="x.pdf"
Content-Transfer-Encoding: base64

%s
--b1--
"""
SAID = {"term_quote": QUOTE, "term": 24}


def contract(pages: int = 2, *, line: int = 1) -> bytes:
    """A PDF with the quote in one line of its last page, counted from 0."""
    texts = [[f"Page {number}.", *[FILLER] * 30] for number in range(1, pages + 1)]
    texts[-1].insert(line, QUOTE)
    return pdf([page_of(*lines) for lines in texts])


def given(project: TrialProject, name: str = "a.pdf", data: bytes = b"", *, source: str = "", **more: str) -> None:
    (project.root / "docs" / name).write_bytes(data or contract())
    project.job(
        source=f'type = "files"\ninclude = ["docs/*"]\n{source}',
        output=more.pop("output", "evidence = true"),
        output_fields='term = "integer?"',
        **more,
    )


def found(project: TrialProject, doc_id: str = "docs/a.pdf") -> dict[str, Any]:
    ((told,),) = project.rows(f"select _evidence::varchar from trial where doc_id = '{doc_id}'")
    return dict(json.loads(told)["term"])


def require_box(found: dict[str, Any], *, page: int, line: int) -> None:
    assert found["status"] == "exact"
    (box,) = found["boxes"]
    assert box["page"] == page
    assert box["left"] == pytest.approx(LEFT, abs=2)
    assert box["bottom"] < FIRST_BASELINE - LEADING * line + 1 < box["top"]
    assert 8 < box["top"] - box["bottom"] < 1.2 * LEADING
    assert 250 < box["right"] - box["left"] < 400
    assert all(side == round(side, 1) for side in box.values())


def test_a_passage_of_a_pdf_has_the_box_of_its_line(project: TrialProject) -> None:
    given(project, data=contract(line=5))

    project.submit(ScriptedProvider(default=answer(SAID)))

    require_box(found(project), page=2, line=5)


def test_a_pdf_that_is_attached_to_a_mail_has_boxes(project: TrialProject) -> None:
    given(project, "a.eml", MAIL % (QUOTE.encode(), base64.encodebytes(contract(line=3))))

    project.submit(ScriptedProvider(default=answer(SAID)))

    require_box(found(project, "docs/a.eml#x.pdf"), page=2, line=3)
    assert "boxes" not in found(project, "docs/a.eml"), "the mail itself has no pages"


def test_a_passage_in_a_part_has_its_box_on_the_page_of_the_whole_document(project: TrialProject) -> None:
    given(project, data=contract(20, line=4), source='on_oversize = "split"\nsplit_tokens = 2_000')

    async def reads(request: Request) -> Reply:
        prompt = json.loads(request.body)["messages"][0]["content"]
        return answer(SAID if QUOTE in prompt else {"term_quote": "", "term": None})

    project.submit(ScriptedProvider(default=reads))

    told = [json.loads(one)["evidence"]["term"] for (one,) in project.ask("select findings from requests order by 1")]
    assert len(told) > 3
    (passage,) = [one for one in told if "boxes" in one]
    require_box(passage, page=20, line=4)
    assert passage["spans"][0][0] < 20_000, "spans are counted in the part"


@pytest.mark.parametrize(
    "said",
    [{"term_quote": "", "term": None}, {"term_quote": "It is never said.", "term": 3}],
    ids=["none", "missing"],
)
def test_what_does_not_stand_in_the_document_has_no_box(
    project: TrialProject, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project)
    asked = []
    monkeypatch.setattr(DocumentReader, "boxes", lambda *_: asked.append(1))

    project.submit(ScriptedProvider(default=answer(said)))

    assert "boxes" not in found(project)
    assert asked == []


def test_other_documents_and_other_jobs_are_not_read_again(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DocumentReader, "boxes", lambda *_: pytest.fail("nothing has boxes here"))
    given(project, "a.html", f"<p>{QUOTE}</p>".encode())

    project.submit(ScriptedProvider(default=answer(SAID)))
    assert found(project, "docs/a.html")["status"] == "exact"
    given(project, output="")
    assert project.submit(ScriptedProvider(default=answer({"term": 24}))).exit_code == 0


def test_a_file_that_changes_while_it_is_answered_has_no_boxes(project: TrialProject) -> None:
    given(project)

    async def meanwhile(request: Request) -> Reply:
        (project.root / "docs" / "a.pdf").write_bytes(contract(3))
        return answer(SAID)

    project.submit(ScriptedProvider(default=meanwhile))

    assert found(project)["status"] == "exact"
    assert "boxes" not in found(project)


def test_an_answer_is_kept_if_no_child_process_can_make_boxes(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project)
    children = Children(1)
    monkeypatch.setattr(open_pool, "Children", lambda: children)

    async def meanwhile(request: Request) -> Reply:
        children.shutdown()
        return answer(SAID)

    assert project.submit(ScriptedProvider(default=meanwhile)).exit_code == 0
    assert found(project)["status"] == "exact"
    assert "boxes" not in found(project)


def test_the_queries_of_the_docs(project: TrialProject) -> None:
    given(project)
    page = (REPOSITORY / "batchrun" / "docs" / "results.md").read_text("utf-8")
    (queries,) = re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    doubted, boxes = queries.replace("FROM contracts", "FROM trial").strip().rstrip(";").split(";")

    project.submit(ScriptedProvider(default=answer(SAID | {"term": 36})))

    assert project.rows(doubted) == [("docs/a.pdf", "term", "exact", "its quote says something else")]
    ((doc_id, *sides),) = project.rows(boxes)
    assert (doc_id, *sides) == ("docs/a.pdf", *found(project)["boxes"][0].values())
    (example,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert json.loads(example)["term"].keys() == found(project).keys() - {"problem"}
