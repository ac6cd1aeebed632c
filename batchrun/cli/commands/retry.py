"""`batchrun retry`: new attempts for documents that ended badly."""

from pathlib import Path

import click

from batchrun.cli.options import (
    DEADLINE,
    FAIL_FAST,
    LEDGER,
    LOG,
    MAX_COST,
    MAX_RUN_TIME,
    NO_WAIT,
    PARTIAL,
    PROGRESS,
    ROUTE,
    SPEED,
    Chosen,
    selecting,
    speaking,
)
from batchrun.cli.views.terminal import Terminal
from batchrun.outcome import Outcome

DEFAULT = "errored,expired,invalid,truncated"


@click.command()
@click.argument("run", default="last")
@click.option("--status", default=DEFAULT, show_default=True, metavar="A,B", help="Which outcomes to try again.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="For the truncated; default: twice theirs.")
@click.option("--simulate", is_flag=True, help="Of the simulated runs.")
@click.option("--profile", type=click.Choice(["calm", "busy", "hostile"]), default="calm", help="Of the simulator.")
@MAX_COST
@PARTIAL
@ROUTE
@DEADLINE
@FAIL_FAST
@MAX_RUN_TIME
@NO_WAIT
@SPEED
@PROGRESS
@LOG
@LEDGER
@selecting
@speaking
def retry(
    run: str,
    *,
    status: str,
    max_tokens: int | None,
    simulate: bool,
    profile: str,
    max_cost: int | None,
    partial: bool,
    route: str | None,
    deadline: float | None,
    fail_fast: bool,
    max_run_time: float | None,
    no_wait: bool,
    speed: float,
    progress: str,
    log: Path | None,
    ledger: Path | None,
    chosen: Chosen,
    terminal: Terminal,
) -> int:
    """Try documents of a run's job again that ended badly. Their old attempts stay in the ledger.

    \b
    batchrun retry last
    batchrun retry contracts --status refused,rejected
    """  # noqa: D301 - \b tells click to keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.cli.run_job import run_job
    from batchrun.workflow.open_job import SubmitOptions

    with found_run(run, ledger, simulated=simulate) as found:
        job_path, pretend = found.job_path, found.story.simulated
    return run_job(
        job_path,
        chosen.selection(again=outcomes(status), max_tokens=max_tokens),
        options=SubmitOptions(
            max_cost_nusd=max_cost,
            partial=partial,
            route=route,
            deadline_s=deadline,
            fail_fast=fail_fast,
            max_run_time_s=max_run_time,
            waits=not no_wait,
        ),
        pilot=None,
        profile=profile if pretend else None,
        speed=speed,
        progress=progress,
        log=log,
        terminal=terminal,
    )


def outcomes(status: str) -> frozenset[Outcome]:
    """The outcomes that a list of words means; only those that a new attempt may change."""
    allowed = {str(outcome) for outcome in Outcome if outcome.failed}
    words = {word.strip() for word in status.split(",") if word.strip()}
    if unknown := words - allowed:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}; choose from {', '.join(sorted(allowed))}",
                                 param_hint="--status")  # fmt: skip
    if not words:
        raise click.BadParameter("names no outcome", param_hint="--status")
    return frozenset(Outcome(word) for word in words)
