"""Running a job from the command line: what `submit` and `retry` have in common."""

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from batchrun.catalog.money import dollars, spent_and_held
from batchrun.cli.interrupts import halting_on_signals, run_async
from batchrun.cli.views.format import count
from batchrun.cli.views.log import Log
from batchrun.cli.views.pilot_text import pilot_line, report_as_event, report_as_text
from batchrun.cli.views.plan_text import problem_lines, warnings
from batchrun.cli.views.progress import Progress
from batchrun.cli.views.route_text import time_words
from batchrun.cli.views.summary_text import summary_as_event, summary_as_text
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode, UsageProblem
from batchrun.escaping import escape_control
from batchrun.events import Event, Listener
from batchrun.execution.run import Caller, ProviderFactory
from batchrun.planning.selection import Selection
from batchrun.strategy.pilot_report import PilotOptions, PilotReport, pilot_terms
from batchrun.strategy.plan import Kind, Plan
from batchrun.workflow.open_job import OpenJob, SubmitOptions, open_job
from batchrun.workflow.pilot import PilotSubmit
from batchrun.workflow.submit import submit

QUIET_CODES = {ExitCode.OK, ExitCode.UNFINISHED}
"""What cron need not hear of: batches that are in progress are no problem."""


def run_job(
    path: Path,
    selection: Selection,
    *,
    options: SubmitOptions,
    pilot: PilotOptions | None,
    profile: str | None,
    speed: float,
    progress: str,
    log: Path | None,
    terminal: Terminal,
) -> int:
    """Plan, run and tell; returns the exit code. None for a `pilot`: the command knows none."""
    if profile is not None and not options.waits:
        raise UsageProblem(
            "--no-wait needs an API that outlives the command, and a simulated one does not.",
            hint="leave --no-wait out, or use: batchrun simulate serve",
        )
    shown = Progress(terminal, progress)
    reports: list[PilotReport] = []

    def show(plan: Plan, first: Plan | None = None) -> None:
        show_plan(plan, opened, terminal, pilot=first)

    def report(found: PilotReport) -> None:
        reports.append(found)
        show_pilot(found, opened, terminal, path, shown)

    with (
        Log(log, terminal) as logged,
        open_job(path, simulated=profile is not None, to_run=True) as opened,
        provider_of(profile, speed) as provider,
    ):
        try:
            caller = Caller(provider=provider, listener=both(shown, logged), interrupts=halting_on_signals)
            if profile is not None:
                options = replace(options, speed=speed)
            if pilot is None:
                summary = run_async(submit(opened, selection, caller, show=show, options=options, counts=True))
            else:
                terms = pilot_terms(opened.job.spec.pilot, pilot)
                piloted = PilotSubmit(opened, caller, show, report, options, counts=True)
                summary = run_async(piloted.submit(selection, terms))
        finally:
            shown.close()
    if terminal.json:
        summary_as_event(summary, terminal)
    elif (summary.totals or not reports) and not (terminal.quiet and summary.exit_code in QUIET_CODES):
        terminal.result(summary_as_text(summary, path, terminal))
    if summary.halted:
        terminal.problem(summary.halted)
    return int(summary.exit_code)


def both(first: Listener, second: Listener) -> Listener:
    """Each event to one and then to the other."""

    def tell(event: Event) -> None:
        first(event)
        second(event)

    return tell


def show_pilot(report: PilotReport, opened: OpenJob, terminal: Terminal, path: Path, shown: Progress) -> None:
    """Between the pilot and the rest: what it told, and what follows."""
    shown.close()
    if terminal.json:
        report_as_event(report, opened, terminal)
    elif not terminal.quiet:
        terminal.result(report_as_text(report, opened, terminal, path))


def show_plan(plan: Plan, opened: OpenJob, terminal: Terminal, *, pilot: Plan | None) -> None:
    """Before the first request: what will be sent, what it costs, and what a changed job file invalidates."""
    if terminal.quiet or terminal.json or not plan.unsettled:
        return
    cost = plan.estimate.cost_nusd
    stamp = "SIMULATED  " if opened.simulated else ""
    route = "" if plan.chosen.name == "stream" else f" · {plan.chosen.name}"
    in_batches = plan.counts[Kind.IN_BATCH]
    under_way = f", {count(in_batches, 'document')} in batches under way" if in_batches else ""
    terminal.say(
        f"{stamp}{plan.job}: {count(plan.to_send, 'document')} to send of {plan.documents:,}{under_way}"
        f" · {plan.model}{route}"
    )
    for line in problem_lines(plan):
        terminal.say(line)
    if plan.same_text:
        terminal.say(
            f"the job file changed: {count(plan.same_text, 'document')} answered or planned before"
            " will be sent again and paid for again"
        )
    if plan.continues:
        before = spent_and_held(plan.spent_nusd, plan.held_nusd)
        terminal.say(f"continuing run {plan.continues}: {before}")
    for notice in warnings(plan, opened):
        terminal.say(f"warning: {escape_control(notice)}")
    if not plan.to_send:
        return
    terminal.say(
        f"estimate {dollars(cost.mean)} (90%: {dollars(cost.low)} to {dollars(cost.high)})"
        f" of budget {dollars(plan.cap_nusd)} · {time_words(plan.chosen)}"
    )
    if pilot:
        terminal.say(pilot_line(pilot, plan))


@contextlib.contextmanager
def provider_of(profile: str | None, speed: float) -> Iterator[ProviderFactory]:
    """The real API, or a simulator of our own that lives as long as the run."""
    gc.disable()  # the import makes 160,000 objects that stay: collections go through them in vain, now and later
    from batchrun.providers.anthropic.provider import AnthropicFactory

    gc.freeze()
    gc.enable()
    if profile is None:
        yield AnthropicFactory()
        return
    from batchrun.simulator.http.server import running_simulator

    with running_simulator(profile, speed=speed) as base_url:
        yield AnthropicFactory(base_url=base_url, api_key="simulated")
