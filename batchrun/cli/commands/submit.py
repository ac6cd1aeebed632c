"""`batchrun submit`: run a job. The same command continues the run after any failure."""

from itertools import pairwise
from pathlib import Path
from typing import Unpack

import click

from batchrun.cli.options import (
    EXACT,
    LEAVING,
    MAX_COST,
    NEXT,
    PARTIAL,
    PARTIAL_ANSWERS,
    READING_AGAIN,
    REASK,
    RUNNING,
    SIMULATE,
    WATCHING,
    JobCommand,
    RunFlags,
    selecting,
    speaking,
)
from batchrun.cli.views.terminal import Terminal
from batchrun.planning.selection import Selection


class SubmitCommand(JobCommand):
    """A command that takes its options from the file of a plan, before those that are typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the options of the plan before the others."""
        from batchrun.cli.plan_file import options_of, read_plan

        for word, following in pairwise([*args, ""]):
            if word.partition("=")[0] == "--plan" and (name := word.partition("=")[2] or following):
                return super().parse_args(ctx, [*options_of(read_plan(Path(name), job=None), Path(name)), *args])
        return super().parse_args(ctx, args)


@click.command(cls=SubmitCommand)
@click.argument("job", required=False, type=click.Path(path_type=Path, dir_okay=True))
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Do exactly what a plan says that `plan -o` has written, or nothing if anything has changed: exit 3.",
)
@MAX_COST
@EXACT
@READING_AGAIN
@REASK
@PARTIAL
@PARTIAL_ANSWERS
@click.option(
    "--pilot",
    type=click.IntRange(min=1),
    metavar="N",
    help="Send about N documents of all kinds and sizes first, and report. The rest follows if [pilot] says so.",
)
@click.option("--go-on", is_flag=True, help="Let the rest follow the pilot at once, unless a threshold is exceeded.")
@click.option("--no-pilot", is_flag=True, help="Send all documents without a pilot, whatever [pilot] says.")
@RUNNING
@SIMULATE
@WATCHING
@LEAVING
@NEXT
@selecting
@speaking
def submit(
    job: Path | None,
    *,
    plan_file: Path | None,
    exact: bool,
    rescan: bool,
    reread: bool,
    reask: str,
    pilot: int | None,
    go_on: bool,
    no_pilot: bool,
    simulate: str | None,
    selection: Selection,
    terminal: Terminal,
    **flags: Unpack[RunFlags],
) -> int:
    """Run a job. Finished documents are never sent again: after a crash, type the same command.

    \b
    batchrun submit jobs/contracts.toml
    batchrun submit jobs/contracts.toml --simulate      no key, no cost
    batchrun submit jobs/contracts.toml --limit 20      the first 20 documents
    batchrun submit jobs/contracts.toml --next 20       20 documents more
    batchrun submit jobs/contracts.toml --pilot 50      a sample first
    batchrun submit jobs/contracts.toml --route batch   half the price
    batchrun submit --plan plan.json                    what `plan -o` wrote
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.plan_file import job_of, read_plan
    from batchrun.cli.run_job import run_job
    from batchrun.strategy.pilot_report import PilotOptions

    if job is None and plan_file:
        job = job_of(read_plan(plan_file, job=None), plan_file)
    if job is None:
        raise click.UsageError("Missing argument 'JOB'.")
    wanted = PilotOptions(documents=pilot, none=no_pilot, go_on=go_on)
    return run_job(
        job,
        selection,
        flags,
        exact=exact,
        rescans=rescan,
        rereads=reread,
        reasks_all=reask == "all",
        pilot=wanted,
        plan_file=plan_file,
        profile=simulate,
        terminal=terminal,
    )
