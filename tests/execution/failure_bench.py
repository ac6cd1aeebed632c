"""Every way in which one failure can come, driven through the code that decides: a stream, a batch, and its calls."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from run_caps import run_cap

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.budget.caps import Amount, Caps
from batchrun.errors import BatchrunError
from batchrun.execution.batch.collect import Collector
from batchrun.execution.batch.context import BatchContext
from batchrun.execution.batch.executor import BatchExecutor
from batchrun.execution.batch.packing import PackLimits, Spool
from batchrun.execution.failure_history import FailureHistory
from batchrun.execution.failure_messages import failed_outcome, fatal_problem
from batchrun.execution.halt import Halt
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.retry_policy import UNHURRIED_ATTEMPTS, Action, Health, Tries, asks_to_wait, decide
from batchrun.execution.run_context import RunContext, RunKey
from batchrun.job.spec import BatchSection, RetrySection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.wire import member_name
from batchrun.providers.capabilities import FULL
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.batch_records import Candidate
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.runs import Runs

MAX_ATTEMPTS = 2
BEGINNING = 1_000_000.0
HOUR_S = 3600.0
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
LOST = Failure(cause=Cause.DROPPED, message="the connection broke")
BROKE = Failure(cause=Cause.STATUS, status=500, error_type="api_error", message="Internal server error")
NO_CREDIT = "Your credit balance is too low to access the Anthropic API."
USAGE_LIMIT = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
LITELLM = "Budget has been exceeded! Current cost: 12.3, Max budget: 12.0"
GATEWAYS: dict[str, Any] = {
    "of LiteLLM": {"error_type": "budget_exceeded", "message": LITELLM},
    "of an older LiteLLM": {"error_type": "auth_error", "message": LITELLM},
    "of LiteLLM before LiteLLM": {"message": f"litellm.BadRequestError: OpenAIException - {LITELLM}"},
    "of LiteLLM before the API": {
        "message": 'litellm.BadRequestError: AnthropicException - {"type":"error","error":'
        '{"type":"invalid_request_error","message":"' + NO_CREDIT
    },
    "of LiteLLM's users": {"message": "Authentication Error, ExceededBudget: User=u over budget. Spend=2, Budget=1"},
    "of OpenRouter": {"message": "Key limit exceeded (total limit). Manage it in the settings"},
    "of OpenAI": {"error_type": "insufficient_quota", "message": "You exceeded your current quota"},
    "of a quotation": {"message": f"messages.0: content {LITELLM!r} is not allowed"},
    "of a length": {"error_type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000"},
}
"""Errors of gateways as they are documented, and what only looks like these."""
ENDINGS = {Cause.EXPIRED: ResultType.EXPIRED, Cause.CANCELED: ResultType.CANCELED}
"""What a line of results says in the place of a failure."""


def named(name: str) -> Failure:
    """The failure of a row of the table: a cause, or a status with its error type, its code or its subject."""
    first, *more = name.split()
    documented = GATEWAYS.get(" ".join(more))
    if documented:
        return Failure(cause=Cause.STATUS, status=int(first), **documented)
    if first in set(Cause):
        return Failure(cause=Cause(first), message="words")
    types = [word for word in more if word.endswith("_error")]
    codes = [word for word in more if "_" in word and word not in types]
    return Failure(
        cause=Cause.STATUS,
        status=int(first) if first.isdigit() else None,
        error_type=types[0] if types else None,
        error_code=codes[0] if codes else None,
        message=NO_CREDIT if "no credit" in name else USAGE_LIMIT if "usage limit" in name else "words",
        retry_after_s=7.0 if "retry-after" in name else None,
    )


def streamed(failure: Failure) -> str:
    """What becomes of a streamed document whose every attempt fails like this, while others are answered."""
    tries = Tries()
    for sent in count(1):
        tries = tries.after(failure)
        if sent > 10 * UNHURRIED_ATTEMPTS * MAX_ATTEMPTS:
            return "waits"
        match decide(failure, tries, Health.ANSWERING, max_attempts=MAX_ATTEMPTS):
            case Action.FAIL:
                return f"{failed_outcome(failure)} {sent}"
            case Action.WAIT if not asks_to_wait(failure):
                return "outage"
            case Action.STOP | Action.STOP_MONEY | Action.STOP_OUTAGE:
                return f"stop {int(fatal_problem(failure).exit_code)}"
    raise AssertionError


def in_a_batch(failure: Failure, folder: Path) -> str:
    """What becomes of a document whose every result in a batch is like this.

    After a stop the failure becomes one that is tried again: that tells whether the stop has cost an attempt.
    """
    bench = BatchBench(folder, ["a"])
    bench.fate = failure
    stopped, until = "", 0
    while bench.statuses["a"] == "pending":
        assert bench.now < BEGINNING + 100 * HOUR_S, f"no end in sight: {bench.halted}"
        bench.run()
        if bench.halted and not stopped:
            stopped, bench.fate, until = f"stop {int(bench.halted.exit_code)}", BROKE, len(bench.remote)
    if not stopped:
        return f"{bench.statuses['a']} {len(bench.remote)}"
    return stopped if len(bench.remote) - until == MAX_ATTEMPTS else f"{stopped}, spent"


def created(failure: Failure, folder: Path) -> str:
    """What a failed create call leaves behind."""
    bench = BatchBench(folder, ["a", "b"])
    bench.refused["create"] = failure
    bench.run()
    states = [state for (state,) in bench.ask("select state from batches where unclear_at is not null")]
    if "rejected" in bench.statuses.values():
        return "halved"
    return said(bench, "in doubt" if states == ["prepared"] else "later")


def listed(failure: Failure, folder: Path) -> str:
    """What follows when a batch in doubt is looked for, and the list cannot be had."""
    bench = BatchBench(folder, ["a"])
    bench.refused["create"] = LOST
    bench.run()
    return asked("page", failure, bench)


def retrieved(failure: Failure, folder: Path) -> str:
    """What follows when a batch is asked for."""
    bench = BatchBench(folder, ["a"])
    bench.run()
    return asked("retrieve", failure, bench)


def cancel_asked(failure: Failure, folder: Path) -> str:
    """What follows when a batch is to be canceled."""
    bench = BatchBench(folder, ["a"])
    bench.run()
    bench.ends = False
    return asked("cancel", failure, bench, cancels=True)


def downloaded(failure: Failure, folder: Path) -> str:
    """What follows when the results of a batch that has just ended are asked for."""
    bench = BatchBench(folder, ["a"])
    bench.run()
    return asked("results", failure, bench)


def asked(call: str, failure: Failure, bench: "BatchBench", *, cancels: bool = False) -> str:
    """What follows when this call fails; nothing is lost by it in any case."""
    bench.refused[call] = failure
    bench.calls = 0
    bench.run(cancels=cancels)
    assert bench.statuses["a"] == "pending"
    return said(bench, "again" if bench.calls > 1 else "later")


def said(bench: "BatchBench", otherwise: str) -> str:
    """Why the run has halted, if it has."""
    if bench.halted is None:
        return otherwise
    of_one = "does not know the batch" in str(bench.halted)
    return f"{'batch' if of_one else 'stop'} {int(bench.halted.exit_code)}"


@dataclass
class BatchBench:
    """A batch executor over a ledger in memory, and an API whose calls and results fail as they are told to."""

    folder: Path
    names: list[str]
    refused: dict[str, Failure] = field(default_factory=dict)
    """What a call answers with, by its name."""
    fate: Failure = BROKE
    """What every result is."""
    ends: bool = True
    """Whether a batch has ended when it is asked for."""
    counted: bool = False
    """Whether the API tells how many results of each kind there are."""
    calls: int = 0
    """How often a call was refused."""
    now: float = BEGINNING
    halted: BatchrunError | None = None
    remote: list[list[str]] = field(default_factory=list)
    """The custom_ids of each batch that was created."""

    model = "claude-haiku-4-5"
    able = FULL
    schema = SCHEMA
    caps = Caps(run=run_cap(10**12))
    leases = None

    def __post_init__(self) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        create_missing(connection)
        self.ledger = Ledger(connection, None)
        Runs(self.ledger).begin_run(
            RunPlan(job="trial", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
                    cap_nusd=10**12, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1), run_id="r",
        )  # fmt: skip
        for name in self.names:
            connection.execute(
                "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 10, 'prose')",
                (name,),
            )
            connection.execute(
                "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
                " values ('trial', ?, 's', 'sha', (select request_no from requests where request_id = ?), 1, 1)",
                (name, name),
            )

    def ask(self, query: str) -> list[Any]:
        """Ask the ledger."""
        return self.ledger.connection.execute(query).fetchall()

    @property
    def statuses(self) -> dict[str, str]:
        """Each document's status."""
        return dict(self.ask("select doc_id, status from document_status"))

    # --- a run

    def run(self, *, cancels: bool = False) -> None:
        """Do what is due, an hour later."""
        self.now += HOUR_S
        asyncio.run(self._run(cancels=cancels))

    async def _run(self, *, cancels: bool) -> None:
        async with LedgerWriter(self.ledger) as writer:
            halt = Halt()
            context = RunContext(
                key=RunKey(1, since=0), job="trial", batch=BatchSection(), cancels=cancels, waits=False,
                retry=RetrySection(max_attempts=MAX_ATTEMPTS, initial_delay="0.001s", max_delay="0.002s"),
                writer=writer, halt=halt, tell=lambda _: None, price_of=lambda _: None, recover=lambda _: None,
                clock=lambda: self.now,
            )  # fmt: skip
            collector = Collector(context, self, FailureHistory())
            await BatchExecutor(BatchContext(context, self), self, collector).run()
            self.halted = halt.reason

    # --- the packer

    async def any_pending(self) -> bool:
        """Whether there is anything to pack."""
        return "pending" in self.statuses.values()

    async def pack(self, nonce: str, limits: PackLimits) -> Spool:
        """All that is pending, up to the limit of requests."""
        spool = Spool(self.folder, nonce)
        for one in self.ledger.pending(1, since=0, after=0, limit=limits.requests):
            item = json.dumps({"custom_id": f"{nonce}-{one.request_id}", "params": {}}).encode()
            spool.add(Candidate(one.request_no, one.ref.doc_id, Amount(1_000)), item)
        spool.flush()
        return spool

    # --- the API

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Create a batch."""
        received = b"".join([bytes(part) async for part in body.parts()])
        self._refuse("create")
        self.remote.append([one["custom_id"] for one in json.loads(received)["requests"]])
        return self._told(len(self.remote) - 1, "in_progress")

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch."""
        self._refuse("retrieve")
        return self._told(int(batch_id), "ended" if self.ends else "in_progress")

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        """The list, the newest first."""
        self._refuse("page")
        newest_first = [self._told(number, "ended") for number in reversed(range(len(self.remote)))]
        return BatchPage(tuple(newest_first[:limit]), has_more=False)

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Cancel a batch."""
        self._refuse("cancel")
        return self._told(int(batch_id), "canceling")

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """The results of a batch."""
        self._refuse("results")
        kind = ENDINGS.get(self.fate.cause)
        for custom_id in self.remote[int(batch.batch_id)]:
            nonce, request_id = member_name(custom_id)
            failure = None if kind else self.fate
            yield BatchResult(nonce=nonce, request_id=request_id, type=kind or ResultType.ERRORED, failure=failure)

    async def close(self) -> None:
        """Close the connections."""

    def _refuse(self, call: str) -> None:
        if call in self.refused:
            self.calls += 1
            raise AttemptError(self.refused[call])

    def _told(self, number: int, status: str) -> RemoteBatch:
        counts = {"succeeded": 0, "errored": len(self.remote[number])} if self.counted else {}
        return RemoteBatch(batch_id=str(number), status=status, counts=counts, created_at=self.now)
