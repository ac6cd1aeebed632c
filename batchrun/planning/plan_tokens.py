"""How many tokens a plan's documents have: weighed, counted or guessed, one by one and added up."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from batchrun.document import DocumentRef
from batchrun.estimation.estimate import RequestTokens
from batchrun.estimation.estimate_sum import Group
from batchrun.estimation.sampling import DocumentSize, Ratio
from batchrun.estimation.text_class import TextClass
from batchrun.strategy.plan import Kind

SENT = json.dumps([kind for kind in Kind if kind.sent])
AWAITED = json.dumps([kind for kind in Kind if kind.sent or kind is Kind.IN_BATCH])


class Which(Enum):
    """Which of the chosen documents are added up."""

    TO_SEND = "to send"
    AWAITED = "to send, or in a batch under way"
    STILL_PENDING = "to send, admitted by now, and without an outcome"


_COUNTED = "select planned.counted_tokens, planned.text_class, planned.guessed from planned"
_IN_ORDER = "order by planned_no limit :first"
CHOSEN = {
    Which.TO_SEND: f"{_COUNTED} where chosen and kind in (select value from json_each(:sent)) {_IN_ORDER}",
    Which.AWAITED: f"{_COUNTED} where chosen and kind in (select value from json_each(:awaited)) {_IN_ORDER}",
    Which.STILL_PENDING: f"""
        {_COUNTED} join documents d on d.job = :job and d.doc_id = planned.doc_id join requests r using (request_no)
        where chosen and kind in (select value from json_each(:sent)) and d.outcome is null and r.outcome is null
        {_IN_ORDER}
    """,
}


@dataclass(frozen=True, slots=True)
class PlannedDocument:
    """A document of the plan, to be read once more."""

    planned_no: int
    ref: DocumentRef
    content_sha: str
    max_tokens: int | None


class PlannedTokens:
    """Asks and fills the columns of tokens in the temporary table of a plan; see `PlannedDocuments`."""

    def __init__(self, connection: sqlite3.Connection, job: str) -> None:
        self._connection = connection
        self._job = job

    # --- one by one

    def uncounted(self) -> Iterator[tuple[int, DocumentSize]]:
        """Chosen documents to send that were not counted yet, as number and size, by class and size."""
        rows = self._connection.execute(
            "select planned_no, bytes, text_class from planned"
            " where chosen and counted_tokens is null and kind in (select value from json_each(?))"
            " order by text_class, bytes, planned_no",
            (SENT,),
        )
        return ((planned_no, DocumentSize(size, TextClass(kind))) for planned_no, size, kind in rows)

    def by_tokens(self) -> Iterator[tuple[int, int]]:
        """All chosen documents to send, as number and cl100k tokens, by class and tokens."""
        return self._connection.execute(
            "select planned_no, counted_tokens from planned where chosen and kind in (select value from json_each(?))"
            " order by text_class, counted_tokens, planned_no",
            (SENT,),
        )

    def documents(self, numbers: Iterable[int]) -> list[PlannedDocument]:
        """Some of the plan's documents, in its order."""
        rows = self._connection.execute(
            "select planned_no, doc_id, source, content_sha, max_tokens from planned"
            " where planned_no in (select value from json_each(?)) order by planned_no",
            (json.dumps(list(numbers)),),
        )
        return [PlannedDocument(row[0], DocumentRef(row[1], row[2]), row[3], row[4]) for row in rows]

    def set_counted(self, planned_no: int, tokens: RequestTokens, worst_nusd: int) -> None:
        """Write down what a document was found to have, and the worst case that follows."""
        self._connection.execute(
            "update planned set counted_tokens = ?, guessed = 0, worst_nusd = ? where planned_no = ?",
            (tokens.counted, worst_nusd, planned_no),
        )

    def guess(self, found: Mapping[TextClass, Ratio]) -> dict[TextClass, int]:
        """Guess what is not counted from its size; returns the bytes of it that would be sent, by class."""
        left = self._connection.execute(
            "select text_class, sum(bytes) from planned where chosen and counted_tokens is null"
            " and kind in (select value from json_each(?)) group by text_class",
            (SENT,),
        ).fetchall()
        self._connection.executemany(
            "update planned set counted_tokens = round(bytes * ?), guessed = 1"
            " where counted_tokens is null and bytes is not null and text_class = ?",
            ((ratio.mean, kind) for kind, ratio in found.items()),
        )
        return {TextClass(kind): size for kind, size in left}

    # --- added up

    def groups(self, below: Mapping[TextClass, int], *, which: Which = Which.TO_SEND, first: int = -1) -> list[Group]:
        """Chosen documents, added up by class, in so far as they have fewer tokens than their class's bound.

        `first`: only so many of them, in the order of the source.
        """
        rows = self._connection.execute(
            "select text_class, count(*), sum(counted_tokens), sum(1.0 * counted_tokens * counted_tokens)"
            f" from ({CHOSEN[which]}) join json_each(:bounds) bound on bound.key = text_class"
            " and counted_tokens < bound.value group by text_class order by text_class",
            self._filled(below, first),
        )
        return [Group(TextClass(kind), requests, counted, squares) for kind, requests, counted, squares in rows]

    def longer(
        self, bounds: Mapping[TextClass, int], *, which: Which = Which.TO_SEND, first: int = -1
    ) -> Iterator[RequestTokens]:
        """The others, one by one."""
        rows = self._connection.execute(
            f"select counted_tokens, text_class, guessed from ({CHOSEN[which]})"
            " join json_each(:bounds) bound on bound.key = text_class and counted_tokens >= bound.value",
            self._filled(bounds, first),
        )
        return (RequestTokens(counted, TextClass(kind), bool(guessed)) for counted, kind, guessed in rows)

    def _filled(self, bounds: Mapping[TextClass, int], first: int) -> dict[str, object]:
        return {"job": self._job, "first": first, "bounds": json.dumps(bounds), "sent": SENT, "awaited": AWAITED}

    def guessed(self) -> int:
        """How many documents to send were not counted but guessed."""
        query = "select count(*) from planned where chosen and guessed and kind in (select value from json_each(?))"
        return int(self._connection.execute(query, (SENT,)).fetchone()[0])
