"""What the ledger tells people: runs, and one document's story."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.errors import UsageProblem
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger

RUNS = """
select runs.run_no, runs.run_id, runs.job,
    runs.job_path, runs.model, runs.state, runs.exit_code, runs.note, runs.simulated,
    runs.to_send, runs.documents, runs.committed_nusd,
    (select coalesce(sum(reserved_nusd), 0) from attempts a where a.run_no = runs.run_no and cost_nusd is null)
        as held_nusd,
    runs.cap_nusd, runs.estimate_nusd, runs.route, runs.started_at,
    runs.ended_at,
    count(coalesce(d.outcome, r.outcome)) as settled,
    count(case when coalesce(d.outcome, r.outcome) not in ('succeeded', 'skipped') then 1 end) as failed,
    count(d.document_no) as admitted
from runs left join documents d using (run_no) left join requests r on r.request_no = d.request_no
group by runs.run_no order by runs.run_no desc
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStory:
    """A run as `status` shows it; times in seconds since 1970, money in nano-USD."""

    run_no: int
    run_id: str
    job: str
    job_path: str
    model: str
    state: str
    exit_code: int | None
    note: str | None
    simulated: bool
    to_send: int
    documents: int
    committed_nusd: int
    """Spent, and held."""
    held_nusd: int
    """Reserved for what is under way, and the worst cases of answers that were lost."""
    cap_nusd: int
    estimate_nusd: int
    route: str
    started_at: float
    ended_at: float | None
    settled: int
    failed: int
    admitted: int
    open_batches: Sequence[Batch]


def run_stories(ledger: Ledger) -> list[RunStory]:
    """All runs, the latest first."""
    cursor = ledger.connection.execute(RUNS)
    names = [column[0] for column in cursor.description]
    stories = [dict(zip(names, row, strict=True)) for row in cursor]
    batches = Batches(ledger)
    return [
        RunStory(
            **{**story, "simulated": bool(story["simulated"])},
            open_batches=[batch for batch in batches.of_run(story["run_no"]) if batch.state.open],
        )
        for story in stories
    ]


def recent_models(ledger: Ledger, *, runs: int, most: int) -> list[str]:
    """The models of the last runs, the latest first."""
    rows = ledger.connection.execute(
        "select model from (select model, run_no from runs order by run_no desc limit ?)"
        " group by model order by max(run_no) desc limit ?",
        (runs, most),
    )
    return [model for (model,) in rows]


def find_run(stories: list[RunStory], wanted: str) -> RunStory:
    """The run that `last`, a job's name, or the beginning of an id means. Raises UsageProblem."""
    if wanted == "last" and stories:
        return stories[0]
    named = [story for story in stories if story.job == wanted]
    if named:
        return named[0]
    matching = [story for story in stories if story.run_id.startswith(wanted)]
    exact = [story for story in matching if story.run_id == wanted]
    if len(exact or matching) == 1:
        return (exact or matching)[0]
    if matching:
        raise UsageProblem(
            f"{wanted} begins the ids of {len(matching)} runs: {', '.join(story.run_id for story in matching[:10])}.",
            hint="give more of the id",
        )
    missing = "there is no run yet." if wanted == "last" else f"there is no run {wanted}."
    raise UsageProblem(missing, hint="see the runs: batchrun status")


def document_story(ledger: Ledger, job: str, doc_id: str) -> Mapping[str, Any] | None:
    """One document: its status, its attempts from first to last, and the reply that settled it."""
    document = _one(
        ledger,
        "select s.doc_id, s.source, s.status, s.reason, s.request_id, s.run_id, s.tokens, s.cost_usd, s.request_no,"
        " s.attempt_no, r.output from document_status s left join requests r using (request_no)"
        " where s.job = ? and s.doc_id = ?",
        (job, doc_id),
    )
    if document is None:
        return None
    attempts = ledger.connection.execute(
        "select runs.run_id, a.state, a.outcome, a.cause, a.status, a.error_type, a.message, a.stop_reason,"
        " a.api_request_id, a.model, a.input_tokens, a.cache_read_tokens,"
        " a.cache_write_5m_tokens + a.cache_write_1h_tokens as cache_write_tokens, a.output_tokens,"
        " coalesce(a.cost_nusd, a.reserved_nusd) / 1e9 as cost_usd, a.started_at, a.ended_at"
        " from attempts a join runs using (run_no) where a.request_no = ? order by a.attempt_no",
        (document["request_no"],),
    )
    names = [column[0] for column in attempts.description]
    reply = _one(ledger, "select raw from replies where attempt_no = ?", (document["attempt_no"],))
    return {
        **document,
        "attempts": [dict(zip(names, row, strict=True)) for row in attempts],
        "raw": reply["raw"] if reply else None,
    }


def _one(ledger: Ledger, query: str, values: tuple[object, ...]) -> dict[str, Any] | None:
    cursor = ledger.connection.execute(query, values)
    row = cursor.fetchone()
    return dict(zip([column[0] for column in cursor.description], row, strict=True)) if row else None
