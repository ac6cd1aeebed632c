"""Long documents that are asked in parts: what their parts have answered, and the answer for the whole document."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.answers.merging_text import AnsweredPart, merging_text
from batchrun.document import DocumentRef
from batchrun.documents.split import merging_id, segment_name
from batchrun.estimation.estimate import RequestTokens
from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger

PARTS = """
select d.doc_id, coalesce(d.note, ''), coalesce(d.outcome, r.outcome), iif(d.outcome is null, r.reason, d.reason),
    r.request_id, r.output, r.model, a.run_no, a.ended_at, r.findings
from documents d left join requests r using (request_no) left join attempts a on a.attempt_no = r.attempt_no
where d.job = ? and d.whole = ? and not d.merges
"""
MERGING = """
select d.content_sha, d.max_tokens, coalesce(d.outcome, r.outcome), iif(d.outcome is null, r.reason, d.reason),
    r.request_id, r.output, r.model, a.run_no, a.ended_at, r.findings
from documents d left join requests r using (request_no) left join attempts a on a.attempt_no = r.attempt_no
where d.job = ? and d.doc_id = ? and d.merges
"""
WHOLES = "select whole_no, doc_id, source, merged_of, parts from wholes where job = ?"
ADMIT_REQUEST = """
insert into requests (request_id, model, counted_tokens, text_class, guessed, max_tokens, form_no)
values (?, ?, ?, ?, 0, ?, ?)
on conflict (request_id) do update set form_no = excluded.form_no where outcome is null
"""
ADMIT_MERGING = """
insert into documents (job, doc_id, source, content_sha, request_no, outcome, reason, max_tokens, whole, merges, run_no,
    seq, row_seq)
values (:job, :doc_id, :source, :of, (select request_no from requests where request_id = :request_id), :outcome,
    :reason, :max_tokens, :whole, 1, :run_no, :seq, :seq)
on conflict (job, doc_id) do update set source = excluded.source, content_sha = excluded.content_sha,
    request_no = excluded.request_no, outcome = excluded.outcome, reason = excluded.reason,
    max_tokens = excluded.max_tokens, whole = excluded.whole, merges = 1, run_no = excluded.run_no, seq = excluded.seq
"""


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """How one part of a document stands."""

    number: int
    total: int
    note: str
    """What is told of the part, with the places that it covers."""
    outcome: Outcome | None
    reason: str | None
    request_id: str | None
    output: str | None
    """The answer as JSON; None unless the part has succeeded."""
    model: str | None
    run_no: int | None
    ended_at: float | None
    findings: str | None
    """What was found out about the answer, as JSON; None if there is nothing to be told of the only reply."""

    @property
    def answered(self) -> AnsweredPart:
        """The answer as a merging request has it, with the places that are told at the end of the note."""
        _, found, places = self.note.partition(f"part {self.number} of {self.total}: ")
        return AnsweredPart(self.number, self.total, places if found else "", json.loads(self.output or "null"))


@dataclass(frozen=True, slots=True)
class MergingAnswer:
    """How the request stands that merges the answers for a document's parts."""

    of: str
    """The digest of the parts' answers that are merged."""
    max_tokens: int | None
    """The `max_tokens` of the request; None if it is the job's."""
    outcome: Outcome | None
    reason: str | None
    request_id: str | None
    output: str | None
    model: str | None
    run_no: int | None
    ended_at: float | None
    findings: str | None
    """What was found out about the answer, as JSON; None as in `PartAnswer`."""


@dataclass(frozen=True, slots=True)
class MergingRequest:
    """A request that merges the answers for a document's parts, or why there is none."""

    of: str
    """As in `MergingAnswer`, like `max_tokens`."""
    max_tokens: int | None = None
    request_id: str | None = None
    model: str | None = None
    tokens: RequestTokens | None = None
    asks_for: int | None = None
    """The `max_tokens` of the request to `model`."""
    form_no: int | None = None
    """The number of the form in which the request is asked."""
    again: bool = False
    """Whether the request has failed and is tried again."""
    reason: str | None = None
    """Why there is no request."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A document that is asked in parts."""

    whole_no: int
    doc_id: str
    source: str
    merged_of: str | None
    """What the answer of the document followed from; None without an answer."""
    parts: Sequence[PartAnswer]
    """The parts in their order."""

    @property
    def settled(self) -> bool:
        """Whether every part has an outcome."""
        return all(part.outcome for part in self.parts)

    @property
    def failed(self) -> PartAnswer | None:
        """The first part without an answer; None if all parts have succeeded."""
        return next((part for part in self.parts if part.outcome is not Outcome.SUCCEEDED), None)

    @property
    def mergeable(self) -> bool:
        """Whether every part has succeeded."""
        return self.failed is None

    @property
    def merging_text(self) -> str:
        """What the request that merges the parts has instead of the document's text."""
        return merging_text([part.answered for part in self.parts])

    @property
    def merging_digest(self) -> str:
        """The digest of what the request that merges the parts follows from."""
        return self.digest(self.merging_text)

    @property
    def last(self) -> PartAnswer:
        """The part that was answered last."""
        return max(self.parts, key=lambda part: part.ended_at or 0.0)

    def digest(self, rules: str) -> str:
        """Hash what the answer follows from: the parts' answers, and the rules, or the request, that merge them."""
        parts = [(part.request_id, part.outcome, part.reason) for part in self.parts]
        return hashlib.sha256(json.dumps([parts, rules]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class MergedAnswer:
    """The answer for a whole document, or why there is none."""

    merged_of: str
    output: str | None
    provenance: str | None
    reason: str | None
    request_id: str | None = None
    """The request that has merged the parts; None if rules have."""
    findings: str | None = None
    """What was found out about the answer, as JSON."""


class Wholes:
    """The documents of a job that are asked in parts."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._job = job

    def each(self) -> Iterator[Whole]:
        """Yield every document with all its parts. The caller may record answers meanwhile."""
        wholes = self._connection.execute(f"{WHOLES} and parts order by whole_no", (self._job,)).fetchall()
        yield from filter(None, map(self._whole, wholes))

    def one(self, doc_id: str) -> Whole | None:
        """Read a document with all its parts. Returns None unless the ledger has all parts of it."""
        row = self._connection.execute(f"{WHOLES} and doc_id = ?", (self._job, doc_id)).fetchone()
        return self._whole(row) if row else None

    def _whole(self, row: tuple[int, str, str, str | None, int]) -> Whole | None:
        whole_no, doc_id, source, merged_of, total = row
        rows = self._connection.execute(PARTS, (self._job, doc_id)) if total else ()
        parts = part_answers(rows, total)
        return Whole(whole_no, doc_id, source, merged_of, parts) if parts and len(parts) == total else None

    def merging(self, whole: Whole) -> MergingAnswer | None:
        """Look up the request that merges a document's parts. Returns None if there is none yet."""
        row = self._connection.execute(MERGING, (self._job, merging_id(whole.doc_id))).fetchone()
        if row is None:
            return None
        of, max_tokens, outcome, *rest = row
        return MergingAnswer(of, max_tokens, outcome and Outcome(outcome), *rest)

    def failed_merging(self, outcomes: Iterable[Outcome]) -> list[DocumentRef]:
        """List the documents whose merging ended in one of the outcomes."""
        rows = self._connection.execute(
            "select d.whole, d.source from documents d left join requests r using (request_no)"
            " where d.job = ? and d.merges"
            " and coalesce(d.outcome, r.outcome) in (select value from json_each(?)) order by 1",
            (self._job, json.dumps(sorted(outcomes))),
        )
        return [DocumentRef(doc_id, source) for doc_id, source in rows]

    def admit_merging(self, whole: Whole, request: MergingRequest, *, run_no: int) -> int:
        """Make the merging of a document's parts work of a run, inside a transaction. Returns its sequence number."""
        seq = self._ledger.next_seq()
        if request.again:
            self._connection.execute(
                "update requests set outcome = null, reason = null, attempt_no = null, turn = null where request_id = ?"
                " and outcome != 'succeeded'",
                (request.request_id,),
            )
        if request.request_id and request.tokens:
            tokens = request.tokens
            self._connection.execute(
                ADMIT_REQUEST,
                (
                    request.request_id,
                    request.model,
                    tokens.counted,
                    tokens.text_class,
                    request.asks_for,
                    request.form_no,
                ),
            )
        named = {
            "job": self._job,
            "doc_id": merging_id(whole.doc_id),
            "source": whole.source,
            "whole": whole.doc_id,
            "of": request.of,
            "request_id": request.request_id,
            "max_tokens": request.max_tokens,
            "outcome": Outcome.UNREADABLE if request.reason else None,
            "reason": request.reason,
            "run_no": run_no,
            "seq": seq,
        }
        self._connection.execute(ADMIT_MERGING, named)
        return seq

    def forget_pending(self, doc_id: str) -> None:
        """Forget the merging request of a document if it has no answer, inside a transaction."""
        self._connection.execute(
            "delete from documents where job = ? and doc_id = ? and merges and outcome is null"
            " and (select outcome from requests r where r.request_no = documents.request_no) is null",
            (self._job, merging_id(doc_id)),
        )

    def any_merging(self) -> bool:
        """Whether requests have merged, or were to merge, the parts of any document."""
        query = "select exists (select 1 from documents where job = ? and merges)"
        return bool(self._connection.execute(query, (self._job,)).fetchone()[0])

    def forget_merging(self) -> None:
        """Forget what requests have merged, inside a transaction. The answers to the requests stay."""
        self._connection.execute("delete from documents where job = ? and merges", (self._job,))

    def record(self, whole: Whole, answer: MergedAnswer, last: PartAnswer | MergingAnswer) -> None:
        """Record the answer of a document, inside a transaction. `last` is the answer that was the last one needed."""
        seq = self._ledger.next_seq()
        self._connection.execute(
            "update wholes set merged_of = ?, request_id = ?, output = ?, provenance = ?, reason = ?, findings = ?,"
            # What replaces an answer is never told to be older: the output keeps newer rows that the ledger lacks.
            " run_no = ?, model = ?, finished_at = max(coalesce(finished_at, ?), coalesce(?, finished_at)),"
            " seq = ?, row_seq = ?"
            " where whole_no = ?",
            (
                answer.merged_of, answer.request_id, answer.output, answer.provenance, answer.reason, answer.findings,
                last.run_no, last.model, last.ended_at, last.ended_at, seq, seq, whole.whole_no,
            ),
        )  # fmt: skip


def part_answers(rows: Iterable[Sequence[Any]], total: int) -> list[PartAnswer]:
    """Read the parts of a document that is cut into so many now, in their order, from the columns of `PARTS`.

    Parts of an earlier text have another total.
    """
    found = []
    for part_id, note, outcome, *rest in rows:
        name = segment_name(part_id)
        if name and name.total == total:
            found.append(PartAnswer(name.number, total, note, outcome and Outcome(outcome), *rest))
    return sorted(found, key=lambda part: part.number)
