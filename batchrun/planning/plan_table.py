"""A plan's documents, one row each, in a temporary table of the ledger's connection: a million need no memory.

Planning fills the table and queries it. `Admission` turns its rows into work of a run. The table vanishes with the
connection.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from batchrun.document import DocumentRef
from batchrun.documents.split import merging_id
from batchrun.errors import UsageProblem
from batchrun.estimation.estimate import RequestTokens
from batchrun.estimation.text_class import TextClass
from batchrun.planning.admission import Admission
from batchrun.planning.plan_rows import (
    COLUMNS,
    DEFAULTS,
    INDEXES,
    RARE,
    SENT,
    TABLE,
    Filled,
    PlanColumns,
    Planned,
    columns_of,
)
from batchrun.planning.plan_tokens import PlannedTokens
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.sqlite_errors import explained
from batchrun.strategy.plan import Kind, PlanProblem
from batchrun.strategy.reading_notes import grouped_notes, guessed_encoding

MOSTLY = 0.5
"""From which share on a text is told that is markup or base64."""
SUMS = f"""
with kinds as materialized (
    select kind, kind in ({SENT}) as sent, count(*) as documents, sum(older) as older,
        sum(same_text and partial is null) as same_text, sum(guessed) as guessed, count(paid) as paid,
        max(max_tokens) as max_tokens, max(worst_nusd) as worst_nusd, max(worst_tokens) as worst_tokens
    from planned where chosen group by kind
)
select json_group_object(kind, documents), coalesce(sum(older), 0),
    coalesce(sum(same_text) filter (where kind = '{Kind.CHANGED}'), 0), coalesce(sum(guessed) filter (where sent), 0),
    coalesce(sum(paid) filter (where sent), 0), coalesce(max(max_tokens) filter (where sent), 0),
    coalesce(max(worst_nusd) filter (where sent), 0), coalesce(max(worst_tokens) filter (where sent), 0)
from kinds
"""


class PlanSums(NamedTuple):
    """What the chosen documents of a plan come to."""

    older: int = 0
    """How many documents keep the request of a text that an older reader found."""
    same_text: int = 0
    """How many changed documents have the same text as before, and are asked for everything."""
    guessed: int = 0
    """How many documents to send have tokens that are guessed."""
    paid_before: int = 0
    """How many documents to send have a row in the output, unknown to the ledger."""
    most_max_tokens: int = 0
    """The largest `max_tokens` of the requests to send that do not have the job's; 0 if there are none."""
    worst_nusd: int = 0
    """The most that one of the requests to send may cost."""
    worst_tokens: int = 0
    """The most tokens that one of the requests to send may use."""


class PlannedDocuments:
    """The plan's rows on a ledger's connection."""

    def __init__(self, ledger: Ledger, job: str, *, settings: str = "") -> None:
        self._connection = ledger.connection
        self._ledger = ledger
        self._job = job
        self._sums: tuple[int, dict[Kind, int], PlanSums] = -1, {}, PlanSums()
        """The counts and sums that were found last, after the number of changes until then."""
        self._connection.execute("pragma temp_store = file")
        self._connection.execute("pragma page_size = 16384")  # of what is temporary: the plan is read as a whole
        self._connection.execute("drop view if exists temp.planned_status")
        self._connection.execute("drop view if exists temp.to_send")
        self._connection.execute("drop table if exists temp.planned")
        self._connection.executescript(TABLE)
        self._used, self._added = Filled(), 0
        self.tokens = PlannedTokens(self._connection, job, self._used)
        self.admission = Admission(ledger, job, settings=settings)

    def add(self, page: Sequence[Planned]) -> None:
        """Add some documents, in any order."""
        self.add_columns(columns_of(page))

    def add_columns(self, columns: PlanColumns) -> None:
        """Add some documents, in any order, by their columns."""
        # Most columns have but their default, and a None takes five times as long to add as a number or a text.
        filled = {name: some for name, some in columns.items() if some.count(DEFAULTS.get(name)) < len(some)}
        if not filled:
            return
        self._used.update(filled)
        self._added += len(columns["planned_no"])
        with explained(self._ledger.path):
            self._connection.execute("begin")
            self._connection.executemany(
                f"insert into planned ({', '.join(filled)}) values ({', '.join('?' * len(filled))})",
                zip(*filled.values(), strict=True),
            )
            self._connection.execute("commit")

    def finish(self) -> list[str]:
        """Make the plan ready for queries, when all documents are added. Returns the ids that occur twice."""
        (rows,) = self._connection.execute("select count(*) from planned").fetchone()
        self._used.update(COLUMNS if rows != self._added else ())  # rows of settled files are added by a query
        rare = (f"create index planned_{one} on planned ({one}) where {one} is not null;" for one in RARE & self._used)
        with explained(self._ledger.path):
            try:
                self._connection.executescript(INDEXES + "".join(rare))
            except sqlite3.IntegrityError:
                query = "select doc_id from planned group by doc_id having count(*) > 1 order by min(planned_no)"
                return [doc_id for (doc_id,) in self._connection.execute(query)]
            wholes = self._connection.execute("select distinct whole from planned where whole is not null")
            taken = "select 1 from planned where doc_id = ?"
            ids = (merging_id(doc_id) for (doc_id,) in wholes)
            return [one for one in ids if self._connection.execute(taken, (one,)).fetchone()]

    def sums(self) -> PlanSums:
        """Add up what is asked of all chosen documents, in one reading of the plan."""
        changes = self._connection.total_changes
        if changes != self._sums[0]:
            counts, *sums = self._connection.execute(SUMS).fetchone()
            self._sums = changes, {Kind(kind): number for kind, number in json.loads(counts).items()}, PlanSums(*sums)
        return self._sums[2]

    def in_parts(self) -> tuple[int, int]:
        """Count the documents that are asked in parts, and the chosen parts."""
        query = "select count(distinct whole), count(*) from planned where chosen and whole is not null"
        documents, parts = self._connection.execute(query).fetchone()
        return int(documents), int(parts)

    def notes(self) -> dict[str, int]:
        """Count the chosen documents by what had to be done to read them; similar notes count together."""
        some = self._used.some("note")
        query = f"select note, count(*) from planned where chosen and {some} and whole is null group by note"
        return grouped_notes(self._connection.execute(query))

    def mostly_markup(self) -> tuple[Mapping[TextClass, int], int, tuple[str, float] | None]:
        """Count what is sent and is more than half markup or base64.

        Returns cl100k tokens by class of text, the number of documents, and the worst document with its share.
        """
        rows = self._connection.execute(
            "select text_class, sum(coalesce(counted_tokens, 0)), count(*) from to_send"
            f" where {self._used.some('markup', f'> {MOSTLY}')} group by text_class"
        ).fetchall()
        query = f"select doc_id, markup from to_send where markup > {MOSTLY} order by markup desc, planned_no limit 1"
        worst = self._connection.execute(query).fetchone() if rows else None
        return {TextClass(kind): tokens for kind, tokens, _ in rows}, sum(number for *_, number in rows), worst

    def guessed_encodings(self, *, limit: int) -> list[tuple[str, str]]:
        """List the first chosen documents in a guessed encoding, by id, each with its encoding."""
        some = self._used.some("note", "like '%(guessed%'")
        query = f"select doc_id, note from planned where chosen and {some} order by planned_no"
        found = ((doc_id, guessed_encoding(note)) for doc_id, note in self._connection.execute(query))
        return list(islice(((doc_id, codec) for doc_id, codec in found if codec), limit))

    def unknown_columns(self, names: Iterable[str]) -> list[str]:
        """List those of the columns of the source that no document has that was read for this plan."""
        missing, read = set(names), False
        if not missing:
            return []
        rows = self._connection.execute("select source_columns from planned where source_columns is not null")
        for (text,) in rows:
            read = True
            missing.difference_update(json.loads(text))
            if not missing:
                break
        return sorted(missing) if read else []

    def choose(self, where: str) -> None:
        """Keep only the documents for which an SQL condition holds. Raises UsageProblem if the condition is no SQL."""
        try:
            self._connection.execute(
                "update planned set chosen = 0 where planned_no not in"
                f" (select planned_no from planned_status where ({where}\n))"
            )
        except sqlite3.Error as error:
            raise UsageProblem(
                f"--where is not a condition over the documents: {error}.",
                hint='columns: id, source, kind, status, reason, tokens; for example --where "tokens > 1000"',
            ) from error

    def mark_identical(self) -> None:
        """Let only the first of the chosen documents that make the same request send it."""
        self._connection.execute(
            f"update planned set kind = ? where chosen and kind in ({SENT}) and request_id in ("
            "  select request_id from planned where request_id is not null group by 1 having count(*) > 1)"
            " and exists (select 1 from planned first where first.request_id = planned.request_id and first.chosen"
            "  and first.planned_no < planned.planned_no)",
            (Kind.IDENTICAL,),
        )

    def first(self, count: int) -> None:
        """Keep the first `count` documents."""
        self._keep("planned where chosen", count)

    def next(self, count: int) -> None:
        """Keep the first `count` documents that would be sent, and no others."""
        self._keep("to_send", count)

    def _keep(self, those: str, count: int) -> None:
        kept = f"select planned_no from {those} order by planned_no limit ?"
        self._connection.execute(f"update planned set chosen = 0 where planned_no not in ({kept})", (count,))

    def sends(self) -> bool:
        """Whether any document is to be sent."""
        return self._connection.execute("select 1 from to_send limit 1").fetchone() is not None

    def counts(self) -> dict[Kind, int]:
        """Count the chosen documents of each kind."""
        self.sums()
        return self._sums[1]

    def each(self) -> Iterator[tuple[str, Kind, str | None, RequestTokens | None, str | None]]:
        """Yield the chosen documents: the id, the kind, why the document is not sent, its tokens, and its note."""
        rows = self._connection.execute(
            "select doc_id, kind, reason, counted_tokens, text_class, guessed, note from planned where chosen"
            " order by planned_no"
        )
        for doc_id, kind, reason, counted, text_class, guessed, note in rows:
            tokens = None if counted is None else RequestTokens(counted, TextClass(text_class), bool(guessed))
            yield doc_id, Kind(kind), reason, tokens, note

    def digest(self) -> str:
        """Hash the ids of the documents to send, and the ids of their requests."""
        found, quoted = hashlib.sha256(), json.encoder.encode_basestring_ascii
        # The plus has the rows read as they stand and then sorted, instead of looked up one by one.
        rows = self._connection.execute("select doc_id, request_id from to_send order by +doc_id")
        while some := rows.fetchmany(1_000):
            found.update("".join([f"[{quoted(doc_id)}, {quoted(request_id)}]" for doc_id, request_id in some]).encode())
        return found.hexdigest()

    def asked(self) -> dict[str, str]:
        """Map the documents to send, except parts of documents, to the ids of their requests."""
        return dict(self._connection.execute("select doc_id, request_id from to_send where whole is null").fetchall())

    def drawn(self, documents: int, *, among: Iterable[str] | None) -> tuple[int, list[DocumentRef]]:
        """Draw so many of the documents to send, evenly over class and size; parts of documents are never drawn.

        `among` has the ids of the documents that may be drawn, None for all. Returns how many may be drawn, and those
        that were.
        """
        numbered = (
            "select doc_id, source, place, row_number() over (order by text_class, bytes, planned_no) - 1 as place_no"
            " from to_send where whole is null and (:among is null or doc_id in (select value from json_each(:among)))"
        )
        named = {"among": None if among is None else json.dumps(list(among))}
        (possible,) = self._connection.execute(f"select count(*) from ({numbered})", named).fetchone()
        step = max(possible / documents, 1.0)
        wanted = json.dumps([int((at + 0.5) * step) for at in range(min(documents, possible))])
        rows = self._connection.execute(
            f"select doc_id, source, place from ({numbered}) where place_no in (select value from json_each(:wanted))",
            {**named, "wanted": wanted},
        )
        return int(possible), [DocumentRef(*ref) for ref in rows]

    def reused(self) -> dict[str, int]:
        """Count the answered documents that this job has not asked about, by the job whose answer they have."""
        rows = self._connection.execute(
            "select coalesce(a.job, :job), count(*) from planned p cross join requests r using (request_id)"
            " left join attempts a on a.attempt_no = r.attempt_no where p.chosen and p.kind = :kind and p.request_id is"
            "  not (select o.request_id from documents d join requests o using (request_no)"
            "   where d.job = :job and d.doc_id = p.doc_id)"
            " group by 1 order by 1",
            {"job": self._job, "kind": Kind.REUSABLE},
        )
        return dict(rows.fetchall())

    def awaited_of(self) -> list[str]:
        """List the other jobs whose open batches have requests of chosen documents: these jobs collect the answers."""
        rows = self._connection.execute(
            "select distinct a.job from planned p join requests r using (request_id) join attempts a using (request_no)"
            " where p.chosen and p.kind = ? and a.state = 'open' and a.batch_no is not null and a.job != ? order by 1",
            (Kind.IN_BATCH, self._job),
        )
        return [job for (job,) in rows]

    def missing(self, doc_ids: Iterable[str]) -> list[str]:
        """List those of the ids that no document has, split or not."""
        rows = self._connection.execute(
            "select value from json_each(?) where value not in"
            " (select doc_id from planned union all select whole from planned where whole is not null)",
            (json.dumps(sorted(doc_ids)),),
        )
        return [doc_id for (doc_id,) in rows]

    def problems(self, *, limit: int) -> tuple[PlanProblem, ...]:
        """List the first chosen documents that are not sent as they are."""
        rows = self._connection.execute(
            "select doc_id, kind, coalesce(reason, '') from planned"
            f" where chosen and {self._used.some('reason')} and kind in (?, ?, ?)"
            " order by kind = ? desc, planned_no limit ?",
            (Kind.TOO_LARGE, Kind.EMPTY, Kind.UNREADABLE, Kind.TOO_LARGE, limit),
        )
        return tuple(PlanProblem(doc_id, Kind(kind), reason) for doc_id, kind, reason in rows)
