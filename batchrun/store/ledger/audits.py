"""Audits and reviews in the ledger: what was frozen when an audit opened, and what people have said since."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from batchrun.store.ledger.ledger import Ledger

Drawn = Literal["audit", "queue"]
"""Why a field was reviewed: it was drawn at random from all, or its document is suspicious."""
Verdict = Literal["accepted", "corrected", "rejected"]
"""The value is right; it is wrong and the right one is known; it is wrong and no right one is known."""

ANSWERS = """
select d.doc_id, r.request_id, d.content_sha as content, r.counted_tokens as tokens, r.findings
from documents d join requests r on r.request_no = d.row_request_no
where d.job = :job and d.whole is null and not d.gone
union all
select w.doc_id, coalesce(w.request_id, w.merged_of),
    (select max(bytes_sha) from documents p where p.job = w.job and p.whole = w.doc_id and not p.merges),
    (select sum(r.counted_tokens) from documents p join requests r using (request_no)
        where p.job = w.job and p.whole = w.doc_id and not p.merges),
    w.findings
from wholes w where w.job = :job and w.output is not null and not w.gone
order by 1
"""
"""The answers that are rows of the output, those of long documents that are asked in parts included."""
OUTPUT = """
select r.output from documents d join requests r on r.request_no = d.row_request_no
where d.job = :job and d.doc_id = :doc_id and d.whole is null and r.request_id = :request_id
union all
select output from wholes where job = :job and doc_id = :doc_id and coalesce(request_id, merged_of) = :request_id
"""
REVIEWS = """
select v.doc_id, v.field, v.request_id, v.drawn, v.verdict, v.value, v.reviewer, v.at, v.audit_no
from reviews v join audits a using (audit_no) where a.job = ? order by v.review_no
"""


class Cell(NamedTuple):
    """One field of one document."""

    doc_id: str
    field: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is a row of the output, as far as a score needs it."""

    doc_id: str
    request_id: str
    content: str
    """A hash of the document; empty where none is known."""
    tokens: int
    """The length of the document in cl100k tokens."""
    findings: Mapping[str, Any]
    """What was found out about the answer, as `Findings` has it as JSON."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """An answer as it was when an audit opened."""

    request_id: str
    content: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """An audit of a job's answers; only `max_error`, `fields` and `documents` decide what it can promise."""

    audit_no: int
    audit_id: str
    opened_at: float
    max_error: float
    seed: int
    fields: Sequence[str]
    documents: Mapping[str, Frozen]
    """The audited documents in the order of their ids."""
    ordinal: int
    """Which audit of the job this one is, from 1 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a person has said of one field of an answer."""

    cell: Cell
    request_id: str
    drawn: Drawn
    verdict: Verdict
    value: str | None
    """JSON: what the row has from now on; None if the row keeps what it had, since nothing else is known."""
    reviewer: str
    at: float
    audit_no: int

    @property
    def is_wrong(self) -> bool:
        """Whether the value that the model gave is wrong."""
        return self.verdict != "accepted"


class Audits:
    """The audits of a job. Each method that writes makes a transaction of its own."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._job = job

    def answers(self) -> Iterator[Answer]:
        """Yield the answers that are rows of the output now, in the order of their documents' ids."""
        for doc_id, request_id, content, tokens, findings in self._connection.execute(ANSWERS, {"job": self._job}):
            yield Answer(doc_id, request_id, content or "", tokens or 0, json.loads(findings) if findings else {})

    def output(self, doc_id: str, request_id: str) -> Mapping[str, Any] | None:
        """Return the values that the model gave for a document. Returns None if another answer stands there now."""
        named = {"job": self._job, "doc_id": doc_id, "request_id": request_id}
        row = self._connection.execute(OUTPUT, named).fetchone()
        return json.loads(row[0]) if row else None

    def open(self, frozen: Mapping[str, Frozen], *, max_error: float, seed: int, fields: Sequence[str]) -> None:
        """Open an audit over these documents. From now on their scores stand."""
        with self._ledger.transaction():
            audit_no = self._connection.execute(
                "insert into audits (audit_id, job, run_no, opened_at, max_error, seed, fields)"
                " select ?, ?, max(run_no), ?, ?, ?, ? from runs where job = ? returning audit_no",
                (uuid.uuid4().hex, self._job, time.time(), max_error, seed, json.dumps(fields), self._job),
            ).fetchone()[0]
            self._connection.executemany(
                "insert into audit_documents values (?, ?, ?, ?, ?)",
                ((audit_no, doc_id, one.request_id, one.content, one.score) for doc_id, one in frozen.items()),
            )

    def each(self) -> list[Audit]:
        """Return all audits of the job, the earliest first."""
        rows = self._connection.execute(
            "select audit_no, audit_id, opened_at, max_error, seed, fields from audits where job = ? order by 1",
            (self._job,),
        ).fetchall()
        return [self._audit(row, ordinal) for ordinal, row in enumerate(rows, 1)]

    def latest(self) -> Audit | None:
        """Return the audit that was opened last. Returns None if there is none."""
        rows = self._connection.execute(
            "select audit_no, audit_id, opened_at, max_error, seed, fields from audits where job = ? order by 1 desc",
            (self._job,),
        ).fetchall()
        return self._audit(rows[0], len(rows)) if rows else None

    def _audit(self, row: Sequence[Any], ordinal: int) -> Audit:
        audit_no, audit_id, opened_at, max_error, seed, fields = row
        found = self._connection.execute(
            "select doc_id, request_id, content, score from audit_documents where audit_no = ? order by 1", (audit_no,)
        )
        return Audit(
            audit_no=audit_no, audit_id=audit_id, opened_at=opened_at, max_error=max_error, seed=seed,
            fields=tuple(json.loads(fields)), documents={doc_id: Frozen(*rest) for doc_id, *rest in found},
            ordinal=ordinal,
        )  # fmt: skip

    def reviews(self) -> Iterator[Review]:
        """Yield everything that was said of the job's answers, in order, whichever audit was open then."""
        for doc_id, field, request_id, drawn, verdict, value, reviewer, at, audit_no in self._connection.execute(
            REVIEWS, (self._job,)
        ):
            yield Review(
                cell=Cell(doc_id, field), request_id=request_id, drawn=drawn, verdict=verdict, value=value,
                reviewer=reviewer, at=at, audit_no=audit_no,
            )  # fmt: skip

    def record(self, reviews: Iterable[Review]) -> None:
        """Record what a person has said, all or nothing, and let the rows of the output follow."""
        with self._ledger.transaction():
            for one in reviews:
                named = {"job": self._job, "doc_id": one.cell.doc_id, "seq": self._ledger.next_seq()}
                self._connection.execute(
                    "insert into reviews (audit_no, doc_id, field, request_id, drawn, verdict, value, reviewer, at)"
                    " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        one.audit_no, *one.cell, one.request_id, one.drawn, one.verdict, one.value, one.reviewer,
                        one.at,
                    ),
                )  # fmt: skip
                for table in ("documents", "wholes"):
                    self._connection.execute(
                        f"update {table} set row_seq = :seq where job = :job and doc_id = :doc_id", named
                    )
