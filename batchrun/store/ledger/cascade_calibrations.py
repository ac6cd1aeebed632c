"""The calibrations of cascades: which documents both models are asked about, and what the answers have shown."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.statistics.audit import CascadeThreshold
from batchrun.store.ledger.ledger import Ledger

COLUMNS = (
    "calibration_no, max_difference, documents, drawn, ended_at is not null, coalesce(asked, 0), below,"
    " coalesce(accepted, 0), coalesce(differing, 0)"
)
SELECT = f"select {COLUMNS} from cascade_calibrations"


@dataclass(frozen=True, slots=True)
class CascadeCalibration:
    """A calibration of a cascade, from the drawing of its documents on."""

    calibration_no: int
    max_difference: float
    """The largest share of accepted answers that may differ from the last model's, as the job file states it."""
    documents: int
    """How many documents were to be sent when the sample was drawn from them. The result holds for no others."""
    drawn: Sequence[str]
    """The ids of the documents that both models are asked about."""
    ended: bool
    """Whether both models were asked about all drawn documents, so that the result counts."""
    asked: int
    """How many drawn documents the first model has answered. 0 before the end, like the other counts."""
    below: float | None
    """Answers with a score below this threshold are accepted. None before the end, and if no threshold holds."""
    accepted: int
    """How many of the asked documents are below the threshold."""
    differing: int
    """How many of the accepted documents have answers that differ."""


def latest_calibration(ledger: Ledger, job: str, settings: str) -> CascadeCalibration | None:
    """Find the newest calibration of a job's cascade with these settings. Returns None if none has begun."""
    row = ledger.connection.execute(
        f"{SELECT} where job = ? and settings = ? order by calibration_no desc limit 1", (job, settings)
    ).fetchone()
    return _of(row) if row else None


def calibration_of(ledger: Ledger, calibration_no: int | None) -> CascadeCalibration | None:
    """Read a calibration by its number. Returns None if there is none."""
    row = ledger.connection.execute(f"{SELECT} where calibration_no = ?", (calibration_no,)).fetchone()
    return _of(row) if row else None


def begin_calibration(
    ledger: Ledger, job: str, settings: str, *, max_difference: float, documents: int, drawn: Sequence[str]
) -> None:
    """Remember which documents are drawn, and of how many. Belongs inside `transaction()`."""
    ledger.connection.execute(
        "insert into cascade_calibrations (job, settings, max_difference, documents, drawn, drawn_at)"
        " values (?, ?, ?, ?, ?, ?)",
        (job, settings, max_difference, documents, json.dumps(drawn), time.time()),
    )


def end_calibration(
    ledger: Ledger, calibration_no: int, asked: int, found: CascadeThreshold | None
) -> CascadeCalibration:
    """Record what a calibration has found; None if no threshold holds. Belongs inside `transaction()`."""
    result = (found.below, found.calibrated, found.differing) if found else (None, 0, 0)
    row = ledger.connection.execute(
        "update cascade_calibrations set asked = ?, below = ?, accepted = ?, differing = ?, ended_at = ?"
        f" where calibration_no = ? returning {COLUMNS}",
        (asked, *result, time.time(), calibration_no),
    ).fetchone()
    return _of(row)


def _of(row: Sequence[Any]) -> CascadeCalibration:
    number, max_difference, documents, drawn, ended, *result = row
    return CascadeCalibration(number, max_difference, documents, json.loads(drawn), bool(ended), *result)
