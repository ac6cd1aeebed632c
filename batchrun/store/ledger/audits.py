"""Audits and reviews in the ledger: what was frozen when an audit opened, and what people have said since."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Literal, NamedTuple

from batchrun.store.ledger.ledger import Ledger

Drawn = Literal["audit", "queue"]
"""Why a field was reviewed: it was drawn at random from all, or its document is suspicious."""
Verdict = Literal["accepted", "corrected", "rejected"]
"""The value is right; it is wrong and the right one is known; it is wrong and no right one is known."""

ROWS = """
select d.doc_id, r.request_id, coalesce(r.counted_tokens, 0) as tokens, coalesce(r.findings, '{}') as findings, r.output
from documents d join requests r on r.request_no = d.row_request_no
where d.job = :job and d.whole is null and not d.gone
union all
select w.doc_id, coalesce(w.request_id, w.merged_of),
    (select coalesce(sum(r.counted_tokens), 0) from documents p join requests r using (request_no)
        where p.job = w.job and p.whole = w.doc_id and not p.merges),
    coalesce(w.findings, '{}'), w.output
from wholes w where w.job = :job and w.output is not null and not w.gone
"""
"""The answers that are rows of the output, those of long documents that are asked in parts included."""
ANSWERS = f"select doc_id, request_id, tokens, findings from ({ROWS}) order by doc_id"
OUTPUT = f"select output from ({ROWS}) where doc_id = :doc_id and request_id = :request_id"
CONTENTS = """
select doc_id, coalesce(content_sha, '') from documents where job = :job and whole is null
union all
select whole, coalesce(max(bytes_sha), '') from documents
where job = :job and whole is not null and not merges group by whole
"""
"""The hashes of all documents, whether or not a document has an answer; '' where none is known."""
AUDITS = """
select audit_no, audit_id, opened_at, max_error, seed, fields from audits where job = ? order by audit_no
"""
REVIEWS = """
select r.audit_no, doc_id, field, request_id, drawn, verdict, value, reviewer, at
from reviews r join audits using (audit_no) where job = ? order by review_no
"""
ROW_HAS_CHANGED = """
update {} set row_seq = :seq where job = :job and doc_id in (select value from json_each(:doc_ids))
"""


class Cell(NamedTuple):
    """One field of one document."""

    doc_id: str
    field: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is a row of the output, as far as a score needs the answer."""

    doc_id: str
    request_id: str
    tokens: int
    """The length of the document in cl100k tokens."""
    findings: str
    """JSON: what was found out about the answer."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """An answer as it was when an audit opened."""

    request_id: str
    content: str
    """A hash of the document; empty where none is known."""
    score: float


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit of a job's answers: which fields of which documents it draws from, and what it is to promise."""

    audit_no: int
    audit_id: str
    opened_at: float
    max_error: float
    seed: int
    fields: Sequence[str]
    documents: Mapping[str, Frozen]
    """The audited documents in the order of their ids."""
    ordinal: int = 1
    """Which audit of the job this one is, from 1 on."""


@dataclass(frozen=True, slots=True)
class Review:
    """What a person has said of one field of an answer."""

    audit_no: int
    doc_id: str
    field: str
    request_id: str
    drawn: Drawn
    verdict: Verdict
    value: str | None
    """JSON: what the row has from now on; None if the row keeps what it had, since nothing else is known."""
    reviewer: str
    at: float

    @property
    def cell(self) -> Cell:
        """The field of the document."""
        return Cell(self.doc_id, self.field)

    @property
    def is_wrong(self) -> bool:
        """Whether the value that the model gave is wrong."""
        return self.verdict != "accepted"


class Audits:
    """The audits of a job. Each method that writes makes a transaction of its own."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._ledger = ledger
        self._run = ledger.connection.execute
        self._job = job

    def answers(self) -> Iterator[Answer]:
        """Yield the answers that are rows of the output now, in the order of their documents' ids."""
        return (Answer(*row) for row in self._run(ANSWERS, {"job": self._job}))

    def contents(self) -> dict[str, str]:
        """Return the hash of every document as it was planned last, empty where none is known."""
        return dict(self._run(CONTENTS, {"job": self._job}).fetchall())

    def output(self, doc_id: str, request_id: str) -> Mapping[str, Any] | None:
        """Return the values that the model gave for a document. Returns None if another answer stands there now."""
        row = self._run(OUTPUT, {"job": self._job, "doc_id": doc_id, "request_id": request_id}).fetchone()
        return json.loads(row[0]) if row else None

    def open(self, frozen: Mapping[str, Frozen], *, max_error: float, seed: int, fields: Sequence[str]) -> None:
        """Open an audit over these documents. From now on their scores stand."""
        values = (uuid.uuid4().hex, self._job, time.time(), max_error, seed, json.dumps(fields), self._job)
        with self._ledger.transaction():
            (audit_no,) = self._run(
                "insert into audits (audit_id, job, run_no, opened_at, max_error, seed, fields)"
                " select ?, ?, max(run_no), ?, ?, ?, ? from runs where job = ? returning audit_no",
                values,
            ).fetchone()
            rows = ((audit_no, doc_id, one.request_id, one.content, one.score) for doc_id, one in frozen.items())
            self._ledger.connection.executemany("insert into audit_documents values (?, ?, ?, ?, ?)", rows)

    def each(self) -> list[Audit]:
        """Return the audits of the job from first to last."""
        found = self._run(AUDITS, (self._job,)).fetchall()
        return [
            Audit(number, audit_id, opened_at, max_error, seed, json.loads(fields), self._documents(number), ordinal)
            for ordinal, (number, audit_id, opened_at, max_error, seed, fields) in enumerate(found, 1)
        ]

    def latest(self) -> Audit | None:
        """Return the audit that was opened last. Returns None if there is none."""
        return next(reversed(self.each()), None)

    def _documents(self, audit_no: int) -> dict[str, Frozen]:
        query = "select doc_id, request_id, content, score from audit_documents where audit_no = ? order by 1"
        return {doc_id: Frozen(*rest) for doc_id, *rest in self._run(query, (audit_no,))}

    def reviews(self) -> Iterator[Review]:
        """Yield everything that was said of the job's answers, in order, whichever audit was open then."""
        return (Review(*row) for row in self._run(REVIEWS, (self._job,)))

    def record(self, reviews: Sequence[Review]) -> None:
        """Record what a person has said, all or nothing, and let the rows of the output follow."""
        doc_ids = json.dumps([one.doc_id for one in reviews])
        with self._ledger.transaction():
            values = ((None, *astuple(one)) for one in reviews)
            self._ledger.connection.executemany("insert into reviews values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            named = {"seq": self._ledger.next_seq(), "job": self._job, "doc_ids": doc_ids}
            for table in ("documents", "wholes"):
                self._run(ROW_HAS_CHANGED.format(table), named)
