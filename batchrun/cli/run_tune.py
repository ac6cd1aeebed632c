"""Running a tune from the command line: plan, looks, frontier, and the job file."""

from pathlib import Path

from batchrun.cli.interrupts import halting_on_signals, run_async
from batchrun.cli.run_job import provider_of
from batchrun.cli.views.terminal import Terminal
from batchrun.cli.views.tune_text import Edit, look_line, plan_lines, report_as_json, report_as_text
from batchrun.errors import BatchrunError
from batchrun.execution.run import Caller
from batchrun.quality.gold import read_labels
from batchrun.quality.tune.verdict import Ending
from batchrun.workflow.tune import Tune, TuneReport
from batchrun.workflow.tune_plan import OpenTune, TuneOptions, open_tune
from batchrun.workflow.tune_write import job_change, write_job


def run_tune(path: Path, options: TuneOptions, *, writes: bool, profile: str | None, terminal: Terminal) -> int:
    """Tune a job, show what was found, and return the exit code. The job file changes only if `writes` says so."""

    def say(*lines: str) -> None:
        if not (terminal.quiet or terminal.json):
            for line in lines:
                terminal.say(line)

    with (
        open_tune(path, simulated=profile is not None) as opened,
        provider_of(profile, options.speed, terminal) as provider,
    ):
        labels = read_labels(opened.job)
        caller = Caller(provider=provider, listener=lambda _: None, interrupts=halting_on_signals)
        tune = Tune(opened, caller, options, lambda plan: say(*plan_lines(plan)), lambda row: say(look_line(row)))
        report = run_async(tune.run(labels.values if labels else None))
        edit = edited(opened, report, writes=writes)
    if terminal.json:
        terminal.event("tune", **report_as_json(report, edit))
    elif not terminal.quiet or report.exit_code:
        terminal.result(report_as_text(report, edit, terminal, path))
    problems = [problem for problem in (report.halted, edit.problem) if problem]
    for problem in problems:
        terminal.problem(problem)
    return int(problems[0].exit_code if problems else report.exit_code)


def edited(opened: OpenTune, report: TuneReport, *, writes: bool) -> Edit:
    """Make the change of the job file, and write the file if `writes` says so. A problem is no reason to fail here."""
    row, diff = report.verdict.row, tuple[str, ...]()
    if report.verdict.ending is not Ending.FOUND or row is None:
        return Edit()
    try:
        change = job_change(opened, row.setting)
        diff = change.diff
        if writes and diff:
            write_job(opened, change, row.setting)
    except BatchrunError as problem:
        return Edit(diff, problem=problem)
    return Edit(diff, is_written=writes and bool(diff))
