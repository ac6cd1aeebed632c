"""Pilots in the ledger: which documents one has, what became of them, and how a plan is narrowed to them and back."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.past_usage import MOST_RECENT
from batchrun.store.ledger.runs import Runs
from batchrun.strategy.pilot_report import Tried
from batchrun.strategy.plan import Plan

OUTCOME = "coalesce(d.outcome, r.outcome)"
TRIED = """
with own as materialized ({documents}),
spent as (
    select a.doc_id, sum(coalesce(cost_nusd, 0) * iif(batch_no is null, 1, 2)) as cost_nusd,
        sum(coalesce(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens, 0)) as input,
        sum(coalesce(output_tokens, 0)) as output
    from attempts a join own on own.run_no = a.run_no and own.doc_id = a.doc_id group by a.doc_id)
select own.doc_id, own.outcome, own.output, coalesce(spent.cost_nusd, 0), coalesce(spent.input, 0),
    coalesce(spent.output, 0), spent.doc_id is not null
from own left join spent using (doc_id) order by own.doc_id
"""
"""Half is paid in a batch: what it would have cost streamed is told."""
SETTLED = f"""
select d.doc_id, d.run_no, {OUTCOME} as outcome, iif(d.outcome is null, r.output, null) as output
from documents d left join requests r using (request_no)
"""


@dataclass(frozen=True, slots=True)
class BegunPilot:
    """The pilot of a run."""

    run_no: int
    run_id: str
    continued: bool
    """Whether the rest was let in after it."""


class Pilots:
    """The pilots of one job on a ledger's connection; methods that write belong inside `transaction()`."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._job = job

    def begun(self, fingerprint: str) -> BegunPilot | None:
        """The pilot of the run that a submit would continue."""
        if (run := Runs(self._ledger).open_run(self._job, fingerprint)) is None:
            return None
        row = self._connection.execute("select went_on from pilots where run_no = ?", (run.run_no,)).fetchone()
        return BegunPilot(run.run_no, run.run_id, continued=bool(row[0])) if row else None

    def begin(self, run_no: int, documents: Iterable[str], *, begins_run: bool) -> None:
        """Remember which documents come first in a run, in place of those that were meant before."""
        self._connection.execute(
            "insert into pilots (run_no, begins_run) values (?, ?) on conflict do nothing", (run_no, begins_run)
        )
        self._connection.execute("delete from pilot_documents where run_no = ?", (run_no,))
        self._connection.execute(
            "insert into pilot_documents select ?, value from json_each(?)", (run_no, json.dumps(list(documents)))
        )

    def continued(self, run_no: int, rest: Plan, *, documents: int) -> None:
        """Let the rest in, of so many `documents` with the pilot's.

        A run that began with its pilot is estimated to take what the rest does on top; and if the pilot is not
        complete, the rest has what is left of it.
        """
        row = self._connection.execute(
            f"select count(*), count({OUTCOME}) from pilots join pilot_documents p using (run_no)"
            " join documents d on d.job = ? and d.doc_id = p.doc_id left join requests r using (request_no)"
            " where pilots.run_no = ? and begins_run and not went_on",
            (self._job, run_no),
        ).fetchone()
        if row[0]:
            self._add(run_no, rest, documents=documents, settled=row[1], share=row[1] / row[0])
        self._connection.execute(
            "insert into pilots (run_no, begins_run, went_on) values (?, 0, 1) on conflict do update set went_on = 1",
            (run_no,),
        )

    def _add(self, run_no: int, rest: Plan, *, documents: int, settled: int, share: float) -> None:
        cost, used = rest.estimate.cost_nusd, rest.estimate
        amounts = {
            "estimate_nusd": cost.mean,
            "estimate_low_nusd": cost.low,
            "estimate_high_nusd": cost.high,
            "estimate_input_tokens": used.input.mean,
            "estimate_output_tokens": used.output.mean,
        }
        sums = ", ".join(f"{name} = cast(round({name} * ?) as integer) + ?" for name in amounts)
        self._connection.execute(
            f"update runs set {sums}, documents = ?, to_send = ? where run_no = ?",
            (
                *[number for amount in amounts.values() for number in (share, round(amount))],
                documents,
                settled + rest.to_send,
                run_no,
            ),
        )

    # --- what became of them

    def members(self, run_no: int) -> list[str]:
        """The documents of a run's pilot."""
        rows = self._connection.execute("select doc_id from pilot_documents where run_no = ? order by 1", (run_no,))
        return [doc_id for (doc_id,) in rows]

    def tried(self, doc_ids: Sequence[str]) -> list[Tried]:
        """Those of the documents that have their outcomes."""
        chosen = f"{SETTLED} where d.job = ? and d.doc_id in (select value from json_each(?)) and {OUTCOME} is not null"
        return self._tried(chosen, self._job, json.dumps(doc_ids))

    def past(self, fingerprint: str) -> list[Tried]:
        """The latest documents of the job that were sent as they would be now, and have their outcomes."""
        latest = (
            f"{SETTLED} join runs using (run_no) where d.job = ? and fingerprint = ? and {OUTCOME} is not null"
            " order by d.seq desc limit ?"
        )
        return self._tried(latest, self._job, fingerprint, MOST_RECENT, sent=True)

    def _tried(self, documents: str, *values: object, sent: bool = False) -> list[Tried]:
        """`sent`: only those that had an attempt of their own: not what was answered for another document."""
        rows = self._connection.execute(TRIED.format(documents=documents), values)
        return [
            Tried(doc_id, Outcome(outcome), nulls_of(output), cost, input_tokens, output_tokens)
            for doc_id, outcome, output, cost, input_tokens, output_tokens, was_sent in rows
            if was_sent or not sent
        ]


def nulls_of(output: str | None) -> frozenset[str]:
    """The fields of a row that are null."""
    return frozenset(name for name, value in json.loads(output).items() if value is None) if output else frozenset()
