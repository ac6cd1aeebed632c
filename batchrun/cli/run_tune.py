"""Running a tune from the command line: plan, looks, frontier, and the job file."""

from pathlib import Path

from batchrun.cli.interrupts import halting_on_signals, run_async
from batchrun.cli.run_job import provider_of
from batchrun.cli.views.terminal import Terminal
from batchrun.cli.views.tune_text import look_line, plan_lines, report_as_text, report_fields
from batchrun.execution.run import Caller
from batchrun.quality.tune.verdict import Ending, Row
from batchrun.workflow.tune import Tune
from batchrun.workflow.tune_plan import Labels, TuneOptions, TunePlan, open_tune
from batchrun.workflow.tune_write import job_change, write_job


def run_tune(
    path: Path,
    options: TuneOptions,
    *,
    writes: bool,
    profile: str | None,
    terminal: Terminal,
    labels: Labels | None = None,
) -> int:
    """Tune a job, show what was found, and return the exit code. The job file changes only if `writes` says so.

    Without `labels` the settings are compared with the strongest one.
    """

    def say(*lines: str) -> None:
        if not (terminal.quiet or terminal.json):
            for line in lines:
                terminal.say(line)

    def show(plan: TunePlan) -> None:
        say(*plan_lines(plan))

    def told(row: Row) -> None:
        say(look_line(row))

    with (
        open_tune(path, simulated=profile is not None) as opened,
        provider_of(profile, options.speed, terminal) as provider,
    ):
        caller = Caller(provider=provider, listener=lambda _: None, interrupts=halting_on_signals)
        report = run_async(Tune(opened, caller, options, show, told, report_fields).run(labels))
        found = report.verdict.row if report.verdict.ending is Ending.FOUND else None
        change = job_change(opened, found.setting) if found else None
        is_written = bool(writes and found and change and change.diff)
        if is_written and found and change:
            write_job(opened, change, found.setting)
    if terminal.json:
        diff = list(change.diff) if change else None
        terminal.event("tune", **report_fields(report), diff=diff, written=is_written)
    elif not (terminal.quiet and report.exit_code == 0):
        terminal.result(report_as_text(report, change, terminal, path, is_written=is_written))
    if report.halted:
        terminal.problem(report.halted)
    return int(report.exit_code)
