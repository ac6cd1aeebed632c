"""A run in progress, from the ledger alone: outcomes, the time that is left, the limits in use, and the last errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics
from batchrun.store.ledger.run_plans import run_outcomes
from batchrun.store.reports.utilisation import MINUTE_S, Shares, highest, utilisation

MEASURED_S, LEAST_MEASURED_S, LOOKED_AT = 120.0, 5.0, 10_000
"""The last seconds whose speed tells when a run ends, the seconds after which the speed tells anything, and the number
of the latest attempts among which the last errors are looked for."""
ERRORS = f"""
select ended_at, doc_id, coalesce(outcome, cause, state) as what, coalesce(reason, message, '') as why from (
    select * from attempts indexed by attempts_run where run_no = ? order by attempt_no desc limit {LOOKED_AT})
where state in ('failed', 'unknown') or outcome <> '{Outcome.SUCCEEDED}' limit ?
"""
SPEED = """
select min(started_at), count(outcome) from attempts indexed by attempts_run
where run_no = ? and latency_s is not null and ended_at > ?
"""


class LastError(NamedTuple):
    """An attempt that brought no row. `what` is its outcome, or why there is no reply, such as `http_529`."""

    ended_at: float | None
    doc_id: str
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """How a run in progress stands."""

    outcomes: Mapping[Outcome | None, int]
    """The documents of the run by outcome; None stands for pending."""
    left_s: float | None
    """The seconds until the end at the speed of the last minutes. None if this is not known yet, or nothing pends."""
    shares: Shares
    """The share of each limit that the last minute or two have used."""
    errors: Sequence[LastError]
    """The latest first."""


def live_run(ledger: Ledger, run_no: int, *, now: float, errors: int = 3) -> LiveRun:
    """Look at a run in progress. `now` is in seconds since 1970."""
    outcomes = run_outcomes(ledger, run_no)
    return LiveRun(
        outcomes=outcomes,
        left_s=_left_s(ledger, run_no, pending=outcomes.get(None, 0), now=now),
        shares=recent_shares(ledger, run_no, now=now),
        errors=[LastError(*row) for row in ledger.connection.execute(ERRORS, (run_no, errors))],
    )


def recent_shares(ledger: Ledger, run_no: int, *, now: float) -> Shares:
    """Return the share of each limit that a run has used since the beginning of the minute before this one."""
    since = now // MINUTE_S - 1
    uses = [use for use in RunMetrics(ledger).minutes(run_no) if use.minute >= since]
    return highest(list(utilisation(uses, began_at=since * MINUTE_S, ended_at=now).values()))


def _left_s(ledger: Ledger, run_no: int, *, pending: int, now: float) -> float | None:
    since, settled = ledger.connection.execute(SPEED, (run_no, now - MEASURED_S)).fetchone()
    if not (pending and settled) or now - since < LEAST_MEASURED_S:
        return None
    return float(pending * (now - since) / settled)
