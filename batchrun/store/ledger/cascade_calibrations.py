"""The calibrations of cascades: which documents both models are asked about, and what the answers have shown."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.statistics.audit import CascadeThreshold
from batchrun.store.ledger.ledger import Ledger

COLUMNS = (
    "calibration_no, max_difference, seed, ended_at is not null, coalesce(asked, 0), below, coalesce(accepted, 0),"
    " coalesce(differing, 0), at_most"
)
SELECT = f"select {COLUMNS} from cascade_calibrations"


@dataclass(frozen=True, slots=True)
class CascadeCalibration:
    """A calibration of a cascade, from the drawing of its documents on."""

    calibration_no: int
    max_difference: float
    """The largest share of accepted answers that may differ from the last model's, as the job file states it."""
    seed: int
    ended: bool
    """Whether both models were asked about all documents of the sample, so that the result counts."""
    asked: int
    """How many documents both models were asked about. 0 before the end, like the other counts."""
    below: float | None
    """Answers with a score below this threshold are accepted. None before the end, and if no threshold holds."""
    accepted: int
    """How many of the documents that both models were asked about are below the threshold."""
    differing: int
    """In how many of these documents the answers differ."""
    at_most: float | None
    """The upper bound of the share of accepted answers that differ, with 95% confidence."""

    @property
    def share(self) -> float:
        """The share of the first model's answers that is accepted."""
        return self.accepted / max(self.asked, 1)


@dataclass(frozen=True, slots=True)
class AcceptedAnswers:
    """What a run took from the first model of a calibrated cascade."""

    calibration: CascadeCalibration
    documents: int
    """The documents of the run whose answer is the first model's, because its score is below the threshold."""
    uncovered: int
    """How many of these documents were added or changed after the calibration: it promises nothing for them."""


class CascadeCalibrations:
    """The calibrations of one job's cascade; methods that write belong inside `transaction()`."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._connection = ledger.connection
        self._job = job

    def latest(self, settings: str) -> CascadeCalibration | None:
        """Find the newest calibration with these settings. Returns None if none has begun."""
        row = self._connection.execute(
            f"{SELECT} where job = ? and settings = ? order by calibration_no desc limit 1", (self._job, settings)
        ).fetchone()
        return _of(row) if row else None

    def begin(
        self, settings: str, max_difference: float, seed: int, documents: Iterable[tuple[str, str, bool]]
    ) -> None:
        """Remember the documents to send, each by id and hash of the content, and whether a document was drawn."""
        number = self._connection.execute(
            "insert into cascade_calibrations (job, settings, max_difference, seed, drawn_at) values (?, ?, ?, ?, ?)",
            (self._job, settings, max_difference, seed, time.time()),
        ).lastrowid
        rows = ((number, *document) for document in documents)
        self._connection.executemany("insert into cascade_calibration_documents values (?, ?, ?, ?)", rows)

    def drawn(self, calibration: CascadeCalibration) -> list[str]:
        """List the ids of the documents that both models are asked about."""
        rows = self._connection.execute(
            "select doc_id from cascade_calibration_documents where calibration_no = ? and drawn order by 1",
            (calibration.calibration_no,),
        )
        return [doc_id for (doc_id,) in rows]

    def end(self, calibration: CascadeCalibration, asked: int, found: CascadeThreshold | None) -> CascadeCalibration:
        """Record what a calibration has found; None if no threshold holds. Returns the calibration with its end."""
        below, accepted, differing, at_most = (
            (found.below, found.calibrated, found.differing, found.at_most) if found else (None, 0, 0, None)
        )
        row = self._connection.execute(
            "update cascade_calibrations set asked = ?, below = ?, accepted = ?, differing = ?, at_most = ?,"
            f" ended_at = ? where calibration_no = ? returning {COLUMNS}",
            (asked, below, accepted, differing, at_most, time.time(), calibration.calibration_no),
        ).fetchone()
        return _of(row)


def calibration_of(ledger: Ledger, calibration_no: int | None) -> CascadeCalibration | None:
    """Read a calibration by its number. Returns None if there is none."""
    row = ledger.connection.execute(f"{SELECT} where calibration_no = ?", (calibration_no,)).fetchone()
    return _of(row) if row else None


def accepted_answers(ledger: Ledger, run_no: int, calibration_no: int | None, model: str) -> AcceptedAnswers | None:
    """Count what a run took from the first model of a calibrated cascade. Returns None if there is no calibration."""
    if (calibration := calibration_of(ledger, calibration_no)) is None:
        return None
    taken, covered = ledger.connection.execute(
        "select count(*), count(c.doc_id) from documents d join requests r using (request_no)"
        " left join attempts a on a.attempt_no = r.attempt_no"
        " left join cascade_calibration_documents c on c.calibration_no = ? and c.doc_id = d.doc_id"
        "  and c.content_sha = d.content_sha"
        " where d.run_no = ? and r.model = ? and r.outcome = 'succeeded'"
        " and (a.escalated is null or a.job != d.job)",
        (calibration_no, run_no, model),
    ).fetchone()
    return AcceptedAnswers(calibration, taken, taken - covered)


def _of(row: Sequence[Any]) -> CascadeCalibration:
    number, max_difference, seed, ended, *result = row
    return CascadeCalibration(number, max_difference, seed, bool(ended), *result)
