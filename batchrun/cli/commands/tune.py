"""`batchrun tune`: find the cheapest setting of a job that is good enough."""

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from batchrun.cli.options import JOB, SIMULATE, DollarsOption, FiniteRange, JobCommand, speaking
from batchrun.cli.views.terminal import Terminal

if TYPE_CHECKING:
    from batchrun.cli.run_tune import TuneFlags


@click.command(cls=JobCommand)
@JOB
@click.option("--target", type=FiniteRange(0, 1, min_open=True, max_open=True), metavar="SHARE",
              help="The share of right fields that the setting must hold, such as 0.95.")  # fmt: skip
@click.option("--documents", type=click.IntRange(min=1), metavar="N",
              help="How many documents a setting is tried on at most.")  # fmt: skip
@click.option("--max-cost", type=DollarsOption(), metavar="USD", help="A lower cap for the tune than the job file's.")
@click.option("--route", type=click.Choice(["stream", "batch"]), default="stream", show_default=True,
              help="How the tune's requests travel.")  # fmt: skip
@click.option("--agreement", is_flag=True,
              help="Compare with the strongest setting; gold labels count where there are any.")  # fmt: skip
@click.option("--write", is_flag=True, help="Write the setting that is found into the job file.")
@SIMULATE
@speaking
def tune(job: Path, *, terminal: Terminal, **flags: Unpack["TuneFlags"]) -> int:
    """Try the settings of [tune] on some documents, and name the cheapest one that holds the target.

    \b
    batchrun tune jobs/contracts.toml
    batchrun tune jobs/contracts.toml --target 0.95 --max-cost 5
    batchrun tune jobs/contracts.toml --write           into the job file
    batchrun tune jobs/contracts.toml --simulate        no key, no cost
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.run_tune import run_tune

    return run_tune(job, flags, terminal)
