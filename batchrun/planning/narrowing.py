"""A plan narrowed to some of its documents, and widened again."""

import json
from collections.abc import Sequence

from batchrun.planning.plan_tokens import SENT
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.plan import Kind


class Narrowing:
    """Makes a plan be about some of its documents only, and about all of them again."""

    def __init__(self, ledger: Ledger) -> None:
        self._connection = ledger.connection
        self._connection.execute("drop table if exists temp.whole")
        self._connection.execute(
            "create temp table whole (planned_no integer primary key, pilot integer not null default 0)"
        )
        self._connection.execute("insert into whole (planned_no) select planned_no from planned where chosen")

    def sendable(self) -> list[int]:
        """All documents to send, by number, in the order of class and size."""
        rows = self._connection.execute(
            "select planned_no from planned where chosen and kind in (select value from json_each(?))"
            " order by text_class, bytes, planned_no",
            (SENT,),
        )
        return [number for (number,) in rows]

    def numbers(self, doc_ids: Sequence[str]) -> list[int]:
        """The numbers of those of the documents that the plan has."""
        rows = self._connection.execute(
            "select planned_no from planned join whole using (planned_no)"
            " where doc_id in (select value from json_each(?)) order by 1",
            (json.dumps(doc_ids),),
        )
        return [number for (number,) in rows]

    def mark(self, numbers: Sequence[int]) -> None:
        """These documents are the pilot, with those that are identical to them: one answer is for all."""
        self._connection.execute(
            "update whole set pilot = planned_no in (select planned_no from planned"
            " where planned_no in (select value from json_each(?)) or kind = ? and request_id in"
            "  (select request_id from planned where planned_no in (select value from json_each(?))))",
            (json.dumps(numbers), Kind.IDENTICAL, json.dumps(numbers)),
        )

    def to_pilot(self) -> None:
        """The plan is about the pilot only."""
        self._choose("where pilot")

    def to_rest(self) -> None:
        """Only about the others."""
        self._choose("where not pilot")

    def to_all(self) -> None:
        """About all documents, as before."""
        self._choose("")

    def chosen(self) -> list[str]:
        """The documents the plan is about now, without those identical to others."""
        rows = self._connection.execute(
            "select doc_id from planned where chosen and kind != ? order by 1", (Kind.IDENTICAL,)
        )
        return [doc_id for (doc_id,) in rows]

    def guessed(self) -> list[int]:
        """The numbers of the documents the plan is about now whose tokens are only guessed."""
        return [
            number for (number,) in self._connection.execute("select planned_no from planned where chosen and guessed")
        ]

    def _choose(self, condition: str) -> None:
        self._connection.execute(
            f"update planned set chosen = planned_no in (select planned_no from whole {condition})"
        )
