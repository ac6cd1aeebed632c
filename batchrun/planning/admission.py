"""The rows of a plan become work of a run: requests, documents, and long documents that are asked in parts."""

from batchrun.documents.split import total_of
from batchrun.outcome import Outcome
from batchrun.planning.gone_documents import REASON
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.plan import Kind

ADMISSIBLE = """
from planned p left join requests r using (request_id)
where p.chosen and not (p.kind = 'too_large' and p.outcome is null) and (p.kind = 'again' or not exists (
    select 1 from documents d
    where d.job = :job and d.doc_id = p.doc_id and d.content_sha = p.content_sha and d.request_no is r.request_no
    and d.outcome is p.outcome and d.reason is p.reason and (p.outcome is not null or r.outcome is not null)
    and d.source_columns is coalesce(p.source_columns, d.source_columns)))
"""
"""All chosen documents except those that are exactly as the ledger has them, or for which the plan is refused."""
KEEPS_ITS_ROW = """
(excluded.outcome is null and (select outcome from requests where request_no = excluded.request_no) is null
 or excluded.outcome = 'unreadable' and excluded.content_sha = '')
"""
"""A document keeps its row while its answer is pending, or while it cannot be read; a failure removes the row."""
TRY_AGAIN = """
update requests set outcome = null, reason = null, attempt_no = null, turn = p.turn from planned p
where p.request_id = requests.request_id and p.chosen and p.kind = ?
"""
ADMIT_REQUESTS = """
insert into requests (request_id, model, counted_tokens, text_class, guessed, max_tokens, form_no, turn, partial)
select request_id, model, counted_tokens, text_class, guessed, asks_for, ?, turn, partial from planned
where chosen and model is not null
on conflict (request_id) do update set form_no = excluded.form_no where outcome is null
"""
"""How a reply is judged may change until the reply has come. A request that is kept has no model in the plan."""
RESTART = """
update requests set turn = p.turn, partial = p.partial from to_send p
where p.request_id = requests.request_id and requests.outcome is null
"""
KEEP_ANSWERS = """
update requests set outcome = 'succeeded', output = p.answer, findings = p.findings, attempt_no = o.attempt_no
from planned p join requests o on o.request_id = p.answered_by
where p.request_id = requests.request_id and p.chosen and p.answer is not null and requests.outcome is null
"""
"""A request that asks for nothing beyond an earlier answer is answered by it."""
ADMIT_DOCUMENTS = f"""
insert into documents (job, doc_id, source, content_sha, request_no, outcome, reason, max_tokens, place, note, pages,
    reader, bytes_sha, source_columns, settings, left_out, whole, row_request_no, run_no, seq, row_seq)
select :job, p.doc_id, p.source, p.content_sha, r.request_no, p.outcome, p.reason, p.max_tokens, p.place, p.note,
    p.pages, p.reader, p.bytes_sha, p.source_columns, :settings, case when p.outcome is not null then p.kind end,
    p.whole, case when r.outcome = 'succeeded' then r.request_no end, :run_no,
    :since + row_number() over (order by p.planned_no), :since + row_number() over (order by p.planned_no)
{ADMISSIBLE} order by p.planned_no
on conflict (job, doc_id) do update set source = excluded.source, content_sha = excluded.content_sha,
    request_no = excluded.request_no, outcome = excluded.outcome, reason = excluded.reason,
    max_tokens = excluded.max_tokens, run_no = excluded.run_no, seq = excluded.seq, place = excluded.place,
    note = excluded.note, pages = excluded.pages, reader = excluded.reader,
    source_columns = coalesce(excluded.source_columns, documents.source_columns), gone = 0,
    bytes_sha = excluded.bytes_sha, settings = excluded.settings, left_out = excluded.left_out, whole = excluded.whole,
    row_request_no = iif({KEEPS_ITS_ROW}, documents.row_request_no, excluded.row_request_no),
    row_seq = iif({KEEPS_ITS_ROW}, documents.row_seq, excluded.row_seq)
"""


class Admission:
    """The way from the temporary table of a plan, on a ledger's connection, into the ledger."""

    def __init__(self, ledger: Ledger, job: str, *, settings: str) -> None:
        self._connection = ledger.connection
        self._ledger = ledger
        self._job = job
        self._settings = settings
        self._since: int | None = None
        """The first sequence number of the admitted work; None before."""

    def anything(self) -> bool:
        """Whether the plan would change the ledger."""
        row = self._connection.execute(f"select 1 {ADMISSIBLE} limit 1", {"job": self._job}).fetchone()
        return row is not None

    def admit(self, *, run_no: int, form_no: int | None = None, restarts: bool = False) -> int:
        """Make the chosen documents work of a run, inside the caller's transaction. The call is safe to repeat.

        `form_no` is the number of the form in which requests are asked. With `restarts`, requests that are answered in
        part begin again. Returns the sequence number from which on this work begins: documents that the run left
        pending before have lower numbers. Documents that are answered and as the ledger has them are left untouched: a
        nightly run over a million finished documents writes nothing.
        """
        (count,) = self._connection.execute("select count(*) from planned").fetchone()
        since = self._ledger.next_seq(count + 1)  # a number for each document: the output takes documents in parts
        self._since = since
        self._connection.execute(TRY_AGAIN, (Kind.RETRY,))
        self._connection.execute(ADMIT_REQUESTS, (form_no,))
        if restarts:
            self._connection.execute(RESTART)
        self._connection.execute(KEEP_ANSWERS)
        named = {"job": self._job, "settings": self._settings, "run_no": run_no, "since": since}
        self._connection.execute(ADMIT_DOCUMENTS, named)
        self._admit_wholes()
        return since

    def _admit_wholes(self) -> None:
        """Record which documents are asked in parts now. A document is a whole or its parts, and never both."""
        job = {"job": self._job}
        wholes = self._connection.execute(
            "select whole, source, min(doc_id) from planned where whole is not null and chosen group by whole"
        )
        self._connection.executemany(
            "insert into wholes (job, doc_id, source, parts) values (?, ?, ?, ?)"
            " on conflict (job, doc_id) do update set source = excluded.source, parts = excluded.parts",
            [(self._job, doc_id, source, total_of(part_id)) for doc_id, source, part_id in wholes],
        )
        self._connection.execute(
            "delete from documents where job = :job and doc_id in"
            " (select doc_id from wholes where job = :job and doc_id not in (select doc_id from planned))",
            job,
        )
        short_now = (
            "from wholes where job = :job"
            " and exists (select 1 from planned p where p.doc_id = wholes.doc_id and p.chosen)"
        )
        self._connection.execute(
            f"insert or ignore into former_merges select merged_of {short_now} and merged_of is not null", job
        )
        self._connection.execute(f"delete {short_now}", job)
        # The parts of an earlier text, whose answers stay: if they come back, they are admitted as if they were new.
        self._connection.execute(
            "delete from documents where job = :job and whole is not null and ("
            " exists (select 1 from planned p where p.doc_id = documents.whole and p.chosen)"
            " or not merges and exists (select 1 from wholes w where w.job = :job and w.doc_id = documents.whole"
            "  and documents.doc_id not like '% of ' || w.parts || ']'))",
            job,
        )

    def set_aside_gone(self, *, run_no: int) -> None:
        """Set documents aside that the run was to send and that left the source; only after a plan of everything."""
        self._connection.execute(
            "update documents set outcome = ?, reason = ?, seq = ?"
            " where job = ? and run_no = ? and outcome is null"
            " and (select outcome from requests r where r.request_no = documents.request_no) is null"
            " and not exists (select 1 from planned p where p.doc_id = documents.doc_id)"
            " and not (merges and exists (select 1 from planned p where p.whole = documents.whole))",
            (Outcome.UNREADABLE, REASON, self._ledger.next_seq(), self._job, run_no),
        )

    def outcomes(self) -> dict[Outcome | None, int]:
        """Count the chosen documents by the outcome that they have now; None stands for pending.

        The requests that merge the answers over the parts of chosen documents count like documents.
        """
        rows = self._connection.execute(
            "select ended, count(*) from (select coalesce(d.outcome, r.outcome) as ended from planned p"
            " join documents d on d.job = :job and d.doc_id = p.doc_id left join requests r using (request_no)"
            " where p.chosen union all select coalesce(d.outcome, r.outcome) from documents d"
            " left join requests r using (request_no) where d.job = :job and d.merges and (d.seq >= :since"
            "  or d.whole in (select whole from planned where chosen and whole is not null))) group by 1",
            {"job": self._job, "since": self._since},
        )
        return {outcome and Outcome(outcome): count for outcome, count in rows}
