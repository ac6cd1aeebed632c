"""The way back after a ledger was lost: rows of the output become settled requests again. Nothing is sent."""

from dataclasses import dataclass

from batchrun.errors import BatchrunError, ExitCode
from batchrun.planning.paid_before import PaidBefore
from batchrun.planning.planner import Planner
from batchrun.planning.selection import Selection
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.runs import Runs
from batchrun.workflow.batch_recovery import FINAL_WAIT_S, publish_finally
from batchrun.workflow.open_job import OpenJob
from batchrun.workflow.recovery import path_below_root
from batchrun.workflow.submit import new_run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What was adopted."""

    documents: int
    """How many documents have their answer in the ledger now."""
    to_send: int
    """How many documents a submit still sends."""
    unpublished: BatchrunError | None
    """Why the output could not be brought up to the ledger yet."""


async def adopt_rows(opened: OpenJob) -> Adoption:
    """Take the rows of requests that a submit would send, and that the ledger does not know, into the ledger.

    The call is safe to repeat: what was adopted is known from then on. Raises LockedByAnother and what planning raises.
    """
    opened.output().check()
    planner = opened.planner()
    plan = await planner.plan(Selection())
    documents = _adopt(opened, planner)
    unpublished = publish_finally(opened) if documents else None
    return Adoption(documents=documents, to_send=plan.to_send - plan.paid_before, unpublished=unpublished)


def _adopt(opened: OpenJob, planner: Planner) -> int:
    """Adopt the rows that the plan has marked, in transactions of a bounded size. Returns how many documents got one.

    The documents belong to the run that a submit would continue, or else to a run that has sent nothing.
    """
    ledger, runs, paid, documents = opened.ledger, Runs(opened.ledger), PaidBefore(opened.ledger, opened.name), 0
    run = runs.open_run(opened.name, planner.fingerprint)
    run_no = run.run_no if run else None
    with opened.output().stored_rows(wait_s=FINAL_WAIT_S) as rows:
        for request_ids in paid.request_ids() if rows else ():
            with ledger.transaction():
                if run_no is None:
                    run_no = _begin_run(opened, planner)
                for row in rows.rows(request_ids) if rows else ():
                    documents += paid.adopt(row, run_no=run_no)
    return documents


def _begin_run(opened: OpenJob, planner: Planner) -> int:
    """Begin a run that sends nothing, and end the run at once."""
    runs = Runs(opened.ledger)
    nothing = RunPlan(
        job=opened.name,
        job_path=path_below_root(opened.job),
        fingerprint=planner.fingerprint,
        model=opened.price.name,
        simulated=opened.simulated,
        tags=opened.job.spec.job.tags,
    )
    run_no = runs.begin_run(nothing, run_id=new_run_id(runs, simulated=opened.simulated))
    runs.end_run(run_no, state="finished", exit_code=ExitCode.OK, note="adopted rows of the output")
    return run_no
