"""How answers are supported and mended, read from the ledger for one run."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports import evidence as evidence_module
from batchrun.store.reports.evidence import FieldEvidence, RunFindings, run_findings

NOTHING = RunFindings(answers=0, fields=[], mended=0, repairs=0, repairs_nusd=0, nulled=0, normalised=0)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_missing(connection)
    with contextlib.closing(Ledger(connection, None)) as opened:
        plan = RunPlan(
            job="trial", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
            cap_nusd=10**12, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1,
        )  # fmt: skip
        for run_id in ("a", "b"):
            Runs(opened).begin_run(plan, run_id=run_id)
        yield opened


def answered(
    ledger: Ledger,
    found: dict[str, Any] | None,
    *,
    run_no: int = 1,
    outcome: str = "succeeded",
    merges: int = 0,
    output: dict[str, Any] | None = None,
) -> int:
    """A document with an answer; returns the number of the request."""
    number = ledger.connection.execute("select count(*) + 1 from requests").fetchone()[0]
    ledger.connection.execute(
        "insert into requests (request_no, request_id, model, counted_tokens, text_class, outcome, findings, output)"
        " values (?, ?, 'm', 1, 'prose', ?, ?, ?)",
        (number, f"id {number}", outcome, json.dumps(found) if found else None, json.dumps(output) if output else None),
    )
    ledger.connection.execute(
        "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq, merges, whole)"
        " values ('trial', ?, 's', 'c', ?, ?, ?, ?, ?)",
        (f"d{number}", number, run_no, number, merges, "w" if merges else None),
    )
    return int(number)


def attempted(ledger: Ledger, request_no: int, cost_nusd: int, *, repairs: int | None, state: str = "answered") -> None:
    ledger.connection.execute(
        "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at, turn)"
        " values (?, 1, 'trial', 'd', ?, 1, ?, 0.0, ?)",
        (request_no, state, cost_nusd, None if repairs is None else json.dumps({"repairs": repairs, "fields": []})),
    )


def test_a_job_without_findings(ledger: Ledger) -> None:
    assert run_findings(ledger, 1) == NOTHING
    attempted(ledger, answered(ledger, None), 5, repairs=None)
    assert run_findings(ledger, 1) == NOTHING
    answered(ledger, {"attempts": 2})
    assert run_findings(ledger, 1) == replace(NOTHING, answers=1)


def test_values_are_counted_by_field_and_status_the_least_believed_first(ledger: Ledger) -> None:
    exact, none = {"status": "exact", "text": "x"}, {"status": "none"}
    doubted = {"status": "differs", "problem": "its quote differs from the document: 'x'"}
    answered(ledger, {"evidence": {"law": exact, "term": exact, "parties": [exact, doubted]}})
    answered(ledger, {"evidence": {"law": none, "term": {"status": "missing", "problem": "no"}, "parties": []}})
    answered(ledger, {"evidence": {"law": doubted}}, run_no=2)
    answered(ledger, {"evidence": {"law": doubted}}, outcome="invalid")
    answered(ledger, {"evidence": {"law": {"status": "no_text"}}}, merges=1)

    assert run_findings(ledger, 1).fields == [
        FieldEvidence("term", 2, {"exact": 1, "missing": 1}, 1),
        FieldEvidence("parties", 2, {"exact": 1, "differs": 1}, 1),
        FieldEvidence("law", 2, {"exact": 1, "none": 1}, 0),
    ]
    assert run_findings(ledger, 2).fields == [FieldEvidence("law", 1, {"differs": 1}, 1)]


def test_an_answer_for_several_documents_counts_once(ledger: Ledger) -> None:
    number = answered(ledger, {"evidence": {"law": {"status": "exact"}}})
    ledger.connection.execute(
        "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
        " values ('trial', 'again', 's', 'c', ?, 1, 9)",
        (number,),
    )

    assert run_findings(ledger, 1).fields == [FieldEvidence("law", 1, {"exact": 1}, 0)]


def test_repairs_are_counted_with_what_they_cost(ledger: Ledger) -> None:
    mended, broken = answered(ledger, {"attempts": 3}), answered(ledger, None, outcome="invalid")
    attempted(ledger, mended, 10, repairs=None)
    attempted(ledger, mended, 20, repairs=1)
    attempted(ledger, mended, 30, repairs=2)
    attempted(ledger, broken, 40, repairs=1)
    attempted(ledger, broken, 50, repairs=0)
    attempted(ledger, broken, 60, repairs=1, state="failed")

    found = run_findings(ledger, 1)

    assert (found.mended, found.repairs, found.repairs_nusd) == (1, 3, 90)


def test_values_that_were_changed_are_counted(ledger: Ledger) -> None:
    answered(ledger, {"problems": {"law": "law: required"}, "originals": {"day": "3 March 2024", "sums[0]": "1,5"}})
    answered(ledger, {"problems": {"law": "law: no", "term": "term: no"}}, output={"law": None, "term": None})
    answered(ledger, {"problems": {"rents": "rents: 2 entries came, and `n` says 3"}}, output={"rents": [1, 2], "n": 3})

    found = run_findings(ledger, 1)

    assert (found.nulled, found.normalised) == (3, 2)


def test_no_more_than_so_many_answers_are_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_module, "LOOKED_AT", 2)
    for status in ("missing", "exact", "exact"):
        answered(ledger, {"evidence": {"law": {"status": status}}, "problems": {"law": "no"}})

    found = run_findings(ledger, 1)

    assert found.fields == [FieldEvidence("law", 2, {"exact": 2}, 0)]
    assert (found.answers, found.nulled) == (2, 2)
