"""What people see of the ledger: all runs."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.errors import UsageProblem
from batchrun.job.tune_section import is_tuned
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger

RUNS = """
select runs.run_no, runs.run_id, runs.job, runs.job_path, runs.state, runs.exit_code, runs.note, runs.simulated,
    runs.committed_nusd,
    (select coalesce(sum(reserved_nusd), 0) from attempts a where a.run_no = runs.run_no and cost_nusd is null)
        as held_nusd,
    runs.cap_nusd, runs.route, runs.started_at, runs.ended_at,
    (select json_group_object(tag, value) from run_tags t where t.run_no = runs.run_no) as tags,
    count(coalesce(d.outcome, r.outcome)) as settled,
    count(case when coalesce(d.outcome, r.outcome) not in ('succeeded', 'skipped') then 1 end) as failed,
    count(d.document_no) as admitted
from runs left join documents d using (run_no) left join requests r on r.request_no = d.request_no
where runs.run_no = coalesce(?, runs.run_no) group by runs.run_no order by runs.run_no desc
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStory:
    """A run as `status` shows it; times in seconds since 1970, money in nano-USD."""

    run_no: int
    run_id: str
    job: str
    job_path: str
    state: str
    exit_code: int | None
    note: str | None
    simulated: bool
    committed_nusd: int
    """What is spent and reserved, and lost answers at their worst case."""
    held_nusd: int
    """Part of `committed_nusd`: what is reserved for requests in progress, and the worst cases of lost answers."""
    cap_nusd: int
    route: str
    started_at: float
    ended_at: float | None
    tags: Mapping[str, str]
    settled: int
    """How many documents have an outcome."""
    failed: int
    admitted: int
    """How many documents belong to the run."""
    open_batches: Sequence[Batch]


def run_stories(ledger: Ledger, run_no: int | None = None) -> list[RunStory]:
    """List all runs, the latest first, or the one run of this number."""
    batches = Batches(ledger)
    return [
        RunStory(
            **{**story, "simulated": bool(story["simulated"]), "tags": json.loads(story["tags"])},
            open_batches=[batch for batch in batches.of_run(story["run_no"]) if batch.state.open],
        )
        for story in by_name(ledger.connection.execute(RUNS, (run_no,)))
    ]


def recent_models(ledger: Ledger, *, runs: int, most: int) -> list[str]:
    """List the models of the last runs, the latest first."""
    rows = ledger.connection.execute(
        "select model from (select model, run_no from runs order by run_no desc limit ?)"
        " group by model order by max(run_no) desc limit ?",
        (runs, most),
    )
    return [model for (model,) in rows]


def match_run(stories: list[RunStory], wanted: str) -> RunStory | None:
    """Find the run that is meant by `last`, a job's name, or the beginning of an id.

    The last run is a run of a job, and never one of a tune. Returns None if there is no such run. Raises UsageProblem
    for the beginning of several ids.
    """
    if wanted == "last":
        return next((story for story in stories if not is_tuned(story.job)), None)
    if named := [story for story in stories if story.job == wanted]:
        return named[0]
    matching = [story for story in stories if story.run_id.startswith(wanted)]
    exact = [story for story in matching if story.run_id == wanted]
    if len(exact or matching) > 1:
        raise UsageProblem(
            f"{wanted} begins the ids of {len(matching)} runs: {', '.join(story.run_id for story in matching[:10])}.",
            hint="give more of the id",
        )
    return next(iter(exact or matching), None)


def same_run(story: RunStory) -> UsageProblem:
    """Make the problem of two words for runs to compare that name one run."""
    return UsageProblem(f"both words mean the run {story.run_id}.", hint="see the runs: batchrun status")


def by_name(cursor: sqlite3.Cursor) -> Iterator[dict[str, Any]]:
    """Read rows as dictionaries by the names of the columns."""
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)
