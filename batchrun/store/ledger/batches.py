"""Batches in the ledger: their states, and every transition between states. Each method belongs in one transaction.

    prepare -> PREPARED -> attach -> SUBMITTED -> polled -> ENDED -> collected -> COLLECTED
                 ^   |                  |                     |  \
                 |   +--- abandon ------+--- abandon ---------+   +- detach (it was not ours)
                 +----------------------------------------------------/

TRANSITIONS has the states from which each state may be reached; any other transition is a bug and changes nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from batchrun.batch import BatchState, RemoteBatch
from batchrun.budget.caps import Caps
from batchrun.store.ledger.batch_records import (
    Batch,
    Candidate,
    Claims,
    Member,
    NewBatch,
    Prepared,
    members_from,
)
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded
from batchrun.store.ledger.request_refusal import RequestCaps

TRANSITIONS: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.PREPARED: frozenset({BatchState.SUBMITTED, BatchState.ABANDONED}),
    BatchState.SUBMITTED: frozenset({BatchState.ENDED, BatchState.PREPARED, BatchState.ABANDONED}),
    BatchState.ENDED: frozenset({BatchState.COLLECTED, BatchState.PREPARED, BatchState.ABANDONED}),
    BatchState.COLLECTED: frozenset(),
    BatchState.ABANDONED: frozenset(),
}
"""The states that each state may become."""
MOST_ALIKE = 97
"""How many requests a batch may leave out, so that its size differs from the sizes of other batches in doubt."""

CANDIDATES = """
create temp table if not exists candidates (
    position        integer primary key,
    request_no      integer not null unique,
    doc_id          text not null,
    reserved_nusd   integer not null,
    reserved_tokens integer not null,
    expected_nusd   integer,
    turn            text
)
"""
TAKEN = """
delete from temp.candidates where exists (
    select 1 from requests r where r.request_no = candidates.request_no
    and (r.outcome is not null or r.turn is not candidates.turn))
or exists (select 1 from attempts a where a.request_no = candidates.request_no and a.state = 'open')
"""
BEYOND_ROOM = """
delete from temp.candidates where position in (
    select position from (
        select position, sum(reserved_nusd) over upto as nusd, sum(reserved_tokens) over upto as tokens,
            sum(coalesce(expected_nusd, reserved_nusd)) over upto as expected
        from temp.candidates window upto as (order by position))
    where nusd > ? or tokens > ? or expected > ?)
"""


COLUMNS = ", ".join(column.name for column in fields(Batch))


class Batches:
    """The batches of a ledger; methods that write belong inside `ledger.transaction()`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection = ledger.connection

    def open(self, job: str) -> list[Batch]:
        """List the job's batches that are neither collected nor abandoned, the oldest first."""
        return self._chosen("job = ? and state in ('prepared', 'submitted', 'ended') order by batch_no", (job,))

    def one(self, batch_no: int) -> Batch:
        """Read a batch by its number."""
        return self._chosen("batch_no = ?", (batch_no,))[0]

    def of_run(self, run_no: int) -> list[Batch]:
        """List all batches of a run, the oldest first."""
        return self._chosen("run_no = ? order by batch_no", (run_no,))

    def schema(self, batch_no: int) -> dict[str, Any]:
        """Read the schema of a batch's answers."""
        row = self._connection.execute("select schema from batches where batch_no = ?", (batch_no,)).fetchone()
        return dict(json.loads(row[0]))

    def claims(self, batch: Batch, batch_ids: Iterable[str]) -> Claims:
        """Find which of the API's ids are other batches of ours, seem to be, or were found not to be this batch."""
        ids = json.dumps(list(batch_ids))
        owners = self._chosen("batch_id in (select value from json_each(?))", (ids,))
        foreign = self._connection.execute(
            "select batch_id from foreign_batches where batch_no = ? and batch_id in (select value from json_each(?))",
            (batch.batch_no, ids),
        )
        ours = {one.batch_id: one for one in owners if one.batch_id and not one.adopted}
        taken = frozenset(ours).union(batch_id for (batch_id,) in foreign)
        adopted = {one.batch_id for one in owners if one.batch_id and one.adopted and one.batch_no != batch.batch_no}
        going_on = {name for name, one in ours.items() if one.job == batch.job and one.state is BatchState.SUBMITTED}
        return Claims(taken, frozenset(adopted - taken), frozenset(ours), frozenset(going_on))

    def unsent(self, job: str) -> list[Batch]:
        """List the job's batches whose create call has not left as a whole: never, once their process is dead."""
        return self._chosen("job = ? and state = 'prepared' and unclear_at is null", (job,))

    def owner(self, batch_id: str) -> Batch | None:
        """Find the batch that has this id of the API's. Returns None if no batch has."""
        return next(iter(self._chosen("batch_id = ?", (batch_id,))), None)

    def request_caps(self, run_no: int, *, model: str, caps: Caps, now: float) -> RequestCaps:
        """Make the usage of all caps that concern requests of a run to one model."""
        return RequestCaps(connection=self._connection, caps=caps, run_no=run_no, model=model, now=now)

    def queued(self) -> int:
        """Count the requests of all jobs that the API is processing, as far as the ledger knows."""
        row = self._connection.execute(
            "select coalesce(sum(requests), 0) from batches where state in ('prepared', 'submitted')"
        ).fetchone()
        return int(row[0])

    def members(self, batch_no: int, request_ids: Iterable[str]) -> dict[str, Member]:
        """Find which of the requests are members whose results are not in the ledger yet, by request id."""
        rows = self._connection.execute(
            "select a.attempt_no, r.request_id, a.doc_id, a.reserved_tokens, r.form_no, r.max_tokens,"
            " a.turn, r.partial, t.cause, t.status, t.error_type, t.error_code, t.message"
            " from requests r join attempts a on a.batch_no = ? and a.request_no = r.request_no"
            " left join attempts t on t.request_no = a.request_no and t.batch_no is not null"
            "  and t.cause is not null and t.cause != 'batch gone'"
            "  and not (t.cause = 'canceled' and exists"
            "   (select 1 from batches b where b.batch_no = t.batch_no and b.cancel_at is not null))"
            "  and t.attempt_no > coalesce("
            "   (select max(s.attempt_no) from attempts s where s.request_no = a.request_no"
            "    and s.outcome is not null), 0)"
            " where r.request_id in (select value from json_each(?)) and a.state = 'open'"
            " order by a.attempt_no, t.attempt_no",
            (batch_no, json.dumps(list(request_ids))),
        )
        return members_from(rows)

    def without_result(self, batch_no: int, *, limit: int) -> list[Member]:
        """List the first members whose results are not in the ledger."""
        rows = self._connection.execute(
            "select r.request_id from attempts a join requests r using (request_no)"
            " where a.batch_no = ? and a.state = 'open' limit ?",
            (batch_no, limit),
        )
        return list(self.members(batch_no, [request_id for (request_id,) in rows]).values())

    def prepare(
        self, new: NewBatch, candidates: Sequence[Candidate], *, sizes: Sequence[int]
    ) -> Prepared | CapExceeded | None:
        """Record the intent to send a batch, with its members and their worst cases, before anything is sent.

        Requests are left out that somebody else settled, has brought to another turn or is just sending, for which a
        cap has no room, and a few more if another batch in doubt has the same size. Returns None if no request remains.
        """
        self._connection.execute(CANDIDATES)
        self._connection.execute("delete from temp.candidates")
        self._connection.executemany(
            "insert or ignore into temp.candidates values (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    number,
                    one.request_no,
                    one.doc_id,
                    one.amount.nusd,
                    one.amount.tokens,
                    one.amount.expected_nusd,
                    one.turn,
                )
                for number, one in enumerate(candidates)
            ),
        )
        self._connection.execute(TAKEN)
        (first,) = self._connection.execute("select min(position) from temp.candidates").fetchone()
        if first is None:
            return None
        request_caps = self.request_caps(new.run_no, model=new.model, caps=new.caps, now=new.prepared_at)
        remaining_budget = request_caps.remaining_budget()
        self._connection.execute(
            BEYOND_ROOM, (remaining_budget.nusd, remaining_budget.tokens, remaining_budget.expected_nusd)
        )
        (fitting,) = self._connection.execute("select count(*) from temp.candidates").fetchone()
        if not fitting:
            return request_caps.refusal(candidates[first].amount)
        if new.others_follow:
            self._leave_out(fitting - self._distinct(fitting))
        return self._insert(new, sizes)

    def _distinct(self, requests: int) -> int:
        """Find a size that no other batch in doubt has: the API's list shows nothing but the size and the time."""
        taken = {size for (size,) in self._connection.execute("select requests from batches where state = 'prepared'")}
        return next(
            (size for size in range(requests, max(0, requests - MOST_ALIKE), -1) if size not in taken), requests
        )

    def _leave_out(self, count: int) -> None:
        self._connection.execute(
            "delete from temp.candidates where position in"
            " (select position from temp.candidates order by position desc limit ?)",
            (count,),
        )

    def _insert(self, new: NewBatch, sizes: Sequence[int]) -> Prepared:
        positions = [
            row[0] for row in self._connection.execute("select position from temp.candidates order by position")
        ]
        cursor = self._connection.execute(
            "insert into batches"
            " (nonce, run_no, job, model, schema, state, requests, bytes, newest_before, prepared_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                new.nonce, new.run_no, new.job, new.model, json.dumps(new.schema), BatchState.PREPARED, len(positions),
                sum(sizes[position] for position in positions), new.newest_before, new.prepared_at,
            ),
        )  # fmt: skip
        batch_no = int(cursor.lastrowid or 0)
        self._connection.execute(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, reserved_tokens,"
            " expected_nusd, started_at, model, batch_no, turn)"
            " select request_no, ?, ?, doc_id, 'open', reserved_nusd, reserved_tokens, expected_nusd, ?, ?, ?, turn"
            " from temp.candidates order by position",
            (new.run_no, new.job, new.prepared_at, new.model, batch_no),
        )
        self._connection.execute("delete from temp.candidates")
        return Prepared(batch_no, positions)

    def doubt(self, batch: Batch, *, now: float) -> None:
        """Put the batch in doubt: from now on nobody knows whether the API has created the batch."""
        self._change(batch, BatchState.PREPARED, unclear_at=now)

    def correct(self, batch: Batch, *, unclear_at: float | None, clock_ahead: float | None) -> None:
        """Correct the time since which the batch is in doubt, because a clock was set meanwhile."""
        self._change(batch, BatchState.PREPARED, unclear_at=unclear_at, clock_ahead=clock_ahead)

    def missed(self, batch: Batch, *, now: float) -> None:
        """Record that the batch was looked for and not found."""
        self._change(batch, BatchState.PREPARED, empty_scans=batch.empty_scans + 1, scanned_at=now)

    def attach(self, batch: Batch, remote: RemoteBatch, *, adopted: bool, next_poll_at: float) -> None:
        """Record the API's id of the batch. If the id is certain, a batch that adopted the same id was wrong."""
        owner = self.owner(remote.batch_id)
        if owner and owner.adopted and not adopted:
            self.detach(owner, now=owner.prepared_at)
        self._move(
            batch, BatchState.SUBMITTED, batch_id=remote.batch_id, adopted=adopted, created_at=remote.created_at,
            expires_at=remote.expires_at, next_poll_at=next_poll_at,
        )  # fmt: skip

    def polled(self, batch: Batch, remote: RemoteBatch, *, next_poll_at: float) -> None:
        """Record what the API said of the batch, and the end of its processing if the API said so."""
        facts = {"expires_at": remote.expires_at, "ended_at": remote.ended_at, "next_poll_at": next_poll_at}
        facts["absent_at"] = None
        if remote.ended:
            self._move(batch, BatchState.ENDED, **facts)
        else:
            self._change(batch, BatchState.SUBMITTED, **facts)

    def postpone(self, batch: Batch, *, next_poll_at: float, absent_at: float | None = None) -> None:
        """Postpone the next poll, because the API did not answer, or denies the batch since `absent_at`."""
        self._change(batch, batch.state, next_poll_at=next_poll_at, absent_at=absent_at)

    def ask_to_cancel(self, batch: Batch, *, now: float) -> None:
        """Record that the batch is about to be canceled: what it leaves unprocessed becomes pending again."""
        self._change(batch, batch.state, cancel_at=batch.cancel_at or now)

    def proven(self, batch: Batch) -> None:
        """Record that one of the batch's results carries our nonce."""
        self._change(batch, BatchState.ENDED, adopted=False)

    def detach(self, batch: Batch, *, now: float) -> None:
        """Look for the batch again, because its id belongs to somebody else; the id is never taken for it any more."""
        assert batch.batch_id is not None
        self.rule_out(batch, batch.batch_id)
        self._move(
            batch, BatchState.PREPARED, batch_id=None, adopted=False, unclear_at=batch.unclear_at or now,
            empty_scans=0, scanned_at=None, cancel_at=None, downloads=0,
            created_at=None, expires_at=None, ended_at=None, next_poll_at=None, absent_at=None,
        )  # fmt: skip

    def rule_out(self, batch: Batch, batch_id: str) -> None:
        """Record that a batch of the API's is not this batch."""
        self._connection.execute("insert or ignore into foreign_batches values (?, ?)", (batch.batch_no, batch_id))

    def downloaded(self, batch: Batch, *, news: bool) -> None:
        """Record that the results were read to the end and some were missing; with `news` others may still come."""
        self._change(batch, BatchState.ENDED, downloads=0 if news else batch.downloads + 1)

    def collected(self, batch: Batch) -> None:
        """Record that every member is settled."""
        assert not self.without_result(batch.batch_no, limit=1)
        self._move(batch, BatchState.COLLECTED, next_poll_at=None)

    def abandon(self, batch: Batch, why: str) -> None:
        """End a batch that was never created: its requests are pending again, and no money stays reserved."""
        self._connection.execute("delete from attempts where batch_no = ? and state = 'open'", (batch.batch_no,))
        self._move(batch, BatchState.ABANDONED, note=why, next_poll_at=None)

    def write_off(self, batch: Batch, why: str, *, now: float) -> None:
        """End a batch that may have been billed: its requests are pending again, their worst cases stay reserved."""
        lost = self._connection.execute(
            "update attempts set state = 'unknown', ended_at = ?, cause = 'batch gone', seq = ?"
            " where batch_no = ? and state = 'open' returning attempt_no",
            (now, self._ledger.next_seq(), batch.batch_no),
        )
        self._ledger.chain.append([attempt_no for (attempt_no,) in lost.fetchall()])
        self._move(batch, BatchState.ABANDONED, note=why, next_poll_at=None)

    def _chosen(self, condition: str, values: tuple[object, ...]) -> list[Batch]:
        rows = self._connection.execute(f"select {COLUMNS} from batches where {condition}", values)
        named = (dict(zip(COLUMNS.split(", "), row, strict=True)) for row in rows)
        return [Batch(**{**row, "state": BatchState(row["state"]), "adopted": bool(row["adopted"])}) for row in named]

    def _move(self, batch: Batch, state: BatchState, **facts: object) -> None:
        if state not in TRANSITIONS[batch.state]:
            raise AssertionError(f"a batch that is {batch.state} cannot become {state}")
        self._change(batch, batch.state, state=state, **facts)

    def _change(self, batch: Batch, expected: BatchState, **facts: object) -> None:
        """Write facts, if the batch is still in the expected state."""
        columns = ", ".join(f"{name} = ?" for name in facts)
        changed = self._connection.execute(
            f"update batches set {columns} where batch_no = ? and state = ?",
            (*facts.values(), batch.batch_no, expected),
        ).rowcount
        if changed != 1:
            raise AssertionError(f"batch {batch.name} is no longer {expected}")
