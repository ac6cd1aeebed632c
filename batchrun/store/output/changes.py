"""The changes of the ledger since a sequence number, in slices of rows that fit into memory whatever their sizes."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.corrections import CORRECTIONS
from batchrun.store.output.schema import MOST_USD

Row = Sequence[Any]

GROUP = 2_000
"""How many rows a slice has at most."""
GROUP_CHARACTERS = 4_000_000
"""How much text a slice has at most, unless a single row has more."""

RESULTS = f"""
select d.doc_id, r.output, r.request_id, coalesce(runs.run_id, adopted.run_id),
    coalesce(strftime('%Y-%m-%d %H:%M:%f', a.ended_at, 'unixepoch'), adopted.finished_at),
    coalesce(a.model, adopted.model), d.source_columns, r.findings,
    ({CORRECTIONS.format(table="d", request_id="r.request_id")})
from documents d
join requests r on r.request_no = d.row_request_no
left join attempts a on a.attempt_no = r.attempt_no
left join runs on runs.run_no = a.run_no
left join adopted on adopted.request_no = r.request_no
where d.job = :job and d.row_seq > :after and d.row_seq <= :until and d.whole is null
union all
select w.doc_id, w.output, coalesce(w.request_id, w.merged_of), runs.run_id,
    strftime('%Y-%m-%d %H:%M:%f', w.finished_at, 'unixepoch'), w.model,
    (select d.source_columns from documents d where d.job = w.job and d.whole = w.doc_id limit 1), w.findings,
    ({CORRECTIONS.format(table="w", request_id="coalesce(w.request_id, w.merged_of)")})
from wholes w left join runs using (run_no)
where w.job = :job and w.row_seq > :after and w.row_seq <= :until and w.output is not null
"""
"""The rows of documents, and of long documents whose parts have no rows, each with what people have corrected."""
GONE = """
select d.doc_id, strftime('%Y-%m-%d %H:%M:%f', a.ended_at, 'unixepoch')
from documents d
left join requests r using (request_no)
left join attempts a on a.attempt_no = r.attempt_no
where d.job = :job and d.row_seq > :after and d.row_seq <= :until and d.row_request_no is null
    and coalesce(d.outcome, r.outcome) is not null
union all
select doc_id, strftime('%Y-%m-%d %H:%M:%f', finished_at, 'unixepoch')
from wholes where job = :job and row_seq > :after and row_seq <= :until and output is null and merged_of is not null
"""
"""A document keeps the row that it has while its answer is pending."""
DOCUMENTS = """
select s.doc_id, s.source, s.status, s.reason, s.request_id, s.run_id, d.note
from document_status s join documents d using (document_no) where s.job = :job and s.seq > :after and s.seq <= :until
union all
select w.doc_id, w.source, iif(w.output is null, 'errored', 'succeeded'), w.reason,
    coalesce(w.request_id, w.merged_of), runs.run_id, null
from wholes w left join runs using (run_no) where w.job = :job and w.seq > :after and w.seq <= :until
"""
ATTEMPTS = """
select a.attempt_no, runs.run_id, a.doc_id, r.request_id, a.state, a.outcome, a.cause, a.status, a.error_type,
    a.error_code, a.message, a.stop_reason, a.api_request_id, a.model, a.input_tokens,
    a.cache_write_5m_tokens + a.cache_write_1h_tokens, a.cache_read_tokens, a.output_tokens,
    coalesce(a.cost_nusd, a.reserved_nusd) / 1e9,
    strftime('%Y-%m-%d %H:%M:%f', a.started_at, 'unixepoch'), strftime('%Y-%m-%d %H:%M:%f', a.ended_at, 'unixepoch'),
    a.latency_s, a.first_byte_s,
    (select json_group_object(tag, value) from run_tags t where t.run_no = a.run_no having count(*)),
    iif(a.cost_nusd is null, a.reserved_nusd, 0) / 1e9, a.thinking_tokens
from attempts a join runs using (run_no) join requests r using (request_no)
where a.job = :job and a.seq > :after and a.seq <= :until
"""
RUNS = f"""
select run_id, model, state, exit_code, simulated, documents, to_send, min(estimate_nusd / 1e9, {MOST_USD}),
    committed_nusd / 1e9, min(cap_nusd / 1e9, {MOST_USD}), strftime('%Y-%m-%d %H:%M:%f', started_at, 'unixepoch'),
    strftime('%Y-%m-%d %H:%M:%f', ended_at, 'unixepoch'), note,
    (select json_group_object(tag, value) from run_tags t where t.run_no = runs.run_no having count(*)),
    (select coalesce(sum(reserved_nusd), 0) from attempts a where a.run_no = runs.run_no and cost_nusd is null) / 1e9
from runs where job = ?
"""
"""Times are text in UTC, as the time zone of the connection to DuckDB is."""
QUERIES = {"gone": GONE, "results": RESULTS, "documents": DOCUMENTS, "attempts": ATTEMPTS}


FIRST = 10_000
"""How many documents tell the types of new columns. Documents after them may make a type wider."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some changes of one kind, a key of `QUERIES`."""

    kind: str
    rows: list[Row]
    characters: int
    """The length of all texts in the rows."""


def changes(ledger: Ledger, job: str, *, after: int, until: int) -> Generator[Slice, None, None]:
    """Read the job's changes after a sequence number, up to and including another one."""
    between = {"job": job, "after": after, "until": until}
    for kind, query in QUERIES.items():
        with closing(ledger.connection.execute(query, between)) as rows:
            some, characters = list[Row](), 0
            for row in rows:
                some.append(row)
                characters += sum(len(value) for value in row if isinstance(value, str))
                if len(some) == GROUP or characters >= GROUP_CHARACTERS:
                    yield Slice(kind, some, characters)
                    some, characters = [], 0
        if some:
            yield Slice(kind, some, characters)


def first_source_columns(ledger: Ledger, job: str) -> Iterator[str]:
    """Read what the first documents have for the columns of the source, as JSON."""
    query = "select source_columns from documents where job = ? and source_columns is not null limit ?"
    return (text for (text,) in ledger.connection.execute(query, (job, FIRST)))


def runs(ledger: Ledger, job: str) -> list[Row]:
    """Read all runs of the job, which are few."""
    return ledger.connection.execute(RUNS, (job,)).fetchall()


def until(ledger: Ledger, job: str, *, after: int) -> int:
    """Find the sequence number at which a slice of documents or attempts is reached, or else the head.

    A sequence number may stand for any number of documents: all that are identical get their answer at once.
    """
    candidates = [ledger.head(job)]
    for table in ("documents", "attempts", "wholes"):
        row = ledger.connection.execute(
            f"select seq from {table} where job = ? and seq > ? order by seq limit 1 offset ?",
            (job, after, GROUP - 1),
        ).fetchone()
        if row:
            candidates.append(row[0])
    return min(candidates)
