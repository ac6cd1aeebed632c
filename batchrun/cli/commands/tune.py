"""`batchrun tune`: find the cheapest setting of a job that is good enough."""

from pathlib import Path

import click

from batchrun.cli.options import JOB, PARTIAL_ANSWERS, SIMULATE, DollarsOption, JobCommand, ShareOption, speaking
from batchrun.cli.views.terminal import Terminal


@click.command(cls=JobCommand)
@JOB
@click.option("--target", type=ShareOption(0, 1, min_open=True, max_open=True), metavar="SHARE",
              help="The share of right fields that the setting must hold, such as 0.95.")  # fmt: skip
@click.option("--documents", type=click.IntRange(min=1), metavar="N",
              help="How many documents a setting is tried on at most.")  # fmt: skip
@click.option("--max-cost", type=DollarsOption(), metavar="USD", help="A lower cap for the tune than the job file's.")
@click.option("--route", type=click.Choice(["stream", "batch"]), default="stream", show_default=True,
              help="How the tune's requests travel.")  # fmt: skip
@click.option("--agreement", is_flag=True,
              help="Compare with the strongest setting; gold labels count where there are any.")  # fmt: skip
@click.option("--write", is_flag=True, help="Write the setting that is found into the job file.")
@PARTIAL_ANSWERS
@SIMULATE
@speaking
def tune(
    job: Path,
    *,
    target: float | None,
    documents: int | None,
    max_cost: int | None,
    route: str,
    agreement: bool,
    write: bool,
    partial_answers: bool,
    simulate: str | None,
    terminal: Terminal,
) -> int:
    """Try the settings of [tune] on some documents, and name the cheapest one that holds the target.

    \b
    batchrun tune jobs/contracts.toml
    batchrun tune jobs/contracts.toml --target 0.95 --max-cost 5
    batchrun tune jobs/contracts.toml --write           into the job file
    batchrun tune jobs/contracts.toml --simulate        no key, no cost
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.next_command import typed_command
    from batchrun.cli.run_tune import run_tune
    from batchrun.workflow.tune_plan import TuneOptions

    options = TuneOptions(
        target=target,
        documents=documents,
        max_cost_nusd=max_cost,
        route=route,
        by_agreement=agreement,
        partial_answers=partial_answers,
        typed=typed_command(),
        speed=20.0 if simulate else 1.0,
    )
    return run_tune(job, options, writes=write, profile=simulate, terminal=terminal)
