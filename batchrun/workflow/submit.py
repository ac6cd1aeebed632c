"""The story of a submit: source -> plan -> budget -> execute -> summary.

Planning is free and writes nothing. From `admit` on, every step is in the ledger before its effect, so that the same
command continues after any failure.
"""

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchrun.budget.caps import Caps, remaining_nusd, remaining_tokens
from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import BatchrunError, Refused
from batchrun.events import RunStarted
from batchrun.execution.open_files import most_connections
from batchrun.execution.run import Caller, execute
from batchrun.execution.run_context import RunKey
from batchrun.execution.stop_conditions import Tolerance
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.planning.planner import ONLINE, Planner
from batchrun.planning.selection import Selection
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.forms import form_number
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.run_plans import remember_plan
from batchrun.store.ledger.runs import Runs
from batchrun.strategy.plan import Plan
from batchrun.strategy.plan_record import to_json
from batchrun.strategy.refusal import too_small
from batchrun.strategy.routes import Route, switch_before_s
from batchrun.workflow.batch_recovery import drive_open_batches, publish_finally
from batchrun.workflow.open_job import OpenJob, SubmitOptions
from batchrun.workflow.recovery import path_below_root
from batchrun.workflow.summary import Summary, conclude

if TYPE_CHECKING:
    from batchrun.execution.send_setup import SendSetup


async def submit(
    opened: OpenJob,
    selection: Selection,
    caller: Caller,
    *,
    show: Callable[[Plan], None],
    options: SubmitOptions | None = None,
    counts: bool = False,
) -> Summary:
    """Plan the job, refuse or execute the plan, and publish the rows.

    Raises Refused and other BatchrunErrors with nothing sent. What goes wrong after the first request is in the
    summary: everything answered is saved. `counts` says whether the API is asked, free of charge, for the tokens of a
    few requests to plan with.
    """
    options = options or SubmitOptions()
    planner = opened.planner(options)
    plan = await planner.plan(selection, counter=caller.provider if counts else None, online=options.online or ONLINE)
    show(plan)
    return await carry_out(opened, planner, plan, caller, options)


async def carry_out(
    opened: OpenJob,
    planner: Planner,
    plan: Plan,
    caller: Caller,
    options: SubmitOptions,
    *,
    also: Callable[[int], None] | None = None,
) -> Summary:
    """Bring a plan to its end, unless the plan is refused. `admit` explains `also`."""
    await refuse(opened, opened.refusal(plan), caller)
    started_at = time.time()
    sent = await send(opened, planner, plan, caller, options, also=also)
    return conclude(opened, planner, plan, run_no=sent.run_no, halted=sent.halted, started_at=started_at)


async def refuse(opened: OpenJob, refused: Refused | None, caller: Caller) -> None:
    """Raise the refusal of a plan, if there is one."""
    if refused is None:
        return
    if open_batches := Batches(opened.ledger).open(opened.name):
        # Batches are paid for, or about to be: what has ended is collected whatever is refused.
        run_no = open_batches[-1].run_no
        halted = await drive_open_batches(opened, run_no, caller, waits=False)
        publish_finally(opened)
        raise halted or refused
    raise refused


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a plan's documents, before the run is concluded."""

    run_no: int | None
    """None if there was nothing to admit."""
    halted: BatchrunError | None


async def send(
    opened: OpenJob,
    planner: Planner,
    plan: Plan,
    caller: Caller,
    options: SubmitOptions,
    *,
    also: Callable[[int], None] | None = None,
) -> Sent:
    """Admit the plan's documents to the run, and execute it."""
    check_output(opened)
    open_batches = Batches(opened.ledger).open(opened.name)
    travels = bool(plan.requests or open_batches)
    if travels:
        caller.provider.check()
    halted, run = None, None
    if planner.planned.admission.anything() or planner.anything_to_merge():
        run = admit(opened, planner, plan, also=also)
    elif planner.anything_to_record():
        with opened.ledger.transaction():
            planner.record()
    if run and travels:
        caller.listener(run_started(opened, plan, run))
        halted = await execute_plan(opened, planner, plan, run, caller, options)
    elif run and planner.merger:  # other jobs, or this one before, have the answers already
        with opened.ledger.transaction():
            planner.merger.admit(opened.ledger, run.run_no)
    elif open_batches:  # their documents have changed or gone since
        run_no = open_batches[-1].run_no
        halted = await drive_open_batches(opened, run_no, caller, waits=options.waits)
    return Sent(run.run_no if run else None, halted)


def check_output(opened: OpenJob) -> None:
    """Find out before anything is paid that the rows will not fit. Who has the file open delays only rows."""
    with contextlib.suppress(LockedByAnother):
        opened.output().check()


def admit(opened: OpenJob, planner: Planner, plan: Plan, *, also: Callable[[int], None] | None = None) -> RunKey:
    """Commit the intent: the run, its requests and its documents, in one transaction.

    After a plan of everything, documents are set aside that an earlier part of the run left pending and that are gone
    from the source. `also` is called with the run's number, inside the transaction.
    """
    ledger, runs, estimate = opened.ledger, Runs(opened.ledger), plan.estimate.cost_nusd
    run_plan = RunPlan(
        job=opened.name,
        job_path=path_below_root(opened.job),
        fingerprint=planner.fingerprint,
        model=opened.price.name,
        simulated=opened.simulated,
        documents=plan.documents,
        to_send=plan.to_send,
        cap_nusd=plan.cap_nusd,
        cap_tokens=plan.caps.tokens.limit if plan.caps.tokens else None,
        estimate_nusd=round(estimate.mean),
        estimate_low_nusd=round(estimate.low),
        estimate_high_nusd=round(estimate.high),
        estimate_input_tokens=round(plan.estimate.input.mean),
        estimate_output_tokens=round(plan.estimate.output.mean),
        route=plan.choice.route,
        deadline_s=plan.deadline_s,
        tags=plan.tags,
    )
    with ledger.transaction():
        run = runs.open_run(opened.name, planner.fingerprint)
        if run:
            run_no = run.run_no
            runs.continue_run(run_no, run_plan)
        else:
            run_no = runs.begin_run(run_plan, run_id=new_run_id(runs, simulated=opened.simulated))
        form_no = form_number(ledger, opened.job.form, prompt_sha=planner.template.prompt_sha)
        since = planner.planned.admission.admit(run_no=run_no, form_no=form_no, restarts=planner.reasks_all)
        if planner.everything:
            planner.planned.admission.set_aside_gone(run_no=run_no)
        planner.record()
        if also:
            also(run_no)
        remember_plan(ledger, run_no, to_json(plan), database=path_below_root(opened.job, opened.paths.database))
    return RunKey(run_no, since)


def run_started(opened: OpenJob, plan: Plan, run: RunKey) -> RunStarted:
    """Return the event that begins a run."""
    begun = Runs(opened.ledger).one(run.run_no)
    return RunStarted(
        run_id=begun.run_id,
        job=opened.name,
        model=opened.price.name,
        to_send=plan.unsettled + plan.merging,
        route=plan.choice.route,
        resumed=plan.continues is not None,
        spent_nusd=plan.spent_nusd,
        cap_nusd=plan.cap_nusd,
        tags=plan.tags,
        started_at=begun.started_at,
        deadline_at=begun.started_at + plan.deadline_s if plan.deadline_s is not None else None,
    )


def new_run_id(runs: Runs, *, simulated: bool) -> str:
    """Draw a short id that no run has yet. The id of a simulated run begins with `sim-`."""
    while True:
        run_id = ("sim-" if simulated else "") + secrets.token_hex(2)
        if not runs.knows_run(run_id):
            return run_id


async def execute_plan(
    opened: OpenJob, planner: Planner, plan: Plan, run: RunKey, caller: Caller, options: SubmitOptions
) -> BatchrunError | None:
    """Execute the run of a plan. Returns why the run halted, or None when the run went through."""
    context = opened.run_context(run, caller.listener, waits=options.waits)
    return await execute(
        replace(context, batch=options.paced(context.batch)),
        send_setup(opened, planner, plan, run),
        caller=caller,
        output=opened.output(Ledger.read(opened.paths.ledger)),
        tolerance=tolerance_of(opened, options),
    )


def send_setup(opened: OpenJob, planner: Planner, plan: Plan, run: RunKey) -> "SendSetup":
    """Collect what is needed to send the documents of a plan."""
    from batchrun.execution.document_reader import DocumentReader
    from batchrun.execution.send_setup import SendSetup

    ledger, prepare, merger = Ledger.read(opened.paths.ledger), planner.workers.prepare, planner.merger
    return SendSetup(
        route=plan.choice.route,
        reader=DocumentReader(
            ledger,
            merger.preparing(ledger, prepare) if merger else prepare,
            opened.chain,
            texts_at_once=opened.source.page,
            has_evidence=opened.job.form.has_evidence,
        ),
        estimator=planner.estimator,
        chain=opened.chain,
        concurrency=most_concurrent(opened),
        caps=caps_in_force(plan),
        leases=opened.leases,
        form=opened.job.form,
        folder=opened.paths.ledger.parent,
        max_at_risk_nusd=opened.job.spec.run.max_at_risk_nusd,
        killed_before=Runs(opened.ledger).was_killed(run.run_no),
        merge=merger.admit if merger else None,
        switch_at=switching(opened, plan, run),
        cache_breakpoints=cache_breakpoints(planner, plan),
        document_ttls={route: one.document_ttl for route, one in plan.caching.items() if one.document_ttl},
    )


def most_concurrent(opened: OpenJob) -> int:
    """Return how many requests may be in progress at once: no more than the limit of open files has room for.

    Each model of the chain has connections of its own, and a simulator in this process has the other ends.
    """
    files_each = len(opened.chain.models) * (2 if opened.simulated else 1)
    return min(opened.job.spec.run.most_concurrent, most_connections(files_each=files_each))


def caps_in_force(plan: Plan) -> Caps:
    """Return the plan's caps. Where a cap is expected to be reached, they say how much the run may cost."""
    if not plan.caps.partial or too_small(plan) is None:
        return plan.caps
    left_nusd, left_tokens = (left(plan.cap_usages, plan.model) for left in (remaining_nusd, remaining_tokens))
    if left_tokens < plan.estimate.upper_tokens:  # the tokens pay for no more than their share of the whole run
        left_nusd = min(left_nusd, plan.estimate.upper_nusd * left_tokens / plan.estimate.upper_tokens)
    return replace(plan.caps, scarce_nusd=plan.spent_nusd + int(left_nusd))


def cache_breakpoints(planner: Planner, plan: Plan) -> dict[Route, CacheBreakpoint]:
    """Return the mark for the prompt cache on each route that has one."""
    prefix = planner.renderer.prefix
    return {route: mark for route, caching in plan.caching.items() if (mark := prefix.mark(caching.ttl))}


def tolerance_of(opened: OpenJob, options: SubmitOptions) -> Tolerance:
    """Return what the run tolerates: the stricter of what the job file and the command say."""
    spec = opened.job.spec
    times = [time_s for time_s in (spec.budget.max_run_time_s, options.max_run_time_s) if time_s is not None]
    return Tolerance(
        fail_fast=spec.run.fail_fast or options.fail_fast,
        max_failure_rate=spec.run.max_failure_rate,
        max_run_time_s=min(times, default=None),
        elapsed_s=options.elapsed_s,
    )


def switching(opened: OpenJob, plan: Plan, run: RunKey) -> float | None:
    """Return when the rest of a batched run has to be streamed, or None if that is never.

    The time is the one for the whole run: what is left shrinks as batches end, and must not move the time away again.
    """
    if plan.deadline_s is None or opened.job.spec.batch.fallback == "none":
        return None
    begun = Runs(opened.ledger).one(run.run_no)
    seconds = begun.to_send * plan.unsettled_s / max(plan.unsettled, 1)
    return begun.started_at + plan.deadline_s - switch_before_s(seconds, deadline_s=plan.deadline_s)
