"""`batchrun submit`: run a job. The same command continues the run after any failure."""

from pathlib import Path
from typing import Unpack

import click

from batchrun.cli.options import (
    EXACT,
    JOB,
    MAX_COST,
    NEXT,
    PARTIAL,
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


@click.command(cls=JobCommand)
@JOB
@MAX_COST
@EXACT
@PARTIAL
@click.option(
    "--pilot",
    type=click.IntRange(min=1),
    metavar="N",
    help="About N documents of all kinds and sizes first; then a report, and the rest if [pilot] says so.",
)
@click.option("--go-on", is_flag=True, help="After the pilot the rest follows at once, unless a threshold is exceeded.")
@click.option("--no-pilot", is_flag=True, help="No pilot, whatever [pilot] says; one that was begun is over.")
@RUNNING
@SIMULATE
@WATCHING
@NEXT
@selecting
@speaking
def submit(
    job: Path,
    *,
    exact: bool,
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
    batchrun submit jobs/contracts.toml --limit 20          the first 20 documents; typed twice it sends nothing more
    batchrun submit jobs/contracts.toml --pilot 50          a sample first, with what it tells of the rest
    batchrun submit jobs/contracts.toml --route batch       half the price, within 24 hours
    batchrun submit jobs/contracts.toml --simulate          no key, no cost
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.run_job import run_job
    from batchrun.strategy.pilot_report import PilotOptions

    wanted = PilotOptions(documents=pilot, none=no_pilot, go_on=go_on)
    return run_job(job, selection, flags, exact=exact, pilot=wanted, profile=simulate, terminal=terminal)
