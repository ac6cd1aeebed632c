"""The narrowing of a plan to some of its documents, and the widening back to all of them."""

import json
from collections.abc import Sequence

from batchrun.planning.plan_rows import SENT
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.plan import Kind


class Narrowing:
    """Chooses some documents of a plan, and all of them again."""

    def __init__(self, ledger: Ledger) -> None:
        self._connection = ledger.connection
        self._connection.execute("drop table if exists temp.whole")
        self._connection.execute(
            "create temp table whole (planned_no integer primary key, pilot integer not null default 0)"
        )
        self._connection.execute("insert into whole (planned_no) select planned_no from planned where chosen")

    def sendable(self) -> list[int]:
        """List the numbers of all documents to send, by class and size."""
        rows = self._connection.execute("select planned_no from to_send order by text_class, bytes, planned_no")
        return [number for (number,) in rows]

    def answerable(self) -> list[int]:
        """List the numbers of all whole documents that are to be sent or have their answer, by size."""
        rows = self._connection.execute(
            f"select planned_no from planned where chosen and whole is null and kind in ({SENT}, '{Kind.REUSABLE}')"
            " order by bytes, planned_no"
        )
        return [number for (number,) in rows]

    def numbers(self, doc_ids: Sequence[str]) -> list[int]:
        """List the numbers of those documents that the plan has."""
        rows = self._connection.execute(
            "select planned_no from planned join whole using (planned_no)"
            " where doc_id in (select value from json_each(?)) order by 1",
            (json.dumps(doc_ids),),
        )
        return [number for (number,) in rows]

    def mark(self, numbers: Sequence[int]) -> None:
        """Make documents the pilot, and the documents that are identical to them: one answer is for all."""
        self._connection.execute(
            "update whole set pilot = planned_no in (select planned_no from planned"
            " where planned_no in (select value from json_each(?)) or kind = ? and request_id in"
            "  (select request_id from planned where planned_no in (select value from json_each(?))))",
            (json.dumps(numbers), Kind.IDENTICAL, json.dumps(numbers)),
        )

    def to_pilot(self) -> None:
        """Choose only the pilot's documents."""
        self._choose("where pilot")

    def to_rest(self) -> None:
        """Choose only the documents that are not the pilot's."""
        self._choose("where not pilot")

    def to_all(self) -> None:
        """Choose all documents, as before."""
        self._choose("")

    def chosen(self) -> list[str]:
        """List the ids of the chosen documents, without those that are identical to others."""
        rows = self._connection.execute(
            "select doc_id from planned where chosen and kind != ? order by 1", (Kind.IDENTICAL,)
        )
        return [doc_id for (doc_id,) in rows]

    def guessed(self) -> list[int]:
        """List the numbers of the chosen documents whose tokens are only guessed."""
        rows = self._connection.execute("select planned_no from planned where chosen and guessed")
        return [number for (number,) in rows]

    def _choose(self, condition: str) -> None:
        self._connection.execute(
            f"update planned set chosen = planned_no in (select planned_no from whole {condition})"
        )
