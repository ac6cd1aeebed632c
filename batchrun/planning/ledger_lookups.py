"""What the ledger knows of the documents of a source and of their requests, before there is a plan."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batchrun.answers.progress import Progress
from batchrun.estimation.estimate import RequestTokens
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.store.ledger.ledger import Ledger

IN_BATCH = """exists (
    select 1 from attempts a where a.request_no = {} and a.state = 'open' and a.batch_no is not null)"""
"""Whether a request is in a batch that has not ended."""


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document of the job as the ledger has it."""

    outcome: Outcome | None
    in_batch: bool
    """Whether the request is in a batch that has not ended."""
    same_settings: bool
    """Whether the document's request followed from the job as the job is now."""
    content_sha: str
    bytes_sha: str
    reader: str
    request_id: str | None
    max_tokens: int | None
    asked_for: int | None
    """The `max_tokens` of the request; None if an earlier version made the request."""
    form_no: int | None
    """The form of the request's answer; None if an earlier version made the request."""


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A request as the ledger has it."""

    outcome: Outcome | None
    tokens: RequestTokens
    in_batch: bool
    progress: Progress
    """How far the answer has come."""


def known_documents(
    ledger: Ledger, job: str, doc_ids: Iterable[str], *, settings: str, fingerprint: str
) -> Mapping[str, KnownDocument]:
    """Look up those of the documents that a job has seen, by id. `settings` and `fingerprint` are the job's now."""
    rows = ledger.connection.execute(
        f"select d.doc_id, coalesce(d.outcome, r.outcome), {IN_BATCH.format('d.request_no')},"
        " iif(d.settings is null, (select fingerprint from runs where runs.run_no = d.run_no) = ?, d.settings = ?),"
        " d.content_sha, d.bytes_sha, d.reader, r.request_id, d.max_tokens, r.max_tokens,"
        " iif(r.attempt_no is null, null, r.form_no)"
        " from documents d left join requests r using (request_no)"
        " where d.job = ? and d.doc_id in (select value from json_each(?))",
        (fingerprint, settings, job, json.dumps(list(doc_ids))),
    )
    return {
        doc_id: KnownDocument(outcome and Outcome(outcome), bool(in_batch), bool(same_settings), *others)
        for doc_id, outcome, in_batch, same_settings, *others in rows
    }


def known_requests(ledger: Ledger, request_ids: Iterable[str]) -> Mapping[str, KnownRequest]:
    """Look up those of the requests that any job has made or planned, by id."""
    rows = ledger.connection.execute(
        "select request_id, outcome, counted_tokens, text_class, guessed,"
        f" {IN_BATCH.format('requests.request_no')}, turn, partial from requests"
        " where request_id in (select value from json_each(?))",
        (json.dumps(list(request_ids)),),
    )
    return {
        request_id: KnownRequest(
            outcome and Outcome(outcome),
            RequestTokens(counted, TextClass(text_class), bool(guessed)),
            bool(in_batch),
            Progress.of(*progress),
        )
        for request_id, outcome, counted, text_class, guessed, in_batch, *progress in rows
    }


def known_max_tokens(ledger: Ledger, job: str, selection: Selection, *, own: int, most: int) -> tuple[int, ...]:
    """List every `max_tokens` besides the job's own that requests of the job's documents have, or are allowed.

    `own` is the job's, and `most` is what the model can write.
    """
    rows = ledger.connection.execute(
        "select distinct r.max_tokens, d.max_tokens from documents d left join requests r using (request_no)"
        " where d.job = ?",
        (job,),
    )
    found = {value for row in rows for value in row if value is not None}
    if Outcome.TRUNCATED in selection.again:
        found |= {min(selection.max_tokens or 2 * value, most) for value in {own, *found}}
    return tuple(sorted(found - {own}))
