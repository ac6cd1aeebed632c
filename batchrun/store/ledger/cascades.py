"""Cascades in the ledger: which answers were passed on to the next model, and why."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import PENDING, Ledger, pending_of
from batchrun.store.ledger.records import Pending

MOST_RECENT = 2_000
"""How many of the latest answers are read for a rate, which is then known to a percent or two."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one model answered a request, and whether the cascade took the answer."""

    outcome: Outcome
    output: Mapping[str, Any] | None
    findings: Mapping[str, Any]
    """What was found out about the answer, without what is empty."""
    escalated: str | None
    """Why the next model was asked; None if the next model was not asked so far."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A document of a run with the answer to its request."""

    pending: Pending
    """The document as it would be without the answer."""
    answer: Answer


@dataclass(frozen=True, slots=True)
class Escalations:
    """How many of one model's answers in a run were passed on."""

    model: str
    answers: int
    reasons: Mapping[str, int]
    """How many answers were passed on, by reason."""

    @property
    def escalated(self) -> int:
        """How many answers were passed on, for whatever reason."""
        return sum(self.reasons.values())


def succeeded(ledger: Ledger, request_ids: Iterable[str]) -> dict[str, Answer]:
    """Read the answers to requests, by request id; requests without an output are left out."""
    rows = ledger.connection.execute(
        "select request_id, outcome, output, findings, null from requests"
        " where request_id in (select value from json_each(?)) and outcome = ? and output is not null",
        (json.dumps(list(request_ids)), Outcome.SUCCEEDED),
    )
    return {request_id: answer_of(row) for request_id, *row in rows}


def answered(ledger: Ledger, run_no: int, *, since: int, after: int, limit: int, model: str) -> list[Answered]:
    """List the next documents of a run that stand for a settled request to a model, in the order of the plan."""
    rows = ledger.connection.execute(
        f"select {PENDING}, r.outcome, r.output, r.findings, null from documents d join requests r using (request_no)"
        " where d.run_no = ? and d.seq >= ? and d.document_no > ? and d.outcome is null and r.outcome is not null"
        " and r.model = ? order by d.document_no limit ?",
        (run_no, since, after, model, limit),
    )
    return [Answered(pending_of(row[:-4]), answer_of(row[-4:])) for row in rows]


def take_back(ledger: Ledger, job: str, request_no: int, earlier: Sequence[str]) -> list[str]:
    """Give the job's documents of a failed request the last row that one of the earlier requests had.

    `earlier` has the ids of these requests, in order. Returns the ids of the documents, none if no earlier request
    succeeded.
    """
    rows = ledger.connection.execute(
        "select request_id, request_no from requests"
        " where request_id in (select value from json_each(?)) and outcome = ?",
        (json.dumps(earlier), Outcome.SUCCEEDED),
    )
    found: dict[str, int] = dict(rows.fetchall())
    kept = next((found[request_id] for request_id in reversed(earlier) if request_id in found), None)
    if kept is None:
        return []
    seq = ledger.next_seq()
    documents = ledger.connection.execute(
        "update documents set request_no = ?, row_request_no = ?, seq = ?, row_seq = ?"
        " where job = ? and request_no = ? and outcome is null returning doc_id",
        (kept, kept, seq, seq, job, request_no),
    )
    return [doc_id for (doc_id,) in documents.fetchall()]


def recent_answers(ledger: Ledger, job: str, *, fingerprint: str, model: str) -> list[Answer]:
    """Read the latest answers of one model to requests as the job would make them now."""
    rows = ledger.connection.execute(
        "select r.outcome, r.output, r.findings, a.escalated"
        " from attempts a join requests r using (request_no) join runs using (run_no)"
        " where a.job = ? and a.state = 'answered' and runs.fingerprint = ? and r.model = ?"
        " and r.attempt_no = a.attempt_no and r.outcome is not null order by a.seq desc limit ?",
        (job, fingerprint, model, MOST_RECENT),
    )
    return [answer_of(row) for row in rows]


def escalations(ledger: Ledger, run_no: int, models: Sequence[str]) -> list[Escalations]:
    """Count the answers that were passed on in a run, for every model of a cascade but the last."""
    if not models:
        return []
    rows = ledger.connection.execute(
        "select r.model, a.escalated, count(*) from attempts a join requests r using (request_no)"
        " where a.run_no = ? and a.state = 'answered' group by 1, 2 order by 3 desc, 2",
        (run_no,),
    ).fetchall()
    found = [
        Escalations(
            model,
            sum(count for name, _, count in rows if name == model),
            {reason: count for name, reason, count in rows if name == model and reason},
        )
        for model in models
    ]
    return [one for one in found if one.answers]


def answer_of(row: Sequence[Any]) -> Answer:
    """Make an answer of its outcome, output, findings and reason to be passed on."""
    outcome, output, findings, escalated = row
    return Answer(
        Outcome(outcome),
        json.loads(output) if output else None,
        json.loads(findings) if findings else {},
        escalated,
    )
