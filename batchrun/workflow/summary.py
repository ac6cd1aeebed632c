"""The end of a submit: the run's last state, its rows in the output, and its summary, at once and for later."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from batchrun.errors import BatchrunError, ExitCode
from batchrun.estimation.estimate import Estimate
from batchrun.execution.failure_messages import BudgetReached
from batchrun.execution.halt import Interrupted
from batchrun.execution.stop_conditions import OutOfTime
from batchrun.outcome import Outcome
from batchrun.planning.planner import Planner
from batchrun.quality.checks.result import CheckResult, any_fails
from batchrun.quality.evaluate import GoldScores
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration, calibration_of
from batchrun.store.ledger.cascades import Escalations, escalations
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_plans import (
    RememberedRun,
    remember_ending,
    remember_plan,
    remembered_run,
    run_outcomes,
)
from batchrun.store.ledger.runs import Runs
from batchrun.store.ledger.sqlite_errors import StoreFull
from batchrun.store.reports.cache_use import CacheUse, cache_use
from batchrun.store.reports.evidence import RunFindings, run_findings
from batchrun.store.reports.performance import Performance, performance
from batchrun.store.reports.totals import Totals, totals
from batchrun.strategy.plan import Plan
from batchrun.strategy.plan_record import from_json, plan_from_json, to_json
from batchrun.workflow.batch_recovery import publish_finally
from batchrun.workflow.merge_parts import merge_parts
from batchrun.workflow.open_job import OpenJob
from batchrun.workflow.recovery import path_below_root
from batchrun.workflow.run_end import RememberedError, RunEnd
from batchrun.workflow.run_quality import checks_of, gold_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a submit went, as the submit prints it at its end and `status` afterwards."""

    job: str
    simulated: bool
    plan: Plan
    outcomes: Mapping[Outcome | None, int]
    """Counts of all documents that the submit had selected, at its end. The key of pending documents is None."""
    totals: Totals | None
    """The totals of the run. None if nothing had to be done."""
    performance: Performance | None
    """The performance of the run. None if nothing had to be done."""
    cache_use: CacheUse | None
    """What the run read from the cache and wrote to it. None if nothing was cached."""
    findings: RunFindings | None
    """What was found out about the answers of the run. None if nothing had to be done."""
    escalations: Sequence[Escalations]
    """What became of each model's answers in the run. Empty without a cascade."""
    calibration: CascadeCalibration | None
    """The calibration that decided which answers the run took from the first model. None without a threshold."""
    seconds: float
    open_batches: Sequence[Batch]
    """Batches of the job whose results are still to come."""
    awaited_of: Sequence[str]
    """Other jobs in whose open batches some of the documents are."""
    halted: BatchrunError | None
    remaining: Estimate | None
    """The estimate of the documents that a cap left pending. None if no cap did."""
    unpublished: BatchrunError | None
    """Why the rows are not in the output yet."""
    checks: Sequence[CheckResult]
    """What came of the checks of the job, right after the run. Empty if none ran."""
    gold: GoldScores | None
    """How right the answers are by gold labels. None without a run, or if no document of the run has labels."""
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
    rest: Callable[[], Estimate] | None = None,
) -> Summary:
    """Record how the run ended, bring the rows to the output, and return the summary.

    `cut_short` says whether documents are left that the run was meant to have and never got. `rest` estimates those
    documents; the planner is not asked about the run's own documents afterwards.
    """
    merge_parts(opened.ledger, opened.job)
    outcomes = planner.planned.admission.outcomes()
    if isinstance(halted, OutOfTime) and not outcomes.get(None):
        halted = None  # the last answers came while the run was stopping
    exit_code = exit_code_of(outcomes, halted)
    open_batches = Batches(opened.ledger).open(opened.name)
    if open_batches and exit_code in {ExitCode.OK, ExitCode.SOME_FAILED}:
        exit_code = ExitCode.UNFINISHED
    end_run = partial(record_end, opened, run_no, halted, waiting=bool(open_batches), cut_short=cut_short)
    end_run(exit_code)
    unpublished = publish_finally(opened)
    checks = () if isinstance(halted, Interrupted) else checks_of(opened, run_no=run_no, unpublished=unpublished)
    if unpublished and exit_code == ExitCode.OK:
        exit_code = unpublished.exit_code
    if any_fails(checks) and exit_code == ExitCode.OK:
        exit_code = ExitCode.SOME_FAILED
        end_run(exit_code)
        publish_finally(opened)  # for the exit code, which is in the output too
    end = RunEnd(
        exit_code=exit_code,
        seconds=time.time() - started_at,
        outcomes=without_pending(outcomes),
        pending=outcomes.get(None, 0),
        open_batches=tuple(batch.batch_no for batch in open_batches),
        awaited_of=tuple(planner.planned.awaited_of()),  # before `rest` narrows the plan to other documents
        halted=RememberedError.of(halted),
        remaining=remaining_estimate(planner, plan, rest) if isinstance(halted, BudgetReached) else None,
        unpublished=RememberedError.of(unpublished),
        cache_use=cache_use(opened.ledger, run_no, price_of=opened.prices.find) if run_no is not None else None,
        checks=checks,
        gold=None if run_no is None or isinstance(halted, Interrupted) else gold_of(opened, run_no),
    )
    return replace(remember(opened, plan, end, run_no=run_no), halted=halted, unpublished=unpublished)


def record_end(
    opened: OpenJob,
    run_no: int | None,
    halted: BatchrunError | None,
    exit_code: ExitCode,
    *,
    waiting: bool,
    cut_short: bool,
) -> None:
    """Record how a run ended, if there was one."""
    if run_no is None:
        return
    runs = Runs(opened.ledger)
    with opened.ledger.transaction():
        runs.recover(opened.name)
        state = final_state(runs, run_no, halted, waiting=waiting, cut_short=cut_short)
        runs.end_run(run_no, state=state, exit_code=exit_code, note=str(halted) if halted else None)


def remaining_estimate(planner: Planner, plan: Plan, rest: Callable[[], Estimate] | None) -> Estimate:
    """Estimate what a cap left pending, together with the rest that the run never got."""
    remaining = planner.remaining_estimate(plan.choice.route)
    return remaining.plus(rest()) if rest else remaining


def without_pending(outcomes: Mapping[Outcome | None, int]) -> Mapping[Outcome, int]:
    """Keep the counts of documents that have an outcome."""
    return {outcome: count for outcome, count in outcomes.items() if outcome is not None}


def remember(opened: OpenJob, plan: Plan, end: RunEnd, *, run_no: int | None) -> Summary:
    """Record how a run ended, and return the summary as everybody reads it from the ledger afterwards.

    Without a run there is nothing to record: `run_no` is None if no document had to be sent. On a full disk the ending
    is not recorded, and is shown all the same.
    """
    ledger, database = opened.ledger, opened.paths.database
    if run_no is not None:
        with contextlib.suppress(StoreFull):
            with ledger.transaction():
                remember_plan(ledger, run_no, to_json(plan), database=path_below_root(opened.job, database))
                remember_ending(ledger, run_no, to_json(end))
            summary = summary_of(ledger, run_no, root=opened.job.root)
            assert summary is not None, "the run has just been remembered"
            return summary
    return _summary(ledger, plan, end, run_no=run_no, job=opened.name, simulated=opened.simulated, database=database)


def summary_of(ledger: Ledger, run_no: int, *, root: Path) -> Summary | None:
    """Return the summary of any run that is not running, from the ledger alone; `root` is the project's folder.

    Returns None for a run that an earlier version began. Raises BrokenRecord.
    """
    run = remembered_run(ledger, run_no)
    if run is None:
        return None
    return _summary(
        ledger,
        plan_from_json(run.plan),
        end_of(ledger, run),
        run_no=run_no,
        job=run.job,
        simulated=run.simulated,
        database=root / run.database,
    )


def end_of(ledger: Ledger, run: RememberedRun) -> RunEnd:
    """Return how a run ended, or how it stands if its process died or batches were collected or canceled since."""
    if run.ending is not None:
        end = from_json(RunEnd, run.ending)
        batches = Batches(ledger)
        if all(batches.one(batch_no).state.open for batch_no in end.open_batches):
            return end
    outcomes = run_outcomes(ledger, run.run_no)
    open_batches = [batch.batch_no for batch in Batches(ledger).of_run(run.run_no) if batch.state.open]
    return RunEnd(
        exit_code=ExitCode.UNFINISHED if open_batches else exit_code_of(outcomes, None),
        seconds=run.last_change_at - run.started_at,
        outcomes=without_pending(outcomes),
        pending=outcomes.get(None, 0),
        open_batches=tuple(open_batches),
    )


def _summary(
    ledger: Ledger, plan: Plan, end: RunEnd, *, run_no: int | None, job: str, simulated: bool, database: Path
) -> Summary:
    """Join what is remembered with what the ledger adds up."""
    batches = Batches(ledger)
    return Summary(
        job=job,
        simulated=simulated,
        plan=plan,
        outcomes=end.all_outcomes,
        totals=totals(ledger, run_no) if run_no is not None else None,
        performance=performance(ledger, run_no) if run_no is not None else None,
        cache_use=end.cache_use,
        findings=run_findings(ledger, run_no) if run_no is not None else None,
        escalations=escalations(ledger, run_no, plan.earlier_models) if run_no is not None else (),
        calibration=calibration_of(ledger, plan.calibration_no) if run_no is not None else None,
        seconds=end.seconds,
        open_batches=[batches.one(batch_no) for batch_no in end.open_batches],
        awaited_of=end.awaited_of,
        halted=end.halted.error() if end.halted else None,
        remaining=end.remaining,
        unpublished=end.unpublished.error() if end.unpublished else None,
        checks=end.checks,
        gold=end.gold,
        exit_code=end.exit_code,
        database=database,
    )


def exit_code_of(outcomes: Mapping[Outcome | None, int], halted: BatchrunError | None) -> ExitCode:
    """Return what a script sees: why the run halted, else whether every selected document has what it should have."""
    if halted:
        return halted.exit_code
    if outcomes.get(None):
        return ExitCode.UNFINISHED
    failed = sum(count for outcome, count in outcomes.items() if outcome is not None and outcome.failed)
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def final_state(
    runs: Runs, run_no: int, halted: BatchrunError | None, *, waiting: bool, cut_short: bool = False
) -> str:
    """Return the state of a run at its end. A finished run has an outcome for every document ever admitted to it."""
    if not cut_short and not runs.unsettled(run_no):
        return "finished"
    if halted is None and waiting:
        return "waiting"
    return "interrupted" if isinstance(halted, Interrupted) else "stopped"
