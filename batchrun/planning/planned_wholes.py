"""The documents of a plan that are asked in parts, from the plan's temporary table on a ledger's connection."""

from collections.abc import Iterator
from typing import NamedTuple

from batchrun.documents.split import segment_name, total_of
from batchrun.planning.plan_rows import SENT
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.wholes import Whole, part_answers
from batchrun.strategy.plan import Kind

UNSETTLED = f"{SENT}, '{Kind.IN_BATCH}', '{Kind.IDENTICAL}'"
PARTS = """
select p.doc_id, coalesce(p.note, ''), coalesce(p.outcome, r.outcome), r.reason, r.request_id, r.output, r.model,
    null, null, r.findings
from planned p left join requests r using (request_id) where p.whole = ?
"""
"""The parts of a document as `part_answers` takes them."""


class PlannedWhole(NamedTuple):
    """A document of the plan that is asked in parts."""

    doc_id: str
    total: int
    """How many parts the document has, chosen or not."""
    has_last: bool
    """Whether the last part is chosen."""
    unsettled: int
    """How many chosen parts have no answer yet."""
    failed: int
    """How many chosen parts will have no answer."""


def planned_wholes(ledger: Ledger) -> Iterator[PlannedWhole]:
    """Yield the documents that have chosen parts."""
    rows = ledger.connection.execute(
        f"select whole, doc_id, max(planned_no), sum(kind in ({UNSETTLED})),"
        f" sum(kind not in ({UNSETTLED}, '{Kind.REUSABLE}'))"
        " from planned where chosen and whole is not null group by whole order by 3"
    )
    for doc_id, last_id, _, unsettled, failed in rows:
        name = segment_name(last_id)
        total = total_of(last_id)
        yield PlannedWhole(doc_id, total, name is not None and name.number == total, unsettled, failed)


def planned_whole(ledger: Ledger, doc_id: str) -> Whole | None:
    """Read a document with all its parts as the plan has them. Returns None if parts of it are not in the plan."""
    rows = ledger.connection.execute(PARTS, (doc_id,)).fetchall()
    parts = part_answers(rows, total_of(rows[0][0])) if rows else []
    return Whole(0, doc_id, "", None, parts) if parts and len(parts) == parts[0].total else None
