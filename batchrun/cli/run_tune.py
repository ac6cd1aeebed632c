"""Running a tune from the command line: plan, looks, frontier, and the job file."""

from pathlib import Path
from typing import TypedDict

from batchrun.cli.interrupts import halting_on_signals, run_async
from batchrun.cli.next_command import typed_command
from batchrun.cli.run_job import provider_of
from batchrun.cli.views.terminal import Terminal
from batchrun.cli.views.tune_text import look_line, plan_lines, report_as_json, report_as_text
from batchrun.execution.run import Caller
from batchrun.quality.gold import read_labels
from batchrun.quality.tune.verdict import Ending
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.tune import Tune, TuneReport
from batchrun.workflow.tune_plan import open_tune, plan_tune
from batchrun.workflow.tune_write import Edit, edit_job


class TuneFlags(TypedDict):
    """What a person may say of a tune; None where the job file decides."""

    target: float | None
    documents: int | None
    max_cost: int | None
    """A lower cap than the job file's, in nano-USD."""
    route: str
    agreement: bool
    write: bool
    simulate: str | None


def run_tune(path: Path, flags: TuneFlags, terminal: Terminal) -> int:
    """Tune a job, show what was found, and return the exit code."""

    def say(*lines: str) -> None:
        if not (terminal.quiet or terminal.json):
            for line in lines:
                terminal.say(line)

    profile, edit = flags["simulate"], Edit()
    speed = 20.0 if profile else 1.0
    options = SubmitOptions(max_cost_nusd=flags["max_cost"], route=flags["route"], typed=typed_command(), speed=speed)
    with (
        open_tune(path, simulated=profile is not None, target=flags["target"], documents=flags["documents"]) as opened,
        provider_of(
            profile, opened.opened, opened.job.spec.tune.models or opened.opened.models, speed=speed, terminal=terminal
        ) as provider,
    ):
        labels = read_labels(opened.job)
        caller = Caller(provider=provider, listener=lambda _: None, interrupts=halting_on_signals)

        async def tuned() -> TuneReport:
            known = labels.values if labels else {}
            plan = await plan_tune(opened, options, known, by_agreement=flags["agreement"])
            say(*plan_lines(plan))
            return await Tune(opened, plan, caller, options, lambda row: say(look_line(row))).run()

        report = run_async(tuned())
        if report.verdict.ending is Ending.FOUND and report.verdict.row:
            edit = edit_job(opened, report.verdict.row.setting, writes=flags["write"])
    if terminal.json:
        terminal.event("tune", **report_as_json(report, edit))
    elif not terminal.quiet or report.exit_code:
        terminal.result(report_as_text(report, edit, terminal, path))
    problems = [problem for problem in (report.halted, edit.problem) if problem]
    for problem in problems:
        terminal.problem(problem)
    return int(problems[0].exit_code if problems else report.exit_code)
