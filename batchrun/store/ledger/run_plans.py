"""What the ledger remembers of a run for its summary: the plan, and how the run ended, both as JSON."""

from dataclasses import dataclass

from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class RememberedRun:
    """A run with what is remembered of it; times in seconds since 1970."""

    run_no: int
    job: str
    simulated: bool
    started_at: float
    last_change_at: float
    """When the run ended, or when its last attempt did if the run never came to its end."""
    plan: str
    """The plan as JSON."""
    database: str
    """The file of the rows, as a path below the project if the file is there."""
    ending: str | None
    """How the run ended, as JSON; None if the run has not ended, or if one of its attempts ended afterwards."""


def remember_plan(ledger: Ledger, run_no: int, plan: str, *, database: str) -> None:
    """Keep the plan that a run carries out from here on, inside the caller's transaction. An earlier ending is lost."""
    ledger.connection.execute(
        "insert or replace into run_plans (run_no, plan, database) values (?, ?, ?)", (run_no, plan, database)
    )


def remember_ending(ledger: Ledger, run_no: int, ending: str) -> None:
    """Keep how a run with a remembered plan ended, inside the caller's transaction."""
    ledger.connection.execute(
        "update run_plans set ending = ?, ended_seq = (select value from meta where key = 'sequence') where run_no = ?",
        (ending, run_no),
    )


def remembered_run(ledger: Ledger, run_no: int) -> RememberedRun | None:
    """Look a run up. Returns None for a run of which no plan is remembered: an earlier version began the run."""
    row = ledger.connection.execute(
        "select job, simulated, started_at, coalesce(ended_at,"
        " (select max(a.ended_at) from attempts a where a.run_no = runs.run_no), started_at), plan, database,"
        " iif(exists (select 1 from attempts a where a.run_no = runs.run_no and a.seq > ended_seq), null, ending)"
        " from runs join run_plans using (run_no) where run_no = ?",
        (run_no,),
    ).fetchone()
    if row is None:
        return None
    job, simulated, *others = row
    return RememberedRun(run_no, job, bool(simulated), *others)


def run_outcomes(ledger: Ledger, run_no: int) -> dict[Outcome | None, int]:
    """Count the documents of a run by outcome; None stands for pending."""
    rows = ledger.connection.execute(
        "select coalesce(d.outcome, r.outcome), count(*) from documents d left join requests r using (request_no)"
        " where d.run_no = ? group by 1",
        (run_no,),
    )
    return {outcome and Outcome(outcome): count for outcome, count in rows}
