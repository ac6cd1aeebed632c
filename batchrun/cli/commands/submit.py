"""`batchrun submit`: run a job; the same command continues after any failure."""

from pathlib import Path

import click

from batchrun.cli.options import (
    DEADLINE,
    EXACT,
    FAIL_FAST,
    JOB,
    LOG,
    MAX_COST,
    MAX_RUN_TIME,
    NO_WAIT,
    PARTIAL,
    PROGRESS,
    ROUTE,
    SIMULATE,
    SPEED,
    Chosen,
    JobCommand,
    selecting,
    speaking,
)
from batchrun.cli.views.terminal import Terminal


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
@ROUTE
@DEADLINE
@FAIL_FAST
@MAX_RUN_TIME
@NO_WAIT
@SIMULATE
@SPEED
@PROGRESS
@LOG
@selecting
@speaking
def submit(
    job: Path,
    *,
    max_cost: int | None,
    exact: bool,
    partial: bool,
    pilot: int | None,
    go_on: bool,
    no_pilot: bool,
    route: str | None,
    deadline: float | None,
    fail_fast: bool,
    max_run_time: float | None,
    no_wait: bool,
    simulate: str | None,
    speed: float,
    progress: str,
    log: Path | None,
    chosen: Chosen,
    terminal: Terminal,
) -> int:
    """Run a job. Finished documents are never sent again: after a crash, type the same command.

    \b
    batchrun submit jobs/contracts.toml
    batchrun submit jobs/contracts.toml --limit 20
    batchrun submit jobs/contracts.toml --pilot 50          a sample first, with what it tells of the rest
    batchrun submit jobs/contracts.toml --route batch       half the price, within 24 hours
    batchrun submit jobs/contracts.toml --simulate          no key, no cost
    """  # noqa: D301 - \b tells click to keep the lines
    from batchrun.cli.run_job import run_job
    from batchrun.strategy.pilot_report import PilotOptions
    from batchrun.workflow.open_job import SubmitOptions

    return run_job(
        job,
        chosen.selection(),
        options=SubmitOptions(
            max_cost_nusd=max_cost,
            exact=exact,
            partial=partial,
            route=route,
            deadline_s=deadline,
            fail_fast=fail_fast,
            max_run_time_s=max_run_time,
            waits=not no_wait,
        ),
        pilot=PilotOptions(documents=pilot, none=no_pilot, go_on=go_on),
        profile=simulate,
        speed=speed,
        progress=progress,
        log=log,
        terminal=terminal,
    )
