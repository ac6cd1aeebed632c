"""A ledger in memory with one run, whose batches can be brought to any state."""

import sqlite3
from typing import Any

from run_caps import run_caps

from batchrun.batch import BatchState, RemoteBatch
from batchrun.budget.caps import Amount
from batchrun.document import DocumentRef
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger.batch_records import Batch, Candidate, NewBatch, Prepared
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded, Pending, RunPlan, Settlement, Taken
from batchrun.store.ledger.runs import Runs

CAP = 1_000
EACH = 10
"""The worst case of one request."""
PREPARED_AT = 1_000.0
PREPARED, SUBMITTED, ENDED = BatchState.PREPARED, BatchState.SUBMITTED, BatchState.ENDED
COLLECTED, ABANDONED = BatchState.COLLECTED, BatchState.ABANDONED


def run_plan(job: str, *, cap_nusd: int = CAP) -> RunPlan:
    return RunPlan(
        job=job, job_path=f"jobs/{job}.toml", fingerprint="f", model="m", simulated=False, documents=3, to_send=3,
        cap_nusd=cap_nusd, estimate_nusd=10, estimate_low_nusd=5, estimate_high_nusd=20, route="batch",
    )  # fmt: skip


class Account:
    """A ledger in memory with one run, and what is done to it."""

    def __init__(self, *, cap_nusd: int = CAP, documents: int = 0) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("pragma foreign_keys = on")
        create_missing(connection)
        self.ledger = Ledger(connection, None)
        self.batches = Batches(self.ledger)
        self.run_no = Runs(self.ledger).begin_run(run_plan("trial", cap_nusd=cap_nusd), run_id="r")
        self.nonces = 0
        self.pending = [self.document(f"d{number}") for number in range(documents)]

    def document(
        self, name: str, *, job: str = "trial", request: str | None = None, run_no: int | None = None
    ) -> Pending:
        request_id = request or f"request-{name}"
        run = self.ledger.connection.execute
        run(
            "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 10, 'prose')"
            " on conflict do nothing",
            (request_id,),
        )
        (request_no,) = run("select request_no from requests where request_id = ?", (request_id,)).fetchone()
        document_no = run(
            "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
            " values (?, ?, 'source', 'sha', ?, ?, ?)",
            (job, name, request_no, run_no or self.run_no, self.ledger.next_seq()),
        ).lastrowid
        return Pending(
            int(document_no or 0), DocumentRef(name, "source"), request_no, request_id, 10, TextClass.PROSE, None
        )

    def new(self, **changes: Any) -> NewBatch:
        self.nonces += 1
        known = {
            "nonce": f"{self.nonces:012x}", "run_no": self.run_no, "job": "trial", "model": "m",
            "schema": {"type": "object"}, "newest_before": None, "prepared_at": PREPARED_AT, "others_follow": False,
        }  # fmt: skip
        return NewBatch(**({"caps": run_caps(self.ledger, changes.get("run_no", self.run_no))} | known | changes))

    def prepare(
        self, pending: list[Pending] | None = None, *, each: int = EACH, **changes: Any
    ) -> Prepared | CapExceeded | None:
        chosen = self.pending if pending is None else pending
        candidates = [Candidate(one.request_no, one.ref.doc_id, Amount(each), one.progress.turn_json) for one in chosen]
        return self.batches.prepare(self.new(**changes), candidates, sizes=[100 + one.request_no for one in chosen])

    def batch(self, pending: list[Pending] | None = None, *, state: BatchState = PREPARED, **changes: Any) -> Batch:
        """A batch brought to a state."""
        prepared = self.prepare(pending, **changes)
        assert isinstance(prepared, Prepared)
        return self.brought(prepared.batch_no, state)

    def brought(self, batch_no: int, state: BatchState) -> Batch:
        remote = told(f"msgbatch_{batch_no}")
        if state is ABANDONED:
            self.batches.abandon(self.batches.one(batch_no), "why")
        elif state is not PREPARED:
            self.batches.attach(self.batches.one(batch_no), remote, adopted=False, next_poll_at=1.0)
        if state in {ENDED, COLLECTED}:
            self.batches.polled(
                self.batches.one(batch_no), told(f"msgbatch_{batch_no}", status="ended"), next_poll_at=2.0
            )
        if state is COLLECTED:
            for member in self.batches.without_result(batch_no, limit=1000):
                self.ledger.settle(answered(member.attempt_no))
            self.batches.collected(self.batches.one(batch_no))
        return self.batches.one(batch_no)

    def stream(self, one: Pending, *, job: str = "trial", run_no: int | None = None) -> int | Taken | CapExceeded:
        run_no = run_no or self.run_no
        return self.ledger.reserve(
            one, Amount(EACH), run_no=run_no, job=job, model="m", caps=run_caps(self.ledger, run_no)
        )

    def ask(self, query: str) -> list[Any]:
        return self.ledger.connection.execute(query).fetchall()

    @property
    def committed(self) -> int:
        return int(self.ask(f"select committed_nusd from runs where run_no = {self.run_no}")[0][0])

    @property
    def members(self) -> list[str]:
        return [
            doc_id for (doc_id,) in self.ask("select doc_id from attempts where state = 'open' order by attempt_no")
        ]

    @property
    def names(self) -> list[str]:
        """Documents that could be packed."""
        return [one.ref.doc_id for one in self.ledger.pending(self.run_no, since=0, after=0, limit=100)]


def told(batch_id: str = "msgbatch_1", **changes: Any) -> RemoteBatch:
    known: dict[str, Any] = {
        "batch_id": batch_id, "status": "in_progress", "counts": {"processing": 3}, "created_at": 1_001.0,
        "expires_at": 87_401.0,
    }  # fmt: skip
    return RemoteBatch(**(known | changes))


def answered(attempt_no: int, *, cost_nusd: int | None = 7, outcome: Outcome = Outcome.SUCCEEDED) -> Settlement:
    reply = Reply("{}", "end_turn", Usage(input_tokens=5, output_tokens=2), "m-1", "req_1", "{}")
    return Settlement(
        attempt_no=attempt_no, state="answered", cost_nusd=cost_nusd, outcome=outcome, output="{}", reply=reply
    )


def unprocessed(attempt_no: int, cause: Cause = Cause.EXPIRED, *, outcome: Outcome | None = None) -> Settlement:
    return Settlement(
        attempt_no=attempt_no, state="failed", cost_nusd=0, outcome=outcome, failure=Failure(cause=cause, message="it")
    )


def snapshot(account: Account) -> object:
    return [account.ask(f"select * from {table}") for table in ("batches", "foreign_batches", "attempts", "runs")]
