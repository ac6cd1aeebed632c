"""Documents that have a row in the output and are no longer in the source, by a plan of everything.

A file that cannot be read today is not gone, and neither is what was in a folder that cannot be listed today.
"""

from collections.abc import Iterator

from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.sqlite_errors import explained

REASON = "it is no longer in the source"
MISSING = """
select d.doc_id, d.source from documents d
where d.job = :job and d.row_request_no is not null and d.whole is null
    and not exists (select 1 from planned p where p.doc_id = d.doc_id)
union all
select w.doc_id, w.source from wholes w
where w.job = :job and w.output is not null and w.doc_id not in (select whole from planned where whole is not null)
    and not exists (select 1 from planned p where p.doc_id = w.doc_id)
"""
"""Documents with a row, also those whose row comes from parts; the parts themselves have none."""
NEWS = """
select 1 from gone_documents join {0} d using (doc_id) where d.job = :job and (:drops or not d.gone)
union all
select 1 from {0} where job = :job and gone and doc_id not in (select doc_id from gone_documents)
limit 1
"""
GONE = "update {} set gone = 1 where job = :job and doc_id in (select doc_id from gone_documents) and not gone"
BACK = "update {} set gone = 0 where job = :job and gone and doc_id not in (select doc_id from gone_documents)"
DROP = {
    "documents": """
update documents set outcome = :outcome, reason = :reason, left_out = null, row_request_no = null, gone = 0,
    seq = :seq, row_seq = :seq
where job = :job and doc_id in (select doc_id from gone_documents)
""",
    "wholes": """
update wholes set parts = 0, merged_of = '', output = null, provenance = null, reason = :reason, gone = 0,
    seq = :seq, row_seq = :seq
where job = :job and doc_id in (select doc_id from gone_documents)
""",
}
"""How rows are dropped from the tables that have some. A document without parts waits until its parts are planned."""


class GoneDocuments:
    """The documents that one plan lacks, in a temporary table of the ledger's connection."""

    def __init__(self, ledger: Ledger, job: str, *, drops: bool) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._named = {"job": job, "drops": drops}
        self._drops = drops
        self._is_known = False
        self._connection.execute("drop table if exists temp.gone_documents")
        self._connection.execute("create temp table gone_documents (doc_id text primary key) without rowid")

    def find(self) -> int:
        """Find the documents, after a plan of everything. Returns how many there are."""
        with explained(self._ledger.path):
            self._connection.execute("begin")
            found = self._connection.executemany("insert into gone_documents values (?)", self._missing()).rowcount
            self._connection.execute("commit")
        self._is_known = True
        return max(0, found)  # without a row, the count is -1

    def anything_to_record(self) -> bool:
        """Whether the ledger does not have it yet which documents are gone, or has rows of theirs to drop."""
        queries = (NEWS.format(table) for table in DROP)
        return self._is_known and any(self._connection.execute(query, self._named).fetchone() for query in queries)

    def record(self) -> None:
        """Record, in a transaction, which documents are gone. Their rows leave the output if the job drops them.

        The answers stay in the ledger: a document that comes back has its row again for nothing.
        """
        if not self._is_known:
            return
        values = self._named | {"outcome": Outcome.SKIPPED, "reason": REASON, "seq": self._ledger.next_seq()}
        for table, drop in DROP.items():
            self._connection.execute(BACK.format(table), self._named)
            self._connection.execute(drop if self._drops else GONE.format(table), values)

    def _missing(self) -> Iterator[tuple[str]]:
        unread: set[str] | None = None
        for doc_id, source in self._connection.execute(MISSING, self._named):
            if unread is None:
                query = "select source from planned where kind = 'unreadable'"
                unread = {path for (path,) in self._connection.execute(query)}
            if not is_below(source, unread):
                yield (doc_id,)


def gone_rows(ledger: Ledger, job: str) -> int:
    """Count the rows of a job's documents that the last plan of everything did not find."""
    query = (
        "select (select count(*) from documents where job = :job and gone and row_request_no is not null)"
        " + (select count(*) from wholes where job = :job and gone and output is not null)"
    )
    return int(ledger.connection.execute(query, {"job": job}).fetchone()[0])


def is_below(source: str, unread: set[str]) -> bool:
    """Whether a source is part of a file, or lies in a folder, that could not be read."""
    ends = (end for end, character in enumerate(source) if character in "/#")
    return bool(unread) and any(source[:end] in unread for end in ends)
