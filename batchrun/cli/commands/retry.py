"""`batchrun retry`: new attempts for documents that ended badly."""

from dataclasses import replace
from pathlib import Path
from typing import Unpack

import click

from batchrun.cli.options import (
    LEAVING,
    LEDGER,
    MAX_COST,
    PARTIAL,
    PARTIAL_ANSWERS,
    PROFILES,
    RUNNING,
    WATCHING,
    RunFlags,
    selecting,
    speaking,
)
from batchrun.cli.views.terminal import Terminal
from batchrun.outcome import RETRIED, Outcome
from batchrun.planning.selection import Selection

DEFAULT = ",".join(RETRIED)


@click.command()
@click.argument("run", default="last")
@click.option("--status", default=DEFAULT, show_default=True, metavar="A,B", help="The outcomes to try again.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="For truncated documents. The default is twice what they had.",
)
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@click.option("--profile", type=click.Choice(PROFILES), default="calm", help="The behaviour of the simulator.")
@MAX_COST
@PARTIAL
@PARTIAL_ANSWERS
@RUNNING
@WATCHING
@LEAVING
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
    ledger: Path | None,
    selection: Selection,
    terminal: Terminal,
    **flags: Unpack[RunFlags],
) -> int:
    """Try failed documents of a job again. Their old attempts stay in the ledger.

    \b
    batchrun retry last
    batchrun retry contracts --status refused,rejected
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.cli.run_job import run_job

    with found_run(run, ledger, simulated=simulate, with_rows=True) as found:
        job_path, simulated = found.job_path, found.story.simulated
    return run_job(
        job_path,
        replace(selection, again=outcomes(status), max_tokens=max_tokens),
        flags,
        profile=profile if simulated else None,
        terminal=terminal,
    )


def outcomes(status: str) -> frozenset[Outcome]:
    """The outcomes that a list of words names. Raises BadParameter for an outcome that no new attempt may change."""
    allowed = {str(outcome) for outcome in Outcome if outcome.failed}
    words = {word.strip() for word in status.split(",") if word.strip()}
    if unknown := words - allowed:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}; choose from {', '.join(sorted(allowed))}",
                                 param_hint="--status")  # fmt: skip
    if not words:
        raise click.BadParameter("names no outcome", param_hint="--status")
    return frozenset(Outcome(word) for word in words)
