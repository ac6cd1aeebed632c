"""The end of a submit: the last word on the run, its rows published, and what a person is told."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.errors import BatchrunError, ExitCode
from batchrun.estimation.estimate import Estimate
from batchrun.execution.failure_messages import BudgetReached
from batchrun.execution.halt import Interrupted
from batchrun.execution.stop_conditions import OutOfTime
from batchrun.outcome import Outcome
from batchrun.planning.planner import Planner
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.cascades import Escalations, escalations
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.cache_use import CacheUse, cache_use
from batchrun.store.reports.performance import Performance, performance
from batchrun.store.reports.totals import Totals, totals
from batchrun.strategy.plan import Plan
from batchrun.workflow.batch_recovery import publish_finally
from batchrun.workflow.open_job import OpenJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a submit went."""

    job: str
    simulated: bool
    plan: Plan
    outcomes: Mapping[Outcome | None, int]
    """Of all selected documents, as the ledger has them now; None while pending."""
    totals: Totals | None
    """Of the run; None when nothing had to be done."""
    performance: Performance | None
    """Of the run, like the totals."""
    cache_use: CacheUse | None
    """Of the run; None when nothing was cached."""
    escalations: Sequence[Escalations]
    """What became of each model's answers in the run; nothing without a cascade."""
    seconds: float
    open_batches: Sequence[Batch]
    """Of the job: something is still to come of them."""
    awaited_of: Sequence[str]
    """Other jobs in whose open batches some of the documents are."""
    halted: BatchrunError | None
    remaining: Estimate | None
    """Of the documents that a cap left pending; None when none did."""
    unpublished: BatchrunError | None
    """Why the rows are not in the output yet."""
    exit_code: ExitCode
    database: Path


def conclude(
    opened: OpenJob,
    planner: Planner,
    plan: Plan,
    *,
    run_no: int | None,
    halted: BatchrunError | None,
    started_at: float,
    cut_short: bool = False,
) -> Summary:
    """Write the last word on the run, bring the rows to the output, and say how it went.

    `cut_short`: whether documents are left that the run was to have and was never given.
    """
    outcomes = planner.planned.outcomes()
    if isinstance(halted, OutOfTime) and not outcomes.get(None):
        halted = None  # the last answers came while it was stopping
    exit_code = exit_code_of(outcomes, halted)
    open_batches = Batches(opened.ledger).open(opened.name)
    if open_batches and exit_code in {ExitCode.OK, ExitCode.SOME_FAILED}:
        exit_code = ExitCode.UNFINISHED
    if run_no is not None:
        with opened.ledger.transaction():
            opened.ledger.recover(opened.name)
            opened.ledger.end_run(
                run_no,
                state=final_state(opened.ledger, run_no, halted, waiting=bool(open_batches), cut_short=cut_short),
                exit_code=exit_code,
                note=str(halted) if halted else None,
            )
    unpublished = publish_finally(opened.store)
    if unpublished and exit_code == ExitCode.OK:
        exit_code = unpublished.exit_code
    return Summary(
        job=opened.name,
        simulated=opened.simulated,
        plan=plan,
        outcomes=outcomes,
        totals=totals(opened.ledger, run_no) if run_no is not None else None,
        performance=performance(opened.ledger, run_no) if run_no is not None else None,
        cache_use=cache_use(opened.ledger, run_no, price_of=opened.prices.prices.get) if run_no is not None else None,
        escalations=escalations(opened.ledger, run_no, opened.chain) if run_no is not None else (),
        seconds=time.time() - started_at,
        open_batches=open_batches,
        awaited_of=planner.planned.awaited_of(),
        halted=halted,
        remaining=planner.remaining_estimate(plan.choice.route) if isinstance(halted, BudgetReached) else None,
        unpublished=unpublished,
        exit_code=exit_code,
        database=opened.paths.database,
    )


def exit_code_of(outcomes: Mapping[Outcome | None, int], halted: BatchrunError | None) -> ExitCode:
    """What a script sees: why the run halted, else whether every selected document has what it should have."""
    if halted:
        return halted.exit_code
    if outcomes.get(None):
        return ExitCode.UNFINISHED
    failed = sum(count for outcome, count in outcomes.items() if outcome is not None and outcome.failed)
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def final_state(
    ledger: Ledger, run_no: int, halted: BatchrunError | None, *, waiting: bool, cut_short: bool = False
) -> str:
    """A run is finished when every document that was ever admitted to it has an outcome, and none is left."""
    if not cut_short and not ledger.unfinished(run_no):
        return "finished"
    if halted is None and waiting:
        return "waiting"
    return "interrupted" if isinstance(halted, Interrupted) else "stopped"
