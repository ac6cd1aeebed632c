"""A collector over a ledger in memory, and a provider that hands out the results that it is given."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from run_caps import run_caps
from scripted_provider import answer

from batchrun.batch import BatchResult, RemoteBatch, ResultType
from batchrun.budget.caps import Amount
from batchrun.catalog.price_table import load_prices
from batchrun.events import BatchCollected, BatchTrouble, DocumentSettled, Event
from batchrun.execution.batch.collect import Collector
from batchrun.execution.batch.context import BatchContext, BatchProblem
from batchrun.execution.batch.poll import Poller
from batchrun.execution.failure_history import FailureHistory
from batchrun.execution.halt import Halt, Halted
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.run_context import RunContext, RunKey
from batchrun.job.spec import BatchSection, RetrySection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.wire import member_name
from batchrun.reply import Cause, Failure, Reply
from batchrun.store.ledger.batch_records import Batch, Candidate, NewBatch
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.runs import Runs

if TYPE_CHECKING:
    from batchrun.errors import BatchrunError

NONCE = "0123456789ab"

MODEL = "claude-haiku-4-5"

SCHEMA = {
    "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": False,
}  # fmt: skip

WORST = 1_000_000

COST = 75_000
"""The cost of an answer with 100 tokens in and 10 out, at half of $1 and $5 a million."""

CREATED_AT = 1_000_000.0

EXPIRED, CANCELED = ResultType.EXPIRED, ResultType.CANCELED

Fate = Reply | Failure | ResultType | None


def line(custom_id: str, fate: Fate) -> BatchResult:
    nonce, request_id = member_name(custom_id)
    match fate:
        case Reply():
            return BatchResult(nonce=nonce, request_id=request_id, type=ResultType.SUCCEEDED, reply=fate)
        case Failure(cause=Cause.MALFORMED):
            return BatchResult(nonce=nonce, request_id=request_id, type=ResultType.SUCCEEDED, failure=fate)
        case Failure():
            return BatchResult(nonce=nonce, request_id=request_id, type=ResultType.ERRORED, failure=fate)
        case _:
            return BatchResult(nonce=nonce, request_id=request_id, type=fate)


def ours(name: str, fate: Fate = None, *, nonce: str = NONCE) -> BatchResult:
    """The result of a document, an answer unless a test says otherwise."""
    return line(f"{nonce}-request-{name}", answer() if fate is None else fate)


class Bench:
    """An ended batch of some documents, the downloads of its results by script, and everything that collects it."""

    def __init__(
        self,
        names: Sequence[str],
        *downloads: Iterable[BatchResult | Failure],
        adopted: bool = False,
        max_attempts: int = 3,
        model: str = MODEL,
        schema: dict[str, Any] | None = None,
    ) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        create_missing(connection)
        self.ledger = Ledger(connection, None)
        self.batches = Batches(self.ledger)
        Runs(self.ledger).begin_run(
            RunPlan(job="trial", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
                    cap_nusd=10**12, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1), run_id="r",
        )  # fmt: skip
        self.names = list(names)
        for name in names:
            self.document(name)
        self.model, self.schema, self.nonce = model, schema or SCHEMA, NONCE
        self.batch_no = self.another(adopted=adopted)
        self.downloads = [list(download) for download in downloads]
        self.remote = RemoteBatch(batch_id="msgbatch_1", status="ended", counts={}, created_at=CREATED_AT)
        self.max_attempts = max_attempts
        self.now = CREATED_AT + 3600
        self.asked = 0
        self.events: list[Event] = []
        self.writes: list[int] = []
        self.refusal: Failure | None = None
        self.failure_history = FailureHistory()
        self.fatal: Failure | None = None
        self.halted: Exception | None = None
        self.problem: BatchrunError | None = None

    def document(self, name: str, *, request: str | None = None) -> None:
        run = self.ledger.connection.execute
        request_id = f"request-{request or name}"
        run(
            "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 10, 'prose')"
            " on conflict do nothing",
            (request_id,),
        )
        run(
            "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq) values ('trial', ?, 's',"
            " 'sha', (select request_no from requests where request_id = ?), 1, 1)",
            (name, request_id),
        )

    def another(self, *, adopted: bool = False, nonce: str = NONCE, batch_id: str = "msgbatch_1") -> int:
        """A batch, that has been submitted, of what is pending."""
        pending = self.ledger.pending(1, since=0, after=0, limit=10_000)
        new = NewBatch(
            nonce=nonce, run_no=1, job="trial", model=self.model, schema=self.schema, newest_before=None,
            prepared_at=CREATED_AT - 1, others_follow=False, caps=run_caps(self.ledger, 1),
        )  # fmt: skip
        candidates = [Candidate(one.request_no, one.ref.doc_id, Amount(WORST)) for one in pending]
        prepared = self.batches.prepare(new, candidates, sizes=[1] * len(candidates))
        remote = RemoteBatch(batch_id=batch_id, status="in_progress", counts={}, created_at=CREATED_AT)
        self.batches.attach(self.batches.one(prepared.batch_no), remote, adopted=adopted, next_poll_at=CREATED_AT)
        return prepared.batch_no

    # --- the provider

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        if self.refusal:
            raise AttemptError(self.refusal)
        return self.remote

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        download = self.downloads[min(self.asked, len(self.downloads) - 1)]
        self.asked += 1
        for one in download:
            if isinstance(one, Failure):
                raise AttemptError(one)
            yield one

    # --- when

    def visit(self, *, cancels: bool = False) -> Batch:
        """Ask for the batch once, and collect it."""
        asyncio.run(self._visit(cancels=cancels))
        return self.batch

    async def _visit(self, *, cancels: bool) -> None:
        async with LedgerWriter(self.ledger) as writer:
            halt = Halt()
            context = RunContext(
                key=RunKey(1, since=0), job="trial", batch=BatchSection(),
                retry=RetrySection(max_attempts=self.max_attempts, initial_delay="0.001s", max_delay="0.002s"),
                writer=self.noting(writer), halt=halt, tell=self.events.append,
                price_of=load_prices(today=date(2026, 11, 21)).prices.get, recover=lambda ledger: None,
                waits=False, clock=lambda: self.now,
            )  # fmt: skip
            collector = Collector(context, self, self.failure_history)
            try:
                await Poller(BatchContext(context, self), collector).visit(self.batch, cancels=cancels)
                if collector.hopeless() is None:
                    await collector.conclude()
            except Halted:
                self.halted = halt.reason
            except BatchProblem as problem:
                self.problem = problem.problem
            self.fatal = collector.fatal

    def noting(self, writer: LedgerWriter) -> LedgerWriter:
        """Notes how many attempts each write settles."""
        write = writer.write

        async def noted(change: Callable[[Ledger], Any], *, spends: bool = False) -> Any:
            def counted(ledger: Ledger) -> Any:
                before = self.open
                result = change(ledger)
                if before > self.open:
                    self.writes.append(before - self.open)
                return result

            return await write(counted, spends=spends)

        writer.write = noted
        return writer

    def later(self, seconds: float = 3600.0, **options: bool) -> Batch:
        """Another visit, when it is due."""
        self.now += seconds
        return self.visit(**options)

    # --- then

    @property
    def batch(self) -> Batch:
        return self.batches.one(self.batch_no)

    @property
    def open(self) -> int:
        return int(self.ledger.connection.execute("select count(*) from attempts where state = 'open'").fetchone()[0])

    @property
    def statuses(self) -> dict[str, str]:
        rows = self.ledger.connection.execute("select doc_id, status from document_status order by document_no")
        return dict(rows.fetchall())

    @property
    def committed(self) -> int:
        return int(self.ledger.connection.execute("select committed_nusd from runs").fetchone()[0])

    @property
    def told(self) -> list[str]:
        return [event.doc_id for event in self.events if isinstance(event, DocumentSettled)]

    @property
    def collected(self) -> BatchCollected:
        (event,) = [event for event in self.events if isinstance(event, BatchCollected)]
        return event

    @property
    def trouble(self) -> str:
        return "\n".join(event.what for event in self.events if isinstance(event, BatchTrouble))

    def counted(self, counts: dict[str, int]) -> None:
        """The API tells how many results there are."""
        self.remote = replace(self.remote, counts={"processing": 0, **counts})

    def attempt(self, name: str) -> dict[str, Any]:
        cursor = self.ledger.connection.execute(
            "select * from attempts where doc_id = ? order by attempt_no desc", (name,)
        )
        return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))


ABC = ["a", "b", "c"]


PENDING = "pending"
