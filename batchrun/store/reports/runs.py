"""What people see of the ledger: all runs, and the story of one document."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.errors import UsageProblem
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
group by runs.run_no order by runs.run_no desc
"""
DOCUMENT = """
select s.doc_id, s.source, s.status, s.reason, s.request_id, s.run_id, s.tokens, s.cost_usd, s.request_no,
    s.attempt_no, r.output, d.note from document_status s join documents d using (document_no)
left join requests r on r.request_no = s.request_no
where s.job = ? and s.doc_id = ?
"""
WHOLE = """
select w.doc_id, w.source, iif(w.merged_of is null, 'pending', iif(w.output is null, 'errored', 'succeeded')) as status,
    w.reason, w.merged_of as request_id, runs.run_id, null as tokens, null as request_no, null as attempt_no, w.output,
    'asked in ' || w.parts || ' parts, such as ' || w.doc_id || ' [part 1 of ' || w.parts || ']' as note,
    w.provenance
from wholes w left join runs using (run_no)
where w.job = ? and w.doc_id = ? and w.parts
"""
"""A long document that is asked in parts, with the names of a document's columns."""
ATTEMPTS = """
select runs.run_id, a.state, a.outcome, a.cause, a.status, a.error_type, a.message, a.stop_reason,
    a.api_request_id, a.model, a.input_tokens, a.cache_read_tokens,
    a.cache_write_5m_tokens + a.cache_write_1h_tokens as cache_write_tokens, a.output_tokens,
    coalesce(a.cost_nusd, a.reserved_nusd) / 1e9 as cost_usd, a.started_at, a.ended_at
from attempts a join runs using (run_no) where {} order by a.attempt_no
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


def run_stories(ledger: Ledger) -> list[RunStory]:
    """List all runs, the latest first."""
    batches = Batches(ledger)
    return [
        RunStory(
            **{**story, "simulated": bool(story["simulated"]), "tags": json.loads(story["tags"])},
            open_batches=[batch for batch in batches.of_run(story["run_no"]) if batch.state.open],
        )
        for story in by_name(ledger.connection.execute(RUNS))
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

    Returns None if there is no such run. Raises UsageProblem for the beginning of several ids.
    """
    if wanted == "last" and stories:
        return stories[0]
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


def document_story(ledger: Ledger, job: str, doc_id: str) -> Mapping[str, Any] | None:
    """Read a document's status, its attempts from first to last, and the reply that settled it.

    Returns None if the job has no such document.
    """
    document = next(by_name(ledger.connection.execute(DOCUMENT, (job, doc_id))), None)
    if document is None:
        return _whole_story(ledger, job, doc_id)
    attempts = ledger.connection.execute(ATTEMPTS.format("a.request_no = ?"), (document["request_no"],))
    query = "select raw from replies where attempt_no = ?"
    reply = ledger.connection.execute(query, (document["attempt_no"],)).fetchone()
    return {**document, "attempts": list(by_name(attempts)), "raw": reply[0] if reply else None}


def _whole_story(ledger: Ledger, job: str, doc_id: str) -> Mapping[str, Any] | None:
    """Read the same of a long document, whose attempts are those of its parts, and whose answer is no single reply."""
    whole = next(by_name(ledger.connection.execute(WHOLE, (job, doc_id))), None)
    if whole is None:
        return None
    of_parts = ATTEMPTS.format("a.request_no in (select request_no from documents where job = ? and whole = ?)")
    attempts = list(by_name(ledger.connection.execute(of_parts, (job, doc_id))))
    cost = sum(attempt["cost_usd"] for attempt in attempts)
    provenance = json.loads(whole["provenance"] or "null")
    return {**whole, "provenance": provenance, "cost_usd": cost, "attempts": attempts, "raw": None}


def by_name(cursor: sqlite3.Cursor) -> Iterator[dict[str, Any]]:
    """Read rows as dictionaries by the names of the columns."""
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)
