"""Running a job from the command line: the common part of `submit` and `retry`."""

import contextlib
import gc
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from batchrun.catalog.money import dollars, spent_and_held
from batchrun.cli.interrupts import halting_on_signals, run_async
from batchrun.cli.next_command import as_called, typed_command
from batchrun.cli.options import RunFlags
from batchrun.cli.plan_file import online_of, read_plan, stale
from batchrun.cli.views.cascade_text import promise_words
from batchrun.cli.views.format import count, with_bounds
from batchrun.cli.views.log import Log
from batchrun.cli.views.metrics_text import LEAST_SHARE
from batchrun.cli.views.pilot_text import pilot_line, report_as_event, report_as_text
from batchrun.cli.views.plan_json import plan_as_json
from batchrun.cli.views.plan_text import (
    cut_off_words,
    markup_words,
    older_words,
    partly_words,
    parts_words,
    problem_lines,
    reused_words,
    warnings,
)
from batchrun.cli.views.progress import Progress
from batchrun.cli.views.route_text import time_words
from batchrun.cli.views.summary_text import summary_as_text
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import EnvironmentProblem, ExitCode, UsageProblem
from batchrun.escaping import escape_control
from batchrun.events import Event, RunStarted, Tick
from batchrun.execution.run import ProviderFactory
from batchrun.integrations.observers import observers_of
from batchrun.job.provider_sections import ANTHROPIC
from batchrun.planning.selection import Selection
from batchrun.report.report_file import report_files
from batchrun.report.summary_json import calibration_as_json, summary_fields
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.live import recent_shares
from batchrun.store.reports.utilisation import binding
from batchrun.strategy.pilot_report import PilotOptions, PilotReport
from batchrun.strategy.plan import Kind, Plan
from batchrun.strategy.reading_notes import guessed_encodings
from batchrun.workflow.observer import Observer, Observers
from batchrun.workflow.open_job import OpenJob, OpenStore, SubmitOptions, open_job
from batchrun.workflow.run import run_job as run
from batchrun.workflow.summary import Summary

NO_KEY = re.compile("^no (usable )?API key|authentication_error")
"""Why the API did not count, if there is no key or a wrong one."""
QUIET_CODES = {ExitCode.OK, ExitCode.UNFINISHED}
"""The exit codes of which -q says nothing: batches that are in progress are no problem."""


class ShownRun(Observer):
    """A run as the command line shows the run: plan, progress, pilot and calibration, and at last the summary."""

    def __init__(self, opened: OpenJob, path: Path, terminal: Terminal, *, progress: Progress, log: Log) -> None:
        self.opened, self.path, self.terminal, self.log = opened, path, terminal, log
        self.progress = progress
        self.after_pilot = False
        self.run_id: str | None = None

    def planning(self, phase: str, documents: int) -> None:
        """Show how far the planning is."""
        self.progress.planning(phase, documents)

    def planned(self, plan: Plan, first: Plan | None = None, *, what: str = "pilot") -> None:
        """Show the plan."""
        self.progress.close()
        show_plan(plan, self.opened, self.terminal, pilot=first, what=what)

    def calibrated(self, found: CascadeCalibration) -> None:
        """Show, between the calibration of a cascade and the rest, what is promised of the answers that are taken."""
        self.progress.close()
        if self.terminal.json:
            self.terminal.event("calibration", run=self.run_id, **calibration_as_json(found))
        elif not self.terminal.quiet:
            first, *more = promise_words(found, [model.price.name for model in self.opened.chain.models])
            self.terminal.result("\n".join([f"calibrated  {first}", *[f"            {line}" for line in more]]))

    def piloted(self, report: PilotReport) -> None:
        """Show, between the pilot and the rest, what the pilot found and what follows."""
        self.after_pilot = True
        self.progress.close()
        if self.terminal.json:
            report_as_event(report, self.opened, self.terminal)
        elif not self.terminal.quiet:
            self.terminal.result(report_as_text(report, self.opened, self.terminal, self.path))

    def heard(self, event: Event) -> None:
        """Show and log an event."""
        if isinstance(event, RunStarted):
            self.run_id = event.run_id
        if isinstance(event, Tick):
            self.progress.limit = limit_in_use(self.opened)
        self.progress(event)
        self.log(event)


class ApprovedPlan(Observer):
    """A file that `plan -o` wrote: the run begins only if nothing has changed since."""

    def __init__(self, approved: Mapping[str, Any], path: Path, opened: OpenJob) -> None:
        self.approved, self.path, self.opened = approved, path, opened
        self.holds = True

    def planned(self, plan: Plan, first: Plan | None = None, *, what: str = "pilot") -> None:  # noqa: ARG002
        """Raise Refused if something has changed since the plan was written."""
        plan_now = plan_as_json(plan, self.opened, None)
        if self.holds and (changed := stale(self.approved, plan_now, path=self.path)):
            raise changed

    def calibrated(self, found: CascadeCalibration) -> None:  # noqa: ARG002
        """Approve the rest: no file can say how the rest is planned with what the calibration has found."""
        self.holds = False


def run_job(
    path: Path,
    selection: Selection,
    flags: RunFlags,
    *,
    exact: bool = False,
    rescans: bool = False,
    rereads: bool = False,
    reasks_all: bool = False,
    pilot: PilotOptions | None = None,
    plan_file: Path | None = None,
    profile: str | None,
    terminal: Terminal,
) -> int:
    """Plan and run a job, show both, and return the exit code. Without `pilot` no documents come first.

    With a `plan_file` the run does exactly what the file says. Raises Refused if something has changed.
    """
    approved = read_plan(plan_file, job=path) if plan_file else None
    options = submit_options(flags, exact=exact, simulated=profile is not None)
    online = online_of(approved) if approved else None
    counts = approved is None or online is not None  # a plan is made again as it was made
    progress = Progress(terminal, flags["progress"])
    progress.planning("starting", 0)
    options = replace(options, online=online, rescans=rescans, rereads=rereads, reasks_all=reasks_all)
    with (
        closing(progress),
        Log(flags["log"], terminal) as log,
        open_job(path, simulated=profile is not None, to_run=True, options=options) as opened,
        provider_of(profile, opened, opened.models, speed=flags["speed"], terminal=terminal) as provider,
    ):
        shown = ShownRun(opened, path, terminal, progress=progress, log=log)
        files = report_files(
            opened, report=flags.get("report"), junit=flags.get("junit"), is_live=flags.get("live", False)
        )
        written = dict[str, Path]()
        holds = [ApprovedPlan(approved, plan_file, opened)] if approved and plan_file else []
        others = observers_of(
            opened, files, written, warn=lambda words: terminal.say(f"warning: {words}"), say=terminal.say
        )
        running = run(
            opened,
            selection,
            provider,
            Observers([*holds, shown, others]),
            interrupts=halting_on_signals,
            options=options,
            pilot=pilot,
            counts=counts,
        )
        summary = run_async(running)
    show_summary(summary, path, terminal, after_pilot=shown.after_pilot, report=written.get("html"))
    return int(summary.exit_code)


def limit_in_use(opened: OpenJob) -> str:
    """Return the limit of which the last minutes have used most: `input 93%`. Empty if nothing was sent yet."""
    with Ledger.read(opened.paths.ledger) as ledger:
        run = Runs(ledger).last_run(opened.name)
        shares = recent_shares(ledger, run.run_no, now=time.time()) if run else {}
    bound = binding(shares)
    return f"{bound.split()[0]} {shares[bound]:.0%}" if bound and shares[bound] >= LEAST_SHARE else ""


def submit_options(flags: RunFlags, *, exact: bool, simulated: bool) -> SubmitOptions:
    """The options of a submit. Raises UsageProblem for options that exclude each other."""
    if simulated and flags["no_wait"]:
        raise UsageProblem(
            "--no-wait needs an API that outlives the command, and a simulated one does not.",
            hint="leave --no-wait out, or use: batchrun simulate serve",
        )
    return SubmitOptions(
        max_cost_nusd=flags["max_cost"],
        exact=exact,
        partial=flags["partial"],
        partial_answers=flags["partial_answers"],
        pay_again=flags["pay_again"],
        route=flags["route"],
        deadline_s=flags["deadline"],
        workers=flags["workers"],
        fail_fast=flags["fail_fast"],
        max_run_time_s=flags["max_run_time"],
        waits=not flags["no_wait"],
        typed=typed_command(),
        speed=flags["speed"] if simulated else 1.0,
    )


def show_summary(
    summary: Summary, path: Path, terminal: Terminal, *, after_pilot: bool, report: Path | None = None
) -> None:
    """Show why a run stopped, and then how it went: what to type next comes last.

    After the report of a pilot for which nothing was sent there is no more to show.
    """
    if terminal.json:
        terminal.event("run_end", **summary_fields(summary), **({"report": str(report)} if report else {}))
    if summary.halted:
        says_how = summary.remaining is not None and not terminal.json  # the summary does, with amounts
        terminal.problem(summary.halted, hint=not says_how)
    if terminal.json or (terminal.quiet and summary.exit_code in QUIET_CODES):
        return
    if summary.totals or not after_pilot:
        terminal.result(summary_as_text(summary, path, terminal, report=report))


def show_plan(plan: Plan, opened: OpenJob, terminal: Terminal, *, pilot: Plan | None, what: str = "pilot") -> None:
    """Show, before the first request, what will be sent, the cost, and what a changed job file makes obsolete.

    `what` names what the documents of `pilot` come first for.
    """
    if terminal.quiet or terminal.json:
        return
    if not (plan.unsettled or plan.merging):
        for words in [*reused_words(plan), *older_words(plan)]:
            terminal.say(words)
        return
    stamp = "SIMULATED  " if opened.simulated else ""
    route = "" if plan.chosen.name == "stream" else f" · {plan.chosen.name}"
    in_batches, documents = plan.counts[Kind.IN_BATCH], max(plan.in_source, plan.documents)
    collected = f", {count(in_batches, 'document')} in batches in progress" if in_batches else ""
    terminal.say(
        f"{stamp}{plan.job}: {count(plan.to_send, 'document')} to send of {documents:,}{collected}"
        f" · {plan.model}{route}"
    )
    for note in notes_of(plan, opened):
        terminal.say(note)
    if not plan.requests:
        return
    terminal.say(
        f"estimate {with_bounds(plan.estimate.cost_nusd, dollars)}"
        f" of budget {dollars(plan.cap_nusd)} · {time_words(plan.chosen)}"
    )
    if pilot:
        terminal.say(pilot_line(pilot, plan, what))


def notes_of(plan: Plan, opened: OpenJob) -> Iterator[str]:
    """What a person should know of a plan before anything is sent."""
    if opened.job.root_note:
        yield f"project {escape_control(opened.job.root_note)}"
    yield from problem_lines(plan)
    yield from reused_words(plan)
    if plan.merging:
        yield from parts_words(plan)
    yield from older_words(plan)
    yield from partly_words(plan)
    if guessed := sum(guessed_encodings(plan.notes).values()):
        them = "it" if guessed == 1 else "them"
        yield as_called(f"{count(guessed, 'document')} in a guessed encoding; batchrun plan -v names {them}")
    if plan.same_text:
        yield (
            f"the job file changed: {count(plan.same_text, 'document')} answered or planned before"
            " will be sent again and paid for again"
        )
    problem = plan.evidence.online_problem
    if problem and not NO_KEY.search(problem):  # which the run itself will say
        yield f"the API did not count: {escape_control(problem)}"
    if plan.continues:
        yield f"continuing run {plan.continues}: {spent_and_held(plan.spent_nusd, plan.held_nusd)}"
    yield from plan.provider_notes
    yield from map(escape_control, plan.budget_notes)
    is_refused = not (plan.partial_answers or plan.already_approved)  # then the refusal says the same
    for words in [*markup_words(plan), *([] if is_refused else cut_off_words(plan))]:
        yield f"warning: {words}"
    for notice in warnings(plan, opened):
        yield f"warning: {escape_control(notice)}"


@contextlib.contextmanager
def provider_of(
    profile: str | None, opened: OpenStore, models: Sequence[str], *, speed: float, terminal: Terminal
) -> Iterator[ProviderFactory]:
    """Yield the providers of a command, and say where requests go unless that is where everybody's go."""
    gc.disable()  # the import makes 160,000 objects that stay: every collection would visit these objects in vain
    from batchrun.api.provider import provider

    gc.freeze()
    gc.enable()
    with provider(profile, opened.providers, models, speed=speed) as factory:
        with contextlib.suppress(EnvironmentProblem):  # there is no key, which matters if something is to be sent
            is_quiet = profile is not None or terminal.quiet or terminal.json
            for name, endpoint in {} if is_quiet else factory.endpoints().items():
                if endpoint.is_default:
                    continue
                whose = "" if name == ANTHROPIC else f" of {name}"
                with tqdm.external_write_mode(sys.stderr):  # beside the words that a bar has before the run
                    terminal.say(f"requests{whose} go to {endpoint.words}")
        yield factory
