"""Pilots in the ledger: which documents a pilot has, and what became of these documents."""

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
    select a.doc_id,
        sum(coalesce(cost_nusd, iif(state = 'answered', reserved_nusd, 0)) * iif(batch_no is null, 1, 2)) as cost_nusd,
        sum(coalesce(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens, 0)) as input,
        sum(coalesce(output_tokens, 0)) as output
    from attempts a join own on own.run_no = a.run_no and own.doc_id = a.doc_id group by a.doc_id)
select own.doc_id, own.outcome, own.output, coalesce(spent.cost_nusd, 0), coalesce(spent.input, 0),
    coalesce(spent.output, 0), spent.doc_id is not null
from own left join spent using (doc_id) order by own.doc_id
"""
"""An attempt in a batch costs half: the sum is what the attempts would have cost if all were streamed."""
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
    """Whether the run went on to the other documents."""


class Pilots:
    """The pilots of one job on a ledger's connection; methods that write belong inside `transaction()`."""

    def __init__(self, ledger: Ledger, job: str) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._job = job

    def begun(self, fingerprint: str) -> BegunPilot | None:
        """Find the pilot of the run that a submit would continue. Returns None if there is none."""
        if (run := Runs(self._ledger).open_run(self._job, fingerprint)) is None:
            return None
        row = self._connection.execute("select went_on from pilots where run_no = ?", (run.run_no,)).fetchone()
        return BegunPilot(run.run_no, run.run_id, continued=bool(row[0])) if row else None

    def begin(self, run_no: int, documents: Iterable[str], *, begins_run: bool) -> None:
        """Remember which documents come first in a run, in place of those that were remembered before."""
        self._connection.execute(
            "insert into pilots (run_no, begins_run) values (?, ?) on conflict do nothing", (run_no, begins_run)
        )
        self._connection.execute("delete from pilot_documents where run_no = ?", (run_no,))
        self._connection.execute(
            "insert into pilot_documents select ?, value from json_each(?)", (run_no, json.dumps(list(documents)))
        )

    def continued(self, run_no: int, rest: Plan, *, documents: int) -> None:
        """Remember that the run goes on to the rest; `documents` counts the rest and the pilot together.

        If the run began with its pilot, the estimate of the rest is added to the run's estimate. If the pilot is not
        complete, the rest includes the pilot's unsettled documents.
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

    def members(self, run_no: int) -> list[str]:
        """List the documents of a run's pilot."""
        rows = self._connection.execute("select doc_id from pilot_documents where run_no = ? order by 1", (run_no,))
        return [doc_id for (doc_id,) in rows]

    def tried(self, doc_ids: Sequence[str]) -> list[Tried]:
        """Read those of the documents that have an outcome."""
        chosen = f"{SETTLED} where d.job = ? and d.doc_id in (select value from json_each(?)) and {OUTCOME} is not null"
        return self._tried(chosen, self._job, json.dumps(doc_ids))

    def past(self, fingerprint: str) -> list[Tried]:
        """Read the latest documents of the job that have an outcome and were sent as the job would send them now."""
        latest = (
            f"{SETTLED} join runs using (run_no) where d.job = ? and fingerprint = ? and {OUTCOME} is not null"
            " order by d.seq desc limit ?"
        )
        return self._tried(latest, self._job, fingerprint, MOST_RECENT, sent=True)

    def _tried(self, documents: str, *values: object, sent: bool = False) -> list[Tried]:
        """Read documents. With `sent` a document counts only if it had an attempt of its own."""
        rows = self._connection.execute(TRIED.format(documents=documents), values)
        return [
            Tried(doc_id, Outcome(outcome), nulls_of(output), cost, input_tokens, output_tokens)
            for doc_id, outcome, output, cost, input_tokens, output_tokens, was_sent in rows
            if was_sent or not sent
        ]


def nulls_of(output: str | None) -> frozenset[str]:
    """Name the fields of a row that are null."""
    return frozenset(name for name, value in json.loads(output).items() if value is None) if output else frozenset()
