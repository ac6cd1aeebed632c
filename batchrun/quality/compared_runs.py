"""What the ledger tells of a run that is compared (its keys, its cost and its speed), and what the job files tell."""

from collections import ChainMap, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from batchrun.errors import BatchrunError
from batchrun.job.load import JobFile
from batchrun.quality.comparison import Change, Comparison
from batchrun.quality.evaluate import match_rules
from batchrun.quality.gold import known_labels
from batchrun.store.job_files import read_job
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import Latencies, RunMetrics
from batchrun.store.ledger.run_plans import remembered_run
from batchrun.store.reports.run_answers import run_answers
from batchrun.store.reports.runs import RunStory, same_run
from batchrun.store.reports.totals import Totals, totals
from batchrun.strategy.plan_record import BrokenRecord, plan_from_json

ASKED = """
select count(distinct coalesce(d.whole, a.doc_id)) from attempts a
left join documents d on d.job = a.job and d.doc_id = a.doc_id where a.run_no = ?
"""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One of two runs."""

    story: RunStory
    model: str
    keys: Mapping[str, str] | None
    """The decisive keys of the job file, as `decisive_keys` has them; None if nothing readable is recorded."""
    totals: Totals
    latencies: Latencies | None
    asked: int
    """The documents that the run itself has asked for: others keep what an earlier run has answered."""

    @property
    def nusd_per_1000(self) -> int | None:
        """What 1,000 documents cost, in nano-USD, by those that the run itself has asked for; None without any."""
        return round(1000 * self.totals.cost_nusd / self.asked) if self.asked else None


def compared_run(ledger: Ledger, story: RunStory) -> ComparedRun:
    """Read all that is compared of a run but its answers."""
    (model,) = ledger.connection.execute("select model from runs where run_no = ?", (story.run_no,)).fetchone()
    (asked,) = ledger.connection.execute(ASKED, (story.run_no,)).fetchone()
    return ComparedRun(
        story,
        model,
        _keys(ledger, story),
        totals(ledger, story.run_no),
        RunMetrics(ledger).latencies(story.run_no),
        asked,
    )


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Two runs side by side."""

    comparison: Comparison
    """What has changed between the answers."""
    runs: tuple[ComparedRun, ComparedRun]
    """The earlier run and the later one, by their keys, cost and speed."""


def compared_runs(
    before: tuple[Ledger, RunStory],
    now: tuple[Ledger, RunStory],
    jobs: Iterable[JobFile],
    take: Callable[[Iterator[Change]], object] = iter,
) -> ComparedRuns:
    """Compare two runs, each given with its ledger, by the rules of job files. `take` may take every change.

    Raises UsageProblem if both are one run, and for labels that cannot be read.
    """
    if before[1].run_id == now[1].run_id:
        raise same_run(now[1])
    comparison = comparison_by(jobs, now[0])
    changes = comparison.changes(*(run_answers(ledger, story.run_no) for ledger, story in (before, now)))
    take(changes)
    deque(changes, maxlen=0)  # those that nobody has taken are counted all the same
    return ComparedRuns(comparison, (compared_run(*before), compared_run(*now)))


def _keys(ledger: Ledger, story: RunStory) -> Mapping[str, str] | None:
    remembered = remembered_run(ledger, story.run_no)
    try:
        return (plan_from_json(remembered.plan).keys or None) if remembered else None
    except BrokenRecord:  # the answers can be compared all the same
        return None


def readable_job(path: Path) -> JobFile | None:
    """Read a job file of today. Returns None if it cannot be read: the answers can be compared all the same."""
    try:
        return read_job(path)
    except BatchrunError:
        return None


def comparison_by(jobs: Iterable[JobFile], ledger: Ledger) -> Comparison:
    """Begin a comparison by the match rules and the gold labels of job files; of several, the first counts.

    `ledger` has the reviews. Raises UsageProblem for labels that cannot be read.
    """
    known = list(jobs)
    fields = [job.spec.output.fields for job in known]
    rules = ChainMap(*map(match_rules, known, fields))
    kinds = ChainMap(*({name: field.kind for name, field in each.items()} for each in fields))
    labels = next((found for job in known if (found := known_labels(job, ledger))), None)
    return Comparison(rules, labels.values if labels else {}, kinds)
