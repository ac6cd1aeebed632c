"""Audits made up for tests, and what was said of their fields."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from batchrun.quality.review.standing import Standing, frozen_answers, order
from batchrun.store.ledger.audits import Audit, Audits, Cell, Drawn, Frozen, Review, Verdict
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.runs import Runs


def audit_of(scores: Mapping[str, float] | int, fields: Iterable[str] = ("term", "law"), **changes: object) -> Audit:
    """An audit of documents with these scores, or of so many documents with the score 1."""
    by_name = {f"d{number:03}": 1.0 for number in range(scores)} if isinstance(scores, int) else scores
    documents = {doc_id: Frozen(f"request of {doc_id}", "sha", score) for doc_id, score in by_name.items()}
    given = {"audit_no": 1, "audit_id": "a1", "opened_at": 0.0, "max_error": 0.05, "seed": 7, "ordinal": 1}
    return Audit(**{**given, "fields": tuple(fields), "documents": documents, **changes})  # type: ignore[arg-type]


def said(
    audit: Audit, cell: Cell, verdict: Verdict = "accepted", drawn: Drawn = "audit", value: str | None = '"a value"'
) -> Review:
    """What somebody has said of a field."""
    request_id = audit.documents[cell.doc_id].request_id
    value = None if verdict == "rejected" else value
    return Review(audit.audit_no, *cell, request_id, drawn, verdict, value, "ada", 1.0)


def standing(audit: Audit, *reviews: Review, changed: Iterable[str] = ()) -> Standing:
    """An audit with what was said of it."""
    return Standing(audit, {one.cell: one for one in reviews}, frozenset(changed), 0)


def first_cells(audit: Audit, number: int) -> list[Cell]:
    """The fields that are drawn first."""
    return list(islice(order(audit), number))


def audited(audit: Audit, number: int, *, wrong: Iterable[Cell] = ()) -> Standing:
    """An audit whose first fields are reviewed; some fields are wrong."""
    bad = set(wrong)
    cells = first_cells(audit, number)
    return standing(audit, *(said(audit, cell, "corrected" if cell in bad else "accepted") for cell in cells))


def begin(ledger: Ledger, job: str = "trial") -> int:
    """Begin a run of a job."""
    with ledger.transaction():
        plan = RunPlan(job=job, job_path="jobs/trial.toml", fingerprint="f", model="m", simulated=False)
        return Runs(ledger).begin_run(plan, run_id=f"run of {job}")


def answer(
    ledger: Ledger, run_no: int, doc_id: str, values: Mapping[str, object], *, request: str = "", content: str = "c",
    findings: str | None = None, job: str = "trial",
) -> None:  # fmt: skip
    """Let a document have an answer that is its row."""
    run, request_id = ledger.connection.execute, request or f"request of {doc_id}"
    with ledger.transaction():
        run(
            "insert or ignore into requests (request_id, model, counted_tokens, text_class, outcome, output, findings)"
            " values (?, 'm', 10, 'prose', 'succeeded', ?, ?)",
            (request_id, json.dumps(values), findings),
        )
        run(
            "insert or replace into documents (job, doc_id, source, content_sha, request_no, row_request_no, run_no,"
            " seq, row_seq) select ?, ?, 's', ?, request_no, request_no, ?, ?, ? from requests where request_id = ?",
            (job, doc_id, content, run_no, seq := ledger.next_seq(), seq, request_id),
        )


def long_document(ledger: Ledger, run_no: int, doc_id: str, values: Mapping[str, object], job: str = "trial") -> None:
    """Let a long document have an answer that was merged from its two parts."""
    for number in (1, 2):
        part = f"{doc_id} [part {number} of 2]"
        answer(ledger, run_no, part, values, job=job)
        with ledger.transaction():
            ledger.connection.execute(
                "update documents set whole = ?, bytes_sha = 'bytes' where doc_id = ?", (doc_id, part)
            )
    with ledger.transaction():
        ledger.connection.execute(
            "insert into wholes (job, doc_id, source, parts, merged_of, output, run_no, seq, row_seq)"
            " values (?, ?, 's', 2, 'merged', ?, ?, ?, ?)",
            (job, doc_id, json.dumps(values), run_no, seq := ledger.next_seq(), seq),
        )


def opened(ledger: Ledger, job: str = "trial", fields: Sequence[str] = ("term", "law"), **keys: Any) -> Audits:
    """Open an audit over the answers of a job."""
    audits = Audits(ledger, job)
    given = {"max_error": 0.05, "seed": 7, **keys}
    audits.open(frozen_answers(audits, fields, {}), fields=fields, **given)
    return audits
