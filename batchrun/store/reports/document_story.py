"""What the ledger knows of one document: how the document was asked and answered, attempt by attempt."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.documents.split import segment_name
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.runs import by_name

DOCUMENT = """
select s.doc_id, s.source, s.status, s.reason, s.request_id, s.run_id, s.tokens, s.cost_usd, s.request_no,
    s.attempt_no, r.output, d.note, d.place, s.content_sha, s.max_tokens, r.turn, r.findings, f.prompt_sha,
    f.sha as form_sha
from document_status s join documents d using (document_no)
left join requests r on r.request_no = s.request_no left join answer_forms f using (form_no)
where s.job = ? and {}
"""
WHOLE = """
select w.doc_id, w.source, iif(w.merged_of is null, 'pending', iif(w.output is null, 'errored', 'succeeded')) as status,
    w.reason, w.merged_of as request_id, runs.run_id, null as tokens, null as request_no, null as attempt_no, w.output,
    'asked in ' || w.parts || ' parts, such as ' || w.doc_id || ' [part 1 of ' || w.parts || ']' as note,
    w.provenance, w.parts as total, w.findings
from wholes w left join runs using (run_no)
where w.job = ? and w.doc_id = ? and w.parts
"""
"""A long document that is asked in parts, with the names of a document's columns."""
ATTEMPTS = """
select a.attempt_no, a.doc_id, runs.run_id, a.state, a.outcome, a.reason, a.turn, a.cause, a.status, a.error_type,
    a.message, a.stop_reason, a.api_request_id, a.model, r.max_tokens, a.input_tokens, a.cache_read_tokens,
    a.cache_write_5m_tokens + a.cache_write_1h_tokens as cache_write_tokens, a.output_tokens, a.thinking_tokens,
    coalesce(a.cost_nusd, a.reserved_nusd) / 1e9 as cost_usd, a.started_at, a.ended_at
from attempts a join runs using (run_no) join requests r using (request_no) where {} order by a.attempt_no
"""
LAST_REPLY = """
select raw from replies join attempts a using (attempt_no) where a.request_no = ? order by attempt_no desc limit 1
"""


def document_story(ledger: Ledger, job: str, doc_id: str) -> Mapping[str, Any] | None:
    """Read a document's status, its attempts from first to last, and the reply that came last.

    Returns None if the job has no such document.
    """
    document = next(_documents(ledger, "s.doc_id = ?", job, doc_id), None)
    if document is None:
        return _whole_story(ledger, job, doc_id)
    reply = ledger.connection.execute(LAST_REPLY, (document["request_no"],)).fetchone()
    attempts = _attempts(ledger, "a.request_no = ?", document["request_no"])
    return {**document, "attempts": attempts, "raw": reply[0] if reply else None}


def _whole_story(ledger: Ledger, job: str, doc_id: str) -> Mapping[str, Any] | None:
    """Read the same of a long document, whose attempts are those of its parts, and whose answer is no single reply."""
    whole = next(by_name(ledger.connection.execute(WHOLE, (job, doc_id))), None)
    if whole is None:
        return None
    of_parts = "a.request_no in (select request_no from documents where job = ? and whole = ?)"
    attempts = _attempts(ledger, of_parts, job, doc_id)
    cost = sum(attempt["cost_usd"] for attempt in attempts)
    provenance = json.loads(whole["provenance"] or "null")
    parts = _parts(ledger, job, doc_id, total=whole["total"])
    told = {"provenance": provenance, "findings": _read(whole["findings"]) or {}, "cost_usd": cost}
    return {**whole, **told, "attempts": attempts, "parts": parts, "raw": None}


def _parts(ledger: Ledger, job: str, doc_id: str, *, total: int) -> list[dict[str, Any]]:
    """Read the parts into which a document is cut now, in their order."""
    found = [
        {"number": name.number, **part}
        for part in _documents(ledger, "d.whole = ? and not d.merges", job, doc_id)
        if (name := segment_name(part["doc_id"])) and name.total == total
    ]
    return sorted(found, key=lambda part: int(part["number"]))


def _documents(ledger: Ledger, which: str, job: str, name: str) -> Iterator[dict[str, Any]]:
    rows = by_name(ledger.connection.execute(DOCUMENT.format(which), (job, name)))
    return ({**row, "turn": _read(row["turn"]), "findings": _read(row["findings"]) or {}} for row in rows)


def _attempts(ledger: Ledger, which: str, *names: object) -> list[dict[str, Any]]:
    rows = by_name(ledger.connection.execute(ATTEMPTS.format(which), names))
    return [{**row, "turn": _read(row["turn"])} for row in rows]


def _read(text: str | None) -> Any:
    return json.loads(text) if text else None
