"""From the results of an ended batch to outcomes: judged, priced, in groups, whatever order or state they come in."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_caps import run_caps
from scripted_provider import BAD_KEY, OVERLOADED, TURNED_AWAY, answer, lost, status

from batchrun.batch import RESULTS_KEPT_S, BatchResult, BatchState, RemoteBatch, ResultType
from batchrun.budget.caps import Amount
from batchrun.catalog.price_table import load_prices
from batchrun.errors import Ambiguous, BatchrunError, EnvironmentProblem, Stopped
from batchrun.events import BatchCollected, BatchEnded, BatchTrouble, DocumentSettled, Event
from batchrun.execution.batch import collect
from batchrun.execution.batch.collect import Collector
from batchrun.execution.batch.context import BatchContext, BatchProblem
from batchrun.execution.batch.poll import Poller, poll_delay_s
from batchrun.execution.halt import Halt, Halted
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.retry_policy import FailureHistory
from batchrun.execution.run_context import RunContext, RunKey
from batchrun.job.spec import BatchSection, RetrySection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.wire import member_name
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger.batch_records import Batch, Candidate, NewBatch
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.runs import Runs

NONCE = "0123456789ab"
MODEL = "claude-haiku-4-5"
SCHEMA = {
    "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": False,
}  # fmt: skip
WORST = 1_000_000
COST = 75_000
"""Of an answer with 100 tokens in and 10 out, at half of $1 and $5 a million."""
CREATED_AT = 1_000_000.0
EXPIRED, CANCELED = ResultType.EXPIRED, ResultType.CANCELED
WRONG = status(400, "messages: wrong", error_type="invalid_request_error")
BROKE = status(500, "Internal server error", error_type="api_error")
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

# --- judged, and priced


def test_every_answer_is_judged_priced_at_half_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(ABC, map(ours, ABC))

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(ABC, "succeeded")
    assert bench.committed == 3 * COST
    assert bench.open == 0
    assert bench.told == ABC
    assert bench.collected == BatchCollected("msgbatch_1", again=0, odd=0)
    replies = bench.ledger.connection.execute("select count(*) from replies").fetchone()
    assert replies == (3,)
    attempt = bench.attempt("a")
    assert (attempt["state"], attempt["status"], attempt["stop_reason"]) == ("answered", 200, "end_turn")
    assert (attempt["input_tokens"], attempt["output_tokens"]) == (100, 10)
    (output,) = bench.ledger.connection.execute("select output from requests where request_id = 'request-a'").fetchone()
    assert json.loads(output) == {"title": "a title"}


@pytest.mark.parametrize(
    ("usage", "cost_nusd"),
    [
        (Usage(input_tokens=1, output_tokens=0), 500),
        (Usage(input_tokens=0, output_tokens=1), 2_500),
        (Usage(cache_write_5m_tokens=1), 625),
        (Usage(cache_write_1h_tokens=1), 1_000),
        (Usage(cache_read_tokens=1), 50),
        (Usage(input_tokens=3, cache_read_tokens=3, output_tokens=7), 1_500 + 150 + 17_500),
        (Usage(), 0),
    ],
)
def test_every_class_of_token_costs_half(usage: Usage, cost_nusd: int) -> None:
    bench = Bench(["a"], [ours("a", answer(usage=usage))])
    bench.visit()

    assert bench.attempt("a")["cost_nusd"] == bench.committed == cost_nusd


def test_an_answer_that_does_not_tell_its_usage_is_booked_at_its_worst() -> None:
    bench = Bench(ABC, [ours("a", answer(usage=None)), ours("b"), ours("c")])
    bench.visit()

    assert bench.attempt("a")["cost_nusd"] is None
    assert bench.committed == WORST + 2 * COST


def test_it_is_priced_by_the_model_of_the_batch() -> None:
    bench = Bench(["a"], [ours("a")], model="claude-opus-4-5")
    bench.visit()

    assert bench.committed == (100 * 5_000 + 10 * 25_000) // 2


def test_without_a_price_the_worst_case_is_booked_and_the_answers_are_kept() -> None:
    bench = Bench(ABC, [ours("a"), ours("b", WRONG), ours("c", EXPIRED)], model="claude-of-old")

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == {"a": "succeeded", "b": "rejected", "c": PENDING}
    assert (bench.attempt("a")["state"], bench.attempt("a")["cost_nusd"]) == ("answered", None)
    assert bench.committed == WORST
    assert bench.ledger.connection.execute("select count(*) from replies").fetchone() == (1,)


def test_it_is_judged_by_the_schema_of_the_batch() -> None:
    other = {"type": "object", "properties": {"other": {"type": "integer"}}, "required": ["other"]}
    bench = Bench(["a", "b"], [ours("a", answer({"other": 1})), ours("b")], schema=other)
    bench.visit()

    assert bench.statuses == {"a": "succeeded", "b": "invalid"}


PENDING = "pending"
FATES: dict[str, tuple[Fate, str, str, int]] = {
    "an answer": (answer(), "succeeded", "answered", COST),
    "an answer of another form": (answer({"heading": "x"}), "invalid", "answered", COST),
    "no JSON": (answer("I cannot"), "invalid", "answered", COST),
    "a refusal": (answer("", stop_reason="refusal"), "refused", "answered", COST),
    "max_tokens": (answer('{"tit', stop_reason="max_tokens"), "truncated", "answered", COST),
    "a message that cannot be read": (lost(Cause.MALFORMED), "errored", "unknown", WORST),
    "invalid_request": (WRONG, "rejected", "failed", 0),
    "request_too_large": (status(413, error_type="request_too_large"), "rejected", "failed", 0),
    "api_error": (BROKE, PENDING, "failed", 0),
    "overloaded": (OVERLOADED, PENDING, "failed", 0),
    "timeout_error": (status(504, error_type="timeout_error"), PENDING, "failed", 0),
    "rate_limit_error": (TURNED_AWAY, PENDING, "failed", 0),
    "authentication_error": (BAD_KEY, PENDING, "failed", 0),
    "billing_error": (status(402, error_type="billing_error"), PENDING, "failed", 0),
    "no credit, told as invalid_request": (
        status(400, "Your credit balance is too low", error_type="invalid_request_error"), PENDING, "failed", 0,
    ),
    "an error of a kind nobody knows": (
        Failure(cause=Cause.STATUS, message="?", error_type="new_error"), PENDING, "failed", 0,
    ),
    "an error without anything": (Failure(cause=Cause.STATUS, message="no message"), PENDING, "failed", 0),
    "expired": (EXPIRED, PENDING, "failed", 0),
    "canceled": (CANCELED, PENDING, "failed", 0),
}  # fmt: skip


@pytest.mark.parametrize(("fate", "becomes", "state", "cost_nusd"), FATES.values(), ids=FATES)
def test_what_a_result_means(fate: Fate, becomes: str, state: str, cost_nusd: int) -> None:
    bench = Bench(ABC, [ours("a"), ours("b", fate), ours("c")])

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == {"a": "succeeded", "b": becomes, "c": "succeeded"}
    assert bench.attempt("b")["state"] == state
    assert bench.committed == 2 * COST + cost_nusd
    assert bench.collected.again == (becomes == PENDING)
    assert ("b" in bench.told) == (becomes != PENDING)


LAST: dict[str, tuple[Fate, str]] = {
    "api_error": (BROKE, "errored"),
    "overloaded": (OVERLOADED, "errored"),
    "expired": (EXPIRED, "expired"),
    "canceled by somebody else": (CANCELED, "canceled"),
}


@pytest.mark.parametrize("max_attempts", [1, 2, 4])
@pytest.mark.parametrize(("fate", "becomes"), LAST.values(), ids=LAST)
def test_the_last_attempt_is_the_outcome(fate: Fate, becomes: str, max_attempts: int) -> None:
    bench = Bench(["a"], [ours("a", fate)], max_attempts=max_attempts)
    for number in range(1, max_attempts):
        bench.visit()
        assert bench.statuses == {"a": PENDING}
        bench.nonce = f"{number:012x}"
        bench.batch_no = bench.another(nonce=bench.nonce, batch_id=f"msgbatch_{number + 1}")
        bench.downloads = [[ours("a", fate, nonce=bench.nonce)]]
    bench.visit()

    assert bench.statuses == {"a": becomes}
    assert bench.committed == 0
    (reason,) = bench.ledger.connection.execute("select reason from requests").fetchone()
    assert reason


NOT_THE_DOCUMENTS: dict[str, Failure] = {
    "authentication_error": BAD_KEY,
    "billing_error": status(402, error_type="billing_error"),
    "permission_error": status(403, error_type="permission_error"),
    "not_found_error": status(404, error_type="not_found_error"),
    "rate_limit_error": TURNED_AWAY,
    "no credit, told as invalid_request": status(
        400, "Your credit balance is too low", error_type="invalid_request_error"
    ),
}


@pytest.mark.parametrize("failure", NOT_THE_DOCUMENTS.values(), ids=NOT_THE_DOCUMENTS)
def test_what_would_meet_every_other_request_is_no_outcome_of_one(failure: Failure) -> None:
    bench = Bench(["a"], [ours("a", failure)], max_attempts=1)

    bench.visit()

    assert bench.statuses == {"a": PENDING}
    assert bench.collected.again == 1
    assert bench.committed == 0


def test_what_we_canceled_is_pending_however_often() -> None:
    bench = Bench(["a"], [ours("a", CANCELED)], max_attempts=1)
    bench.batches.ask_to_cancel(bench.batch, now=CREATED_AT + 1)

    bench.visit()

    assert bench.statuses == {"a": PENDING}
    assert bench.collected.again == 1


def test_what_expired_in_a_batch_that_we_canceled_counts() -> None:
    bench = Bench(["a"], [ours("a", EXPIRED)], max_attempts=1)
    bench.batches.ask_to_cancel(bench.batch, now=CREATED_AT + 1)
    bench.visit()

    assert bench.statuses == {"a": "expired"}


def test_identical_documents_have_one_outcome() -> None:
    bench = Bench(["a", "b"], [ours("a"), ours("b")])
    bench.document("twin", request="a")
    bench.visit()

    assert bench.statuses["twin"] == "succeeded"
    assert sorted(bench.told) == ["a", "b", "twin"]
    assert bench.committed == 2 * COST


# --- in groups, in any order


@pytest.mark.slow
@pytest.mark.parametrize(("count", "groups"), [(1, [1]), (200, [200]), (201, [200, 1]), (450, [200, 200, 50])], ids=str)
def test_results_are_settled_in_groups_of_one_transaction_each(count: int, groups: list[int]) -> None:
    names = [f"d{number}" for number in range(count)]
    bench = Bench(names, [ours(name) for name in names])
    bench.visit()

    assert bench.writes == groups
    assert Counter(bench.statuses.values()) == {"succeeded": count}


@pytest.mark.slow
def test_results_are_never_all_in_memory() -> None:
    names = [f"d{number}" for number in range(1_000)]
    ahead: list[int] = []
    bench = Bench(names, [])
    settled = 0

    def lines() -> Iterable[BatchResult]:
        nonlocal settled
        for number, name in enumerate(names):
            ahead.append(number - (1_000 - bench.open))
            yield ours(name)

    bench.downloads = [lines()]
    bench.visit()

    assert max(ahead) <= collect.GROUP


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.permutations(["a", "b", "c", "d", "e"]), st.lists(st.sampled_from("abcde"), max_size=5), st.integers(0, 10))
def test_order_and_repetition_do_not_matter(order: list[str], repeated: list[str], at: int) -> None:
    results = [ours(name) for name in order]
    results[at:at] = [ours(name) for name in repeated]
    bench = Bench("abcde", results)
    bench.visit()

    assert bench.batch.state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys("abcde", "succeeded")
    assert bench.committed == 5 * COST
    assert sorted(bench.told) == list("abcde")


# --- custom_ids that are not as they should be


def test_of_a_repeated_result_the_first_counts() -> None:
    bench = Bench(["a"], [ours("a", answer({"title": "first"})), ours("a", answer({"title": "second"}))])
    bench.visit()

    (output,) = bench.ledger.connection.execute("select output from requests").fetchone()
    assert json.loads(output) == {"title": "first"}
    assert bench.collected.odd == 1
    assert bench.committed == COST


def test_a_repetition_in_another_group_counts_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "GROUP", 2)
    bench = Bench(ABC, [ours("a"), ours("b"), ours("a", BROKE), ours("c"), ours("b")])
    bench.visit()

    assert bench.statuses == dict.fromkeys(ABC, "succeeded")
    assert bench.committed == 3 * COST
    assert bench.collected.odd == 2


STRANGERS: dict[str, BatchResult] = {
    "somebody else's": line("row-17", answer()),
    "of another batch of ours": ours("a", nonce="ba9876543210"),
    "of no document": ours("nobody"),
    "without a custom_id": line("", answer()),
    "a line that is no result": BatchResult(type=None),
    "with SQL in it": line(f"{NONCE}-'; drop table attempts; --", answer()),
    "with the nonce alone": line(NONCE, answer()),
    "with the nonce and nothing else": line(f"{NONCE}-", answer()),
    "with the nonce at the end": line(f"request-a-{NONCE}", answer()),
    "of another case": line(f"{NONCE}-REQUEST-A", answer()),
    "very long": line("x" * 100_000, answer()),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("position", [0, 1, 3])
def test_an_unknown_custom_id_is_counted_and_does_no_harm(stranger: BatchResult, position: int) -> None:
    results = [ours(name) for name in ABC]
    results.insert(position, stranger)
    bench = Bench(ABC, results)

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(ABC, "succeeded")
    assert bench.collected.odd == 1
    assert bench.committed == 3 * COST


def test_a_result_of_a_batch_for_a_request_that_is_settled_by_now_changes_nothing() -> None:
    """Its member was settled in an earlier download."""
    bench = Bench(ABC, [ours("a"), lost()], [ours("a", BROKE), ours("b"), ours("c")])
    bench.visit()

    assert bench.statuses == dict.fromkeys(ABC, "succeeded")
    assert bench.committed == 3 * COST


def test_our_custom_id_with_a_line_that_is_no_result_is_lost_and_not_sent_again() -> None:
    bench = Bench(ABC, [ours("a"), BatchResult(nonce=NONCE, request_id="request-b", type=None), ours("c")])
    bench.visit()

    assert bench.statuses == {"a": "succeeded", "b": "errored", "c": "succeeded"}
    assert bench.committed == 2 * COST + WORST


# --- downloads that break


@pytest.mark.parametrize("failure", [lost(), lost(Cause.TIMEOUT), lost(Cause.UNREACHABLE), status(500), OVERLOADED])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_broken_download_begins_again_at_once_and_skips_what_is_settled(failure: Failure, at: int) -> None:
    whole = [ours(name) for name in ABC]
    bench = Bench(ABC, [*whole[:at], failure], whole)

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.asked == 2
    assert bench.told == ABC
    assert bench.writes == [one for one in (at, 3 - at) if one]
    assert bench.committed == 3 * COST


def test_a_download_that_breaks_again_and_again_is_left_for_later() -> None:
    bench = Bench(ABC, [ours("a"), lost()])

    batch = bench.visit()

    assert batch.state is BatchState.ENDED
    assert 1 < bench.asked < 10
    assert bench.statuses == {"a": "succeeded", "b": PENDING, "c": PENDING}
    assert bench.committed == COST + 2 * WORST
    assert batch.next_poll_at is not None
    assert batch.next_poll_at > bench.now
    asked = bench.asked
    bench.visit()
    assert bench.asked == asked, "it is not due"
    bench.downloads = [[ours(name) for name in ABC]]
    assert bench.later().state is BatchState.COLLECTED


@pytest.mark.parametrize(("failure", "code"), [(BAD_KEY, 5), (status(403), 5), (status(402), 4)])
def test_a_download_that_is_refused_stops_the_job(failure: Failure, code: int) -> None:
    bench = Bench(ABC, [ours("a"), failure])

    batch = bench.visit()

    assert bench.asked == 1
    assert isinstance(bench.halted, EnvironmentProblem | Stopped)
    assert bench.halted.exit_code == code
    assert batch.state is BatchState.ENDED
    assert bench.statuses["a"] == "succeeded"


@pytest.mark.parametrize("code", [404, 410])
@pytest.mark.parametrize("adopted", [False, True])
def test_results_that_are_not_there_yet_stop_nothing(code: int, adopted: bool) -> None:
    """The batch was there a moment ago, so neither the key nor the address is wrong."""
    bench = Bench(ABC, [status(code, "not available")], adopted=adopted)

    for _ in range(5):
        batch = bench.later()
        assert (batch.state, batch.downloads) == (BatchState.ENDED, 0)

    assert (bench.halted, bench.problem) == (None, None)
    assert bench.open == 3
    assert bench.asked == 5
    assert "not available" in bench.trouble
    bench.downloads = [[ours(name) for name in ABC]]
    assert bench.later().state is BatchState.COLLECTED


# --- downloads that end early


@pytest.mark.slow
@pytest.mark.parametrize("counts", [{}, {"succeeded": 2, "expired": 1}], ids=["not counted", "counted"])
def test_a_download_that_ends_at_the_same_place_again_and_again_is_repeated_with_patience(
    counts: dict[str, int],
) -> None:
    bench = Bench(ABC, [ours("a"), ours("c")])
    bench.counted(counts)

    for _ in range(collect.MOST_DOWNLOADS):
        assert bench.later().state is BatchState.ENDED
    assert bench.statuses == {"a": "succeeded", "b": PENDING, "c": "succeeded"}

    bench.downloads = [[ours(name) for name in ABC]]
    assert bench.later().state is BatchState.COLLECTED
    assert bench.told == ["a", "c", "b"]
    assert bench.committed == 3 * COST


def test_an_adopted_batch_is_not_judged_by_a_short_download() -> None:
    bench = Bench(ABC, [line("row-1", answer()), line("row-2", answer())], adopted=True)
    bench.counted({"succeeded": 3})

    batch = bench.visit()

    assert (batch.state, batch.batch_id) == (BatchState.ENDED, "msgbatch_1")


def test_a_download_with_somebody_elses_line_in_the_place_of_ours_is_not_the_last_either() -> None:
    bench = Bench(ABC, [ours("a"), line("row-17", answer()), ours("c")])
    bench.counted({"succeeded": 3})

    assert bench.visit().state is BatchState.ENDED
    assert bench.statuses["b"] == PENDING


# --- results that are missing


@pytest.mark.slow
def test_as_long_as_more_results_come_none_is_given_up() -> None:
    names = "abcdefgh"
    bench = Bench(names, *([ours(name) for name in names[:count]] for count in range(1, len(names) + 1)))

    for _ in names[:-1]:
        batch = bench.later()
        assert (batch.state, batch.downloads) == (BatchState.ENDED, 0)

    assert bench.later().state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(names, "succeeded")


@pytest.mark.slow
def test_missing_results_are_asked_for_again_and_then_given_up() -> None:
    bench = Bench(ABC, [ours("a"), ours("c")])
    bench.visit()
    assert bench.batch.downloads == 0, "a download that brings something new may not have been the last"

    for downloads in range(1, collect.MOST_DOWNLOADS):
        assert bench.later().state is BatchState.ENDED
        assert bench.batch.downloads == downloads
        assert bench.statuses == {"a": "succeeded", "b": PENDING, "c": "succeeded"}
    batch = bench.later()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == {"a": "succeeded", "b": "errored", "c": "succeeded"}
    assert bench.attempt("b")["state"] == "unknown"
    assert bench.committed == 2 * COST + WORST, "it may have been billed"
    assert bench.asked == 1 + collect.MOST_DOWNLOADS


@pytest.mark.slow
def test_a_download_that_breaks_is_not_one_that_has_it_not() -> None:
    bench = Bench(ABC, [ours("a"), lost()])
    for _ in range(5):
        bench.later()

    assert bench.batch.downloads == 0
    assert bench.batch.state is BatchState.ENDED


def test_missing_results_that_come_later_are_taken() -> None:
    bench = Bench(ABC, [], [ours("b")], [ours(name) for name in ABC])
    bench.later()
    bench.later()
    batch = bench.later()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(ABC, "succeeded")


@pytest.mark.slow
def test_many_missing_results_are_all_given_up() -> None:
    names = [f"d{number}" for number in range(450)]
    bench = Bench(names, [])
    for _ in range(collect.MOST_DOWNLOADS):
        bench.later()

    assert Counter(bench.statuses.values()) == {"errored": 450}
    assert len(bench.told) == 450


# --- adopted batches


def test_an_adopted_batch_is_proven_by_a_custom_id() -> None:
    bench = Bench(ABC, [line("row-17", answer()), *map(ours, ABC)], adopted=True)

    batch = bench.visit()

    assert (batch.state, batch.adopted) == (BatchState.COLLECTED, False)
    assert bench.collected.odd == 1


def test_an_adopted_batch_that_is_somebody_elses_is_given_back_without_loss() -> None:
    bench = Bench(ABC, [line(f"row-{number}", answer()) for number in range(3)], adopted=True)

    batch = bench.visit()

    assert (batch.state, batch.batch_id, batch.adopted) == (BatchState.PREPARED, None, False)
    assert bench.open == 3
    assert bench.statuses == dict.fromkeys(ABC, PENDING)
    assert bench.committed == 3 * WORST
    assert bench.told == []
    assert [event for event in bench.events if isinstance(event, BatchTrouble)]


def test_an_adopted_batch_of_another_of_our_jobs_is_given_back_too() -> None:
    bench = Bench(ABC, [ours(name, nonce="ba9876543210") for name in ABC], adopted=True)

    assert bench.visit().state is BatchState.PREPARED


def test_a_batch_that_we_created_ourselves_is_never_taken_for_somebody_elses() -> None:
    bench = Bench(ABC, [line(f"row-{number}", answer()) for number in range(3)])

    assert bench.visit().state is BatchState.ENDED


@pytest.mark.parametrize(
    "nothing",
    [
        [],
        [lost()],
        [BatchResult(type=None)],
        [BatchResult(type=None)] * 3,
        [line("x", EXPIRED)],
    ],
    ids=["empty", "broken", "an unreadable line", "unreadable lines", "cut short"],
)
def test_results_that_tell_nothing_do_not_prove_that_it_is_somebody_elses(nothing: list[Any]) -> None:
    bench = Bench(ABC, nothing, adopted=True)

    batch = bench.visit()

    assert batch.state is BatchState.ENDED
    assert batch.batch_id == "msgbatch_1"
    assert bench.open == 3


@pytest.mark.parametrize("at", [1, 2])
def test_what_was_proven_before_a_download_broke_stays_proven(at: int) -> None:
    whole = [ours(name) for name in ABC]
    bench = Bench(ABC, [*whole[:at], lost()], adopted=True)
    bench.visit()
    assert bench.batch.adopted is False

    bench.downloads = [whole]
    assert bench.later().state is BatchState.COLLECTED


# --- results that are gone


NOT_FOUND = status(404, "not available", error_type="not_found_error")
LATE_S = RESULTS_KEPT_S + 1


@pytest.mark.parametrize("gone", ["archived", 404, 410])
def test_results_that_are_gone_are_lost_and_nothing_is_sent_again(gone: str | int) -> None:
    bench = Bench(ABC, [] if gone == "archived" else [status(int(gone), "gone")])
    if gone == "archived":
        bench.remote = replace(bench.remote, archived=True)
    else:
        bench.now = CREATED_AT + LATE_S

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.asked == (gone != "archived")
    assert bench.statuses == dict.fromkeys(ABC, "errored")
    assert bench.committed == 3 * WORST
    assert {bench.attempt(name)["state"] for name in ABC} == {"unknown"}
    (reason,) = bench.ledger.connection.execute("select distinct reason from requests").fetchone()
    assert "29 days" in reason
    assert bench.trouble


@pytest.mark.parametrize("age_s", [-LATE_S, 0.0, RESULTS_KEPT_S - 60, LATE_S, 1_000 * LATE_S])
def test_results_are_taken_whatever_our_clock_says(age_s: float) -> None:
    bench = Bench(ABC, map(ours, ABC))
    bench.now = CREATED_AT + age_s

    assert bench.visit().state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(ABC, "succeeded")


@pytest.mark.parametrize("failure", [lost(), OVERLOADED, status(500)])
def test_old_results_that_cannot_be_had_just_now_are_not_gone(failure: Failure) -> None:
    bench = Bench(ABC, [failure])
    bench.now = CREATED_AT + LATE_S

    assert bench.visit().state is BatchState.ENDED
    assert bench.open == 3


@pytest.mark.parametrize("gone", ["archived", "refused"])
def test_an_adopted_batch_whose_results_are_gone_is_not_given_up_for_ours(gone: str) -> None:
    """It proves nothing: ours may be another one, and have all its results."""
    bench = Bench(ABC, [NOT_FOUND], adopted=True)
    bench.remote = replace(bench.remote, archived=gone == "archived")
    bench.now = CREATED_AT + LATE_S

    batch = bench.visit()

    assert batch.state is BatchState.ENDED
    assert isinstance(bench.problem, Ambiguous)
    assert bench.statuses == dict.fromkeys(ABC, PENDING)
    assert bench.open == 3


@pytest.mark.slow
def test_an_adopted_batch_that_nothing_proves_is_for_a_person_to_decide() -> None:
    bench = Bench(ABC, [], adopted=True)
    for downloads in range(1, collect.MOST_DOWNLOADS):
        assert bench.later().downloads == downloads
        assert bench.problem is None

    batch = bench.later()

    assert isinstance(bench.problem, Ambiguous)
    assert (batch.state, bench.open) == (BatchState.ENDED, 3)


def test_a_batch_that_the_api_does_not_know_is_for_a_person_to_decide() -> None:
    bench = Bench(ABC, [])
    bench.refusal = NOT_FOUND

    batch = bench.visit()

    assert isinstance(bench.problem, EnvironmentProblem)
    assert "msgbatch_1" in str(bench.problem)
    assert bench.halted is None, "the others are taken care of first"
    assert (batch.state, bench.open) == (BatchState.SUBMITTED, 3)


# --- what concerns all others


@pytest.mark.parametrize("failure", [BAD_KEY, status(403), status(404), status(402)])
def test_an_error_that_would_meet_every_other_is_noted(failure: Failure) -> None:
    bench = Bench(ABC, [ours("a"), ours("b", failure), ours("c")])
    bench.visit()

    assert bench.fatal == failure
    assert bench.statuses["b"] == PENDING


@pytest.mark.parametrize("failure", [BROKE, OVERLOADED, WRONG, TURNED_AWAY])
def test_an_error_of_one_is_not(failure: Failure) -> None:
    bench = Bench(ABC, [ours("a"), ours("b", failure), ours("c")])
    bench.visit()

    assert bench.fatal is None


def test_nothing_but_one_and_the_same_rejection_is_noted() -> None:
    bench = Bench("abcde", [ours(name, status(400, f"messages.{n}: wrong")) for n, name in enumerate("abcde")])
    bench.visit()
    assert bench.failure_history.rejects_alike

    bench = Bench("abcdef", [*(ours(name, WRONG) for name in "abcde"), ours("f")])
    bench.visit()
    assert not bench.failure_history.rejects_alike


# --- polling


def test_a_batch_that_goes_on_is_asked_for_later() -> None:
    bench = Bench(ABC, [])
    bench.remote = RemoteBatch(
        batch_id="msgbatch_1", status="in_progress", counts={"processing": 3}, created_at=CREATED_AT,
        expires_at=CREATED_AT + 86_400,
    )  # fmt: skip

    batch = bench.visit()

    assert batch.state is BatchState.SUBMITTED
    assert batch.next_poll_at == pytest.approx(bench.now + 300, abs=31)
    assert batch.expires_at == CREATED_AT + 86_400
    assert bench.asked == 0


def test_after_its_cancellation_a_batch_is_asked_for_as_if_it_were_young() -> None:
    bench = Bench(ABC, [])
    bench.remote = replace(bench.remote, status="canceling", counts={"processing": 3})
    bench.now = CREATED_AT + 20 * 3600
    bench.batches.ask_to_cancel(bench.batch, now=bench.now - 5)

    batch = bench.visit()

    assert batch.next_poll_at == pytest.approx(bench.now + 30, abs=3.1)


@pytest.mark.parametrize(("ahead_s", "asked"), [(300.0, 0), (900.0, 0), (1_300.0, 1), (365 * 86_400.0, 1)])
def test_a_time_that_only_a_wrong_clock_can_have_set_is_due(ahead_s: float, asked: int) -> None:
    bench = Bench(ABC, map(ours, ABC))
    bench.batches.postpone(bench.batch, next_poll_at=bench.now + ahead_s)

    bench.visit()

    assert bench.asked == asked


def test_the_api_may_want_to_be_asked_later_still() -> None:
    bench = Bench(ABC, [])
    bench.remote = RemoteBatch(
        batch_id="msgbatch_1", status="in_progress", counts={}, created_at=CREATED_AT, retry_after_s=7_000.0
    )

    assert bench.visit().next_poll_at >= bench.now + 7_000


def test_a_poll_that_fails_costs_nothing_and_is_repeated() -> None:
    bench = Bench(ABC, map(ours, ABC))
    bench.refusal = OVERLOADED

    batch = bench.visit()

    assert batch.state is BatchState.SUBMITTED
    assert batch.next_poll_at is not None
    assert batch.next_poll_at > bench.now
    bench.refusal = None
    assert bench.later().state is BatchState.COLLECTED


def test_the_end_is_told_with_its_counts() -> None:
    counts = {"processing": 0, "succeeded": 2, "errored": 1}
    bench = Bench(ABC, map(ours, ABC))
    bench.remote = RemoteBatch(
        batch_id="msgbatch_1", status="ended", counts=counts, created_at=CREATED_AT, ended_at=CREATED_AT + 99
    )
    bench.visit()

    assert [event for event in bench.events if isinstance(event, BatchEnded)] == [
        BatchEnded("msgbatch_1", 99.0, counts)
    ]
    assert bench.batch.ended_at == CREATED_AT + 99


class Middle:
    """No jitter."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


@pytest.mark.parametrize(
    ("age_s", "delay_s"), [(-50, 30), (0, 30), (300, 30), (600, 60), (2_000, 200), (3_000, 300), (86_400, 300)]
)
def test_a_batch_is_asked_for_after_a_tenth_of_its_age(age_s: float, delay_s: float) -> None:
    assert poll_delay_s(age_s, least_s=30, most_s=300, rng=Middle()) == pytest.approx(delay_s)
