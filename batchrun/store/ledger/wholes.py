"""Long documents that are asked in parts: what their parts have answered, and the answer for the whole document."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchrun.documents.split import segment_name
from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger

PARTS = """
select d.doc_id, coalesce(d.outcome, r.outcome), iif(d.outcome is null, r.reason, d.reason), r.request_id, r.output,
    r.model, a.run_no, a.ended_at
from documents d left join requests r using (request_no) left join attempts a on a.attempt_no = r.attempt_no
where d.job = ? and d.whole = ?
"""


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """How one part of a document stands."""

    number: int
    total: int
    outcome: Outcome | None
    reason: str | None
    request_id: str | None
    output: str | None
    """The answer as JSON; None unless the part has succeeded."""
    model: str | None
    run_no: int | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Whole:
    """A document that is asked in parts."""

    whole_no: int
    doc_id: str
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

    def digest(self, rules: str) -> str:
        """Hash what the answer follows from: the parts' answers, and the rules by which they are merged."""
        parts = [(part.request_id, part.outcome, part.reason) for part in self.parts]
        return hashlib.sha256(json.dumps([parts, rules]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class MergedAnswer:
    """The answer for a whole document, or why there is none."""

    merged_of: str
    output: str | None
    provenance: str | None
    reason: str | None


class Wholes:
    """The documents of a job that are asked in parts."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._job = job

    def each(self) -> Iterator[Whole]:
        """Yield every document with all its parts. The caller may record answers meanwhile."""
        wholes = self._connection.execute(
            "select whole_no, doc_id, merged_of, parts from wholes where job = ? and parts order by 1", (self._job,)
        ).fetchall()
        for whole_no, doc_id, merged_of, total in wholes:
            parts = self._parts(doc_id, total)
            if len(parts) == total:
                yield Whole(whole_no, doc_id, merged_of, parts)

    def record(self, whole: Whole, answer: MergedAnswer) -> None:
        """Record the answer of a document, inside a transaction."""
        seq = self._ledger.next_seq()
        last = max(whole.parts, key=lambda part: part.ended_at or 0.0)
        self._connection.execute(
            "update wholes set merged_of = ?, output = ?, provenance = ?, reason = ?, run_no = ?, model = ?,"
            " finished_at = ?, seq = ?, row_seq = ? where whole_no = ?",
            (
                answer.merged_of, answer.output, answer.provenance, answer.reason, last.run_no, last.model,
                last.ended_at, seq, seq, whole.whole_no,
            ),
        )  # fmt: skip

    def _parts(self, doc_id: str, total: int) -> list[PartAnswer]:
        """Read the parts into which the document is cut now; those of an earlier text have another total."""
        found = []
        for part_id, outcome, *rest in self._connection.execute(PARTS, (self._job, doc_id)):
            name = segment_name(part_id)
            if name and name.total == total:
                found.append(PartAnswer(name.number, total, outcome and Outcome(outcome), *rest))
        return sorted(found, key=lambda part: part.number)
