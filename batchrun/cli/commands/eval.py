"""`batchrun eval`: how right the answers of a run are, by gold labels."""

import json
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, ShareOption, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode, UsageProblem


@click.command()
@click.argument("run", default="last")
@click.option(
    "--fail-under",
    type=ShareOption(0, 1),
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
    from batchrun.cli.views.evaluation_text import EvaluationView, evaluation_as_json, evaluation_as_text
    from batchrun.quality.evaluate import evaluate, labelled_answers, right_before_and_now
    from batchrun.quality.gold import gold_needed, known_labels
    from batchrun.quality.gold_change import gold_change
    from batchrun.store.job_files import read_job

    with found_run(run, ledger, simulated=simulate) as found:
        job = read_job(found.job_path)
        if (labels := known_labels(job, found.ledger)) is None:
            raise gold_needed(job)
        held, change, other_id = labelled_answers(job, labels, found.ledger, found.story.run_no), None, None
        if not held.matched:
            raise UsageProblem(
                f"no document of the run {found.story.run_id} has labels in {labels.file}.",
                hint="the ids in the labels are those that `batchrun results` shows as doc_id",
            )
        if against:
            with found_run(against, ledger, simulated=simulate) as other:
                other_id = other.story.run_id
                if other_id == found.story.run_id:
                    raise UsageProblem(f"both words mean the run {other_id}.", hint="see the runs: batchrun status")
                before = labelled_answers(job, labels, other.ledger, other.story.run_no)
            change = gold_change(right_before_and_now(before, held))
        view = EvaluationView(found.story, evaluate(job, held), change, other_id, fail_under)
    if terminal.json:
        terminal.exact(json.dumps(evaluation_as_json(view), default=number) + "\n")
    else:
        terminal.result(evaluation_as_text(view, terminal))
    return ExitCode.SOME_FAILED if view.fails else ExitCode.OK
