"""`batchrun eval`: how right the answers of a run are, by gold labels."""

from contextlib import ExitStack
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, FiniteRange, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode
from batchrun.escaping import readable_json


@click.command()
@click.argument("run", default="last")
@click.option(
    "--fail-under",
    type=FiniteRange(0, 1),
    metavar="SHARE",
    help="Exit 1 unless so many answers are right, such as 0.95: the lower bound counts.",
)
@click.option("--against", metavar="RUN", help="Compare with another run, and exit 1 if RUN is worse than that run.")
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@speaking
def eval(  # noqa: A001 - click names the command after the function
    run: str, *, fail_under: float | None, against: str | None, simulate: bool, ledger: Path | None, terminal: Terminal
) -> int:
    """Hold the answers of a run against the labels of [gold]. Nothing is sent.

    RUN is a job file, a job's name, the beginning of a run's id, or `last`. Intervals are at 90%: each bound holds in
    95 of 100 cases.

    \b
    batchrun eval jobs/contracts.toml
    batchrun eval last --fail-under 0.95
    batchrun eval last --against 8f3c
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.export_changes import number
    from batchrun.cli.find_run import found_run
    from batchrun.cli.views.evaluation_text import evaluation_as_json, evaluation_as_text
    from batchrun.quality.evaluate import evaluated_run
    from batchrun.store.job_files import read_job

    with ExitStack() as stack:
        found = stack.enter_context(found_run(run, ledger, simulated=simulate))
        other = stack.enter_context(found_run(against, ledger, simulated=simulate)) if against else None
        evaluation = evaluated_run(
            read_job(found.job_path),
            (found.ledger, found.story),
            against=(other.ledger, other.story) if other else None,
            fail_under=fail_under,
        )
    if terminal.json:
        terminal.exact(readable_json(evaluation_as_json(evaluation), default=number) + "\n")
    else:
        terminal.result(evaluation_as_text(evaluation, terminal))
    return ExitCode.SOME_FAILED if evaluation.fails else ExitCode.OK
