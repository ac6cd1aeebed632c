"""What people have corrected reaches the rows, with the model's value beside; the rows can be rebuilt."""

import json
from typing import Any

import pytest
from output_desk import Desk

from batchrun.job.fields import Column
from batchrun.store.ledger.audits import Audits, Cell, Frozen, Review, Verdict
from batchrun.store.output.corrections import corrected
from batchrun.store.output.output_table import OutputTable
from batchrun.store.output.publish import Output

ROWS = "select doc_id, title, pages, _corrections from trial order by 1"


def review(desk: Desk, doc_id: str, field: str, verdict: Verdict, value: str | None) -> None:
    """A review, with its time, of the answer that the document has now."""
    audits = Audits(desk.ledger, desk.job)
    requests = {answer.doc_id: answer.request_id for answer in audits.answers()}
    if audits.latest() is None:
        frozen = {name: Frozen(request_id, "c", 0.0) for name, request_id in requests.items()}
        audits.open(frozen, max_error=0.05, seed=1, fields=["title", "pages"])
    audits.record([Review(1, *Cell(doc_id, field), requests[doc_id], "audit", verdict, value, "ada", 1e9)])


def output(desk: Desk, *findings: str, title: str = "VARCHAR") -> Output:
    columns = (Column("title", title, "VARCHAR"), Column("pages", "BIGINT", "BIGINT"))
    return Output(desk.ledger, desk.job, OutputTable(desk.database, "trial", columns, findings=findings))


def rows(desk: Desk) -> dict[str, tuple[Any, ...]]:
    found = desk.ask(ROWS)
    return {doc_id: (*values, json.loads(told) if told else None) for doc_id, *values, told in found}


def told(model: object, verdict: str = "corrected") -> dict[str, object]:
    return {"model": model, "verdict": verdict, "by": "ada", "at": "2001-09-09T01:46:40Z"}


@pytest.mark.slow
def test_corrections_reach_the_rows_and_are_there_again_in_a_new_file(desk: Desk) -> None:
    for name in "abcd":
        desk.settle(name, {"title": f"model's {name}", "pages": 7})
    with_column = output(desk, "_corrections")
    assert with_column.publish(wait_s=0) == 4
    review(desk, "a", "title", "corrected", '"right"')
    review(desk, "a", "pages", "rejected", "null")
    review(desk, "b", "title", "rejected", None)
    review(desk, "c", "title", "corrected", '"hasty"')
    review(desk, "c", "title", "accepted", '"model\'s c"')

    with_column.publish(wait_s=0)

    expected = {
        "a": ("right", None, {"title": told("model's a"), "pages": told(7, "rejected")}),
        "b": ("model's b", 7, {"title": told("model's b", "rejected")}),
        "c": ("model's c", 7, None),
        "d": ("model's d", 7, None),
    }
    assert rows(desk) == expected
    assert with_column.publish(wait_s=0) == 0
    desk.database.unlink()
    assert with_column.publish(wait_s=0) == 4
    assert rows(desk) == expected


@pytest.mark.slow
def test_another_answer_has_no_corrections_of_the_one_before(desk: Desk) -> None:
    desk.settle("a", {"title": "first", "pages": 1})
    review(desk, "a", "title", "corrected", '"right"')
    output(desk, "_corrections").publish(wait_s=0)
    desk.settle("a", {"title": "second", "pages": 2})
    output(desk, "_corrections").publish(wait_s=0)
    assert rows(desk) == {"a": ("second", 2, None)}


@pytest.mark.slow
def test_a_corrected_enum_widens_its_column(desk: Desk) -> None:
    desk.settle("a", {"title": "msa", "pages": 1})
    review(desk, "a", "title", "corrected", '"nda"')
    output(desk, "_corrections", title="ENUM('msa')").publish(wait_s=0)
    assert rows(desk)["a"][0] == "nda"


def test_without_its_column_the_answer_stays_the_models() -> None:
    row = ["d", '{"title": "t"}', "r", "run", None, "m", None, None]
    of_review = json.dumps([["title", "corrected", '"right"', "ada", "2026-11-30T00:00:00Z"]])
    assert corrected([*row, of_review], is_told=False) == row
    assert corrected([*row, None], is_told=True) == row
    assert json.loads(corrected([*row, of_review], is_told=True)[1]) == {"title": "right"}


def test_other_values_and_findings_stay_to_the_last_digit() -> None:
    answer = '{"title": "t", "share": 0.30000000000000004, "pages": 9007199254740993}'
    row = ["d", answer, "r", "run", None, "m", None, '{"attempts": 2}']
    of_review = json.dumps([["title", "rejected", None, "ada", "2026-11-30T00:00:00Z"]])
    _, values, *_, findings = corrected([*row, of_review], is_told=True)
    assert values == answer
    assert json.loads(findings).keys() == {"attempts", "corrections"}
