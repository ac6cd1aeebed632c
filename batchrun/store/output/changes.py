"""The changes of the ledger since a sequence number, as lists that DuckDB can unnest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.store.ledger.ledger import Ledger

Row = Sequence[Any]

RESULTS = """
select d.doc_id, r.output, r.request_id, runs.run_id, strftime('%Y-%m-%d %H:%M:%f', a.ended_at, 'unixepoch'), a.model
from documents d
join requests r on r.request_no = d.row_request_no
join attempts a on a.attempt_no = r.attempt_no
join runs on runs.run_no = a.run_no
where d.job = ? and d.row_seq > ? and d.row_seq <= ?
"""
GONE = "select doc_id from documents where job = ? and row_seq > ? and row_seq <= ? and row_request_no is null"
DOCUMENTS = """
select doc_id, source, status, reason, request_id, run_id
from document_status where job = ? and seq > ? and seq <= ?
"""
ATTEMPTS = """
select a.attempt_no, runs.run_id, a.doc_id, r.request_id, a.state, a.outcome, a.cause, a.status, a.error_type,
    a.error_code, a.message, a.stop_reason, a.api_request_id, a.model, a.input_tokens,
    a.cache_write_5m_tokens + a.cache_write_1h_tokens, a.cache_read_tokens, a.output_tokens,
    coalesce(a.cost_nusd, a.reserved_nusd) / 1e9,
    strftime('%Y-%m-%d %H:%M:%f', a.started_at, 'unixepoch'), strftime('%Y-%m-%d %H:%M:%f', a.ended_at, 'unixepoch'),
    a.latency_s, a.first_byte_s
from attempts a join runs using (run_no) join requests r using (request_no)
where a.job = ? and a.seq > ? and a.seq <= ?
"""
RUNS = """
select run_id, model, state, exit_code, simulated, documents, to_send, estimate_nusd / 1e9, committed_nusd / 1e9,
    cap_nusd / 1e9, strftime('%Y-%m-%d %H:%M:%f', started_at, 'unixepoch'),
    strftime('%Y-%m-%d %H:%M:%f', ended_at, 'unixepoch'), note
from runs where job = ?
"""
"""Times are text that DuckDB casts to a TIMESTAMP in UTC."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of one job after a position, up to and including `until`."""

    until: int
    results: list[Row]
    gone: list[Row]
    documents: list[Row]
    attempts: list[Row]


def changes(ledger: Ledger, job: str, *, after: int, limit: int) -> Changes:
    """Read the next changes: at most about `limit` documents and as many attempts, in whole transactions."""
    until = _until(ledger, job, after, limit)
    window = (job, after, until)

    def rows(query: str) -> list[Row]:
        return ledger.connection.execute(query, window).fetchall()

    return Changes(until, rows(RESULTS), rows(GONE), rows(DOCUMENTS), rows(ATTEMPTS))


def runs(ledger: Ledger, job: str) -> list[Row]:
    """Read all runs of the job, which are few."""
    return ledger.connection.execute(RUNS, (job,)).fetchall()


def _until(ledger: Ledger, job: str, after: int, limit: int) -> int:
    """Find the sequence number at which `limit` documents or attempts are reached, or else the head."""
    candidates = [ledger.head(job)]
    for table in ("documents", "attempts"):
        row = ledger.connection.execute(
            f"select seq from {table} where job = ? and seq > ? order by seq limit 1 offset ?",
            (job, after, limit),
        ).fetchone()
        if row:
            candidates.append(row[0])
    return min(candidates)
