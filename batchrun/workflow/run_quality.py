"""What is found out about the answers of a run right after the run: its checks, and how right its answers are."""

from batchrun.errors import BatchrunError
from batchrun.quality.checks.result import CheckResult
from batchrun.quality.checks.run import run_checks
from batchrun.quality.evaluate import GoldScores, labelled_answers
from batchrun.quality.gold import known_labels
from batchrun.quality.scores import score
from batchrun.store.ledger.runs import Runs
from batchrun.workflow.open_job import OpenOutput


def checks_of(
    opened: OpenOutput, *, run_no: int | None, unpublished: BatchrunError | None = None
) -> tuple[CheckResult, ...]:
    """Run the checks of a job. Without a run of its own, a submit checks the answers of the job's last run.

    `unpublished` is why the output lacks rows.
    """
    if run_no is None and (last := Runs(opened.ledger).last_run(opened.name)):
        run_no = last.run_no
    why = str(unpublished) if unpublished else None
    return run_checks(opened.job, opened.ledger, opened.paths.database, run_no=run_no, unpublished=why)


def gold_of(opened: OpenOutput, run_no: int) -> GoldScores | None:
    """Hold the answers of a run against the gold labels of the job.

    Labels that cannot be read are told, and never keep a run from its end. Returns None for a job without labels, and
    if no document of the run has labels.
    """
    try:
        labels = known_labels(opened.job, opened.ledger)
    except BatchrunError as error:
        return GoldScores(problem=str(error))
    held = labelled_answers(opened.job, labels, opened.ledger, run_no) if labels else None
    return GoldScores(score(held.matched, held.labels.fields), held.labels.file) if held and held.matched else None
