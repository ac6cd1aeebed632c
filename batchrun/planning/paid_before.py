"""Documents to send whose answer is a row of the output already, because the ledger was lost or is an older copy.

A document counts whichever model of the chain gave its row.
"""

from collections.abc import Iterator
from contextlib import closing

from batchrun.planning.plan_rows import SENT
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.stored_rows import StoredRow, StoredRows
from batchrun.strategy.plan import Kind

AT_ONCE = 10_000
"""How many requests are looked up in one query."""
ROWS_AT_ONCE = 100
CANDIDATES = f"""
select p.planned_no, asked.key from planned p, json_each(coalesce(p.asked, json_object(p.request_id, p.model))) asked
    left join requests r on r.request_id = asked.key
where p.chosen and p.kind in ({SENT}, '{Kind.IDENTICAL}', '{Kind.FAILED}') and r.outcome is not 'succeeded'
order by p.planned_no, asked.id
"""
"""Requests to each model of the chain that the ledger has no answer to."""
ADOPT_REQUEST = """
insert into requests (request_id, model, counted_tokens, text_class, guessed, outcome, output)
select paid, coalesce(json_extract(asked, '$."' || paid || '"'), model), coalesce(counted_tokens, 1), text_class,
    guessed, 'succeeded', ?
from planned where paid = ? limit 1
on conflict (request_id) do update set outcome = 'succeeded', reason = null, output = excluded.output, attempt_no = null
returning request_no
"""
ADOPT_DOCUMENTS = """
insert into documents (job, doc_id, source, content_sha, request_no, max_tokens, row_request_no, run_no, seq, row_seq)
select :job, doc_id, source, content_sha, :request_no, max_tokens, :request_no, :run_no, :seq, :seq
from planned where paid = :request_id
on conflict (job, doc_id) do update set source = excluded.source, content_sha = excluded.content_sha,
    request_no = excluded.request_no, outcome = null, reason = null, max_tokens = excluded.max_tokens,
    row_request_no = excluded.row_request_no, run_no = excluded.run_no, seq = excluded.seq, row_seq = excluded.row_seq
"""


class PaidBefore:
    """The documents of a plan on a ledger's connection that were paid for before."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._job = job

    def mark(self, rows: StoredRows) -> None:
        """Mark the chosen documents that have rows."""
        with closing(self._connection.execute(CANDIDATES)) as candidates:
            while some := candidates.fetchmany(AT_ONCE):
                found = rows.with_row([request_id for _, request_id in some])
                paid = [(request_id, number) for number, request_id in some if request_id in found]
                self._connection.executemany("update planned set paid = ? where planned_no = ?", paid)

    def request_ids(self) -> Iterator[list[str]]:
        """List the requests of the marked documents, some at a time."""
        with closing(self._connection.execute("select distinct paid from planned where paid is not null")) as marked:
            while some := marked.fetchmany(ROWS_AT_ONCE):
                yield [request_id for (request_id,) in some]

    def adopt(self, row: StoredRow, *, run_no: int) -> int:
        """Settle a request by a row, inside the caller's transaction. Returns how many documents have it now.

        Nothing was sent for the request as far as the ledger knows: there is no attempt, and no cost.
        """
        (request_no,) = self._connection.execute(ADOPT_REQUEST, (row.answer, row.request_id)).fetchone()
        self._connection.execute(
            "insert or replace into adopted values (?, ?, ?, ?, ?)",
            (request_no, run_no, row.run_id, row.finished_at, row.model),
        )
        named = {"job": self._job, "request_no": request_no, "run_no": run_no, "request_id": row.request_id}
        return self._connection.execute(ADOPT_DOCUMENTS, named | {"seq": self._ledger.next_seq()}).rowcount
