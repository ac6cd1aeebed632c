"""Caps in the ledger: whatever happens in whatever order, on whatever day, none is passed."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batchrun.budget.caps import Amount, Cap, Caps, Of, Origin, Per, most_in_flight_nusd
from batchrun.document import DocumentRef
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger import ledger as ledger_module
from batchrun.store.ledger.batch_records import Candidate, NewBatch, Prepared
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.cap_usage import shared_cap_usages
from batchrun.store.ledger.connection import SCRIPTS, create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded, Pending, RunPlan, Settlement, Taken
from batchrun.store.ledger.runs import Runs
from batchrun.store.ledger.sqlite_errors import run_script

START = datetime(2026, 11, 29, 20, tzinfo=UTC).timestamp()
"""The evening before the last day of a month."""
HOUR = 3600.0


def cap(
    per: Per,
    limit: int,
    *,
    of: Of = Of.COST,
    model: str | None = None,
    tag: str | None = None,
    origin: Origin = Origin.PROJECT,
) -> Cap:
    return Cap(per, limit, f"{per} {of} {model} {tag}", origin, model, of, tag)


RUN = cap(Per.RUN, 1_000, origin=Origin.JOB)
TOKENS = cap(Per.RUN, 7_000, of=Of.TOKENS, origin=Origin.JOB)
DOCUMENT = cap(Per.DOCUMENT, 400)
SHARED = (
    cap(Per.DAY, 1_300),
    cap(Per.MONTH, 2_000),
    cap(Per.DAY, 9_000, of=Of.TOKENS),
    cap(Per.DAY, 500, model="dear"),
    cap(Per.MONTH, 800, model="dear"),
    cap(Per.DAY, 3_000, of=Of.TOKENS, model="dear"),
    cap(Per.DAY, 1_100, tag="team=legal"),
    cap(Per.MONTH, 1_800, tag="team=legal"),
    cap(Per.DAY, 8_000, of=Of.TOKENS, tag="team=legal"),
    cap(Per.DAY, 600, tag="matter=4711"),
    cap(Per.DAY, 4_000, of=Of.TOKENS, tag="matter=4711"),
)
CAPS = Caps(run=RUN, tokens=TOKENS, document=DOCUMENT, shared=SHARED)
TAGS = {"a": {"team": "legal", "matter": "4711"}, "b": {"team": "legal"}}
PAIRS = {job: {None, *(f"{name}={value}" for name, value in tags.items())} for job, tags in TAGS.items()}


def plan(job: str) -> RunPlan:
    return RunPlan(
        job=job, job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1, cap_nusd=RUN.limit,
        estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1, tags=TAGS[job],
    )  # fmt: skip


def in_memory() -> Ledger:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_missing(connection)
    return Ledger(connection, None)


def add_document(ledger: Ledger, run_no: int, name: str, *, model: str = "cheap", job: str = "a") -> Pending:
    run = ledger.connection.execute
    request_no = run(
        "insert into requests (request_id, model, counted_tokens, text_class) values (?, ?, 10, 'prose')",
        (f"request of {name}", model),
    ).lastrowid
    document_no = run(
        "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
        " values (?, ?, 's', 'sha', ?, ?, ?)",
        (job, name, request_no, run_no, ledger.next_seq()),
    ).lastrowid
    ref = DocumentRef(name, "s")
    return Pending(int(document_no or 0), ref, int(request_no or 0), f"request of {name}", 10, TextClass.PROSE, None)


def answered(attempt_no: int, cost_nusd: int | None, tokens: int | None, *, outcome: Outcome | None) -> Settlement:
    usage = None if tokens is None else Usage(input_tokens=tokens // 2, output_tokens=tokens - tokens // 2)
    reply = Reply("{}", "end_turn", usage, "m-1", "req_1", "{}")
    return Settlement(attempt_no=attempt_no, state="answered", cost_nusd=cost_nusd, outcome=outcome, reply=reply)


def failed(attempt_no: int) -> Settlement:
    failure = Failure(cause=Cause.STATUS, status=529, message="Overloaded")
    return Settlement(attempt_no=attempt_no, state="failed", cost_nusd=0, failure=failure)


def lost(attempt_no: int) -> Settlement:
    failure = Failure(cause=Cause.TIMEOUT, message="no answer")
    return Settlement(attempt_no=attempt_no, state="unknown", cost_nusd=None, failure=failure)


@dataclass(frozen=True)
class Made:
    """An attempt, with what counts for each kind of cap."""

    run_no: int
    job: str
    request_no: int
    model: str
    on: datetime
    nusd: int
    tokens: int


def made(ledger: Ledger) -> list[Made]:
    """Every attempt: what it cost and used, or may have cost and used, added up from scratch."""
    rows = ledger.connection.execute(
        "select a.run_no, a.job, a.request_no, r.model, a.started_at, a.cost_nusd, a.reserved_nusd, a.reserved_tokens,"
        " a.input_tokens + a.cache_read_tokens + a.cache_write_5m_tokens + a.cache_write_1h_tokens + a.output_tokens"
        " from attempts a join requests r using (request_no)"
    )
    found = []
    for run_no, job, request_no, model, at, cost, reserved, reserved_tokens, used in rows:
        known = cost is not None
        tokens = used if used is not None else 0 if known else reserved_tokens
        found.append(
            Made(run_no, job, request_no, model, datetime.fromtimestamp(at, UTC), cost if known else reserved, tokens)
        )
    return found


def used(attempts: list[Made], one: Cap, at: datetime) -> int:
    """What counts for a cap of a day or a month."""
    form = "%Y-%m-%d" if one.per is Per.DAY else "%Y-%m"
    ours = [
        attempt
        for attempt in attempts
        if attempt.on.strftime(form) == at.strftime(form)
        and one.model in {None, attempt.model}
        and one.tag in PAIRS[attempt.job]
    ]
    return sum(attempt.tokens if one.of is Of.TOKENS else attempt.nusd for attempt in ours)


class Spenders(RuleBasedStateMachine):
    """Two jobs stream and make batches, over days; answers come, get lost, or their process dies."""

    @initialize()
    def begin(self) -> None:
        self.ledger, self.now = in_memory(), START
        self.clock = mock.patch.object(ledger_module, "time", SimpleNamespace(time=lambda: self.now))
        self.clock.start()
        self.batches = Batches(self.ledger)
        self.run_of = {job: Runs(self.ledger).begin_run(plan(job), run_id=f"{job} 1") for job in "ab"}
        self.number = 1
        self.waiting: list[tuple[str, Pending, str]] = []
        self.open: dict[int, tuple[str, Pending, str]] = {}

    def new_document(self, job: str, model: str) -> Pending:
        self.number += 1
        return add_document(self.ledger, self.run_of[job], f"d{self.number}", model=model, job=job)

    def has_room(self, job: str, model: str, amount: Amount, request_no: int | None = None) -> bool:
        """The expectation by the rules, and by sums of our own."""
        attempts, run_no = made(self.ledger), self.run_of[job]
        of_run = [one for one in attempts if one.run_no == run_no]
        of_document = sum(one.nusd for one in of_run if one.request_no == request_no)
        at = datetime.fromtimestamp(self.now, UTC)
        return (
            sum(one.nusd for one in of_run) + amount.nusd <= RUN.limit
            and sum(one.tokens for one in of_run) + amount.tokens <= TOKENS.limit
            and of_document + amount.nusd <= DOCUMENT.limit
            and all(
                used(attempts, one, at) + amount.of(one.of) <= one.limit
                for one in SHARED
                if one.model in {None, model} and one.tag in PAIRS[job]
            )
        )

    @rule(
        job=st.sampled_from("ab"),
        model=st.sampled_from(["cheap", "dear"]),
        nusd=st.integers(1, 450),
        tokens=st.integers(1, 3_100),
        again=st.booleans(),
        data=st.data(),
    )
    def reserve(self, job: str, model: str, nusd: int, tokens: int, again: bool, data: st.DataObject) -> None:
        if again and self.waiting:
            job, work, model = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        else:
            work = self.new_document(job, model)
        amount = Amount(nusd, tokens)
        expected = self.has_room(job, model, amount, work.request_no)

        result = self.ledger.reserve(
            work, amount, run_no=self.run_of[job], job=job, model=model, caps=CAPS.borne_by(TAGS[job])
        )

        assert isinstance(result, int) == expected, result
        if isinstance(result, int):
            self.open[result] = (job, work, model)
        else:
            assert isinstance(result, CapExceeded)
            assert result.used + amount.of(result.cap.of) > result.cap.limit

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        share=st.floats(0, 1),
        how=st.sampled_from(["answered", "answered", "answered", "unpriced", "failed", "lost"]),
    )
    def settle(self, data: st.DataObject, share: float, how: str) -> None:
        attempt_no = data.draw(st.sampled_from(sorted(self.open)))
        job, work, model = self.open.pop(attempt_no)
        nusd, tokens = self.ledger.connection.execute(
            "select reserved_nusd, reserved_tokens from attempts where attempt_no = ?", (attempt_no,)
        ).fetchone()
        ends = {
            "answered": answered(attempt_no, int(nusd * share), int(tokens * share), outcome=Outcome.SUCCEEDED),
            "unpriced": answered(attempt_no, None, None, outcome=Outcome.SUCCEEDED),
            "failed": failed(attempt_no),
            "lost": lost(attempt_no),
        }
        self.ledger.settle(ends[how])
        if how in {"failed", "lost"}:
            self.waiting.append((job, work, model))

    @rule(job=st.sampled_from("ab"))
    def crash_and_recover(self, job: str) -> None:
        Runs(self.ledger).recover(job)
        dead = [attempt_no for attempt_no, (one, _, _) in self.open.items() if one == job]
        self.waiting += [self.open.pop(attempt_no) for attempt_no in dead]

    @rule(job=st.sampled_from("ab"))
    def begin_another_run(self, job: str) -> None:
        self.crash_and_recover(job)
        self.waiting = [one for one in self.waiting if one[0] != job]
        self.number += 1
        self.run_of[job] = Runs(self.ledger).begin_run(plan(job), run_id=f"{job} {self.number}")

    @rule(
        job=st.sampled_from("ab"),
        model=st.sampled_from(["cheap", "dear"]),
        amounts=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 1_500)), min_size=1, max_size=5),
        what=st.sampled_from(["abandoned", "written off", "answered"]),
        share=st.floats(0, 1),
        hours=st.integers(0, 10),
    )
    def batch(self, job: str, model: str, amounts: list[tuple[int, int]], what: str, share: float, hours: int) -> None:
        works = [self.new_document(job, model) for _ in amounts]
        candidates = [
            Candidate(work.request_no, work.ref.doc_id, Amount(*one)) for work, one in zip(works, amounts, strict=True)
        ]
        self.number += 1
        new = NewBatch(
            nonce=str(self.number), run_no=self.run_of[job], job=job, model=model, schema={}, newest_before=None,
            prepared_at=self.now, others_follow=False, caps=CAPS.borne_by(TAGS[job]),
        )  # fmt: skip
        fits = self.has_room(job, model, Amount(*amounts[0]))

        result = self.batches.prepare(new, candidates, sizes=[1] * len(candidates))

        assert isinstance(result, Prepared) == fits, result
        if not isinstance(result, Prepared):
            return
        self.check_caps()
        self.now += hours * HOUR  # members count on the day on which they were reserved
        batch = self.batches.one(result.batch_no)
        if what == "abandoned":
            self.batches.abandon(batch, "never sent")
        elif what == "written off":
            self.batches.write_off(batch, "gone", now=self.now)
        else:
            rows = self.ledger.connection.execute(
                "select attempt_no, reserved_nusd, reserved_tokens from attempts where batch_no = ?", (batch.batch_no,)
            ).fetchall()
            for attempt_no, nusd, tokens in rows:
                self.ledger.settle(
                    answered(attempt_no, int(nusd * share), int(tokens * share), outcome=Outcome.SUCCEEDED)
                )

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.now += hours * HOUR

    @invariant()
    def check_caps(self) -> None:
        attempts = made(self.ledger)
        of_run: Counter[int] = Counter()
        of_document: Counter[tuple[int, int]] = Counter()
        for one in attempts:
            of_run[one.run_no] += one.nusd
            of_document[one.run_no, one.request_no] += one.nusd
        assert max(of_run.values(), default=0) <= RUN.limit
        for run_no in of_run:
            assert sum(one.tokens for one in attempts if one.run_no == run_no) <= TOKENS.limit
        assert max(of_document.values(), default=0) <= DOCUMENT.limit
        for at in {one.on for one in attempts}:
            for one in SHARED:
                assert used(attempts, one, at) <= one.limit, one

    @invariant()
    def the_kept_sums_are_those_of_the_attempts(self) -> None:
        attempts = made(self.ledger)
        nusd: Counter[tuple[str, str]] = Counter()
        tokens: Counter[tuple[str, str]] = Counter()
        of_run: Counter[int] = Counter()
        for one in attempts:
            nusd[f"{one.on:%F}", one.model] += one.nusd
            tokens[f"{one.on:%F}", one.model] += one.tokens
            of_run[one.run_no] += one.nusd
        rows = self.ledger.connection.execute(
            "select date(day * 86400, 'unixepoch'), model, committed_nusd, tokens from spending"
        ).fetchall()
        assert {(day, model): kept for day, model, kept, _ in rows if kept} == +nusd
        assert {(day, model): kept for day, model, _, kept in rows if kept} == +tokens
        by_tag: Counter[tuple[str, str]] = Counter()
        tokens_by_tag: Counter[tuple[str, str]] = Counter()
        for one in attempts:
            for pair in PAIRS[one.job] - {None}:
                by_tag[f"{one.on:%F}", str(pair)] += one.nusd
                tokens_by_tag[f"{one.on:%F}", str(pair)] += one.tokens
        rows = self.ledger.connection.execute(
            "select date(day * 86400, 'unixepoch'), tag || '=' || value, committed_nusd, tokens from tag_spending"
        ).fetchall()
        assert {(day, pair): kept for day, pair, kept, _ in rows if kept} == +by_tag
        assert {(day, pair): kept for day, pair, _, kept in rows if kept} == +tokens_by_tag
        of_runs = self.ledger.connection.execute("select run_no, tokens from runs").fetchall()
        assert dict(of_runs) == {
            run_no: sum(one.tokens for one in attempts if one.run_no == run_no) for run_no, _ in of_runs
        }
        kept = self.ledger.connection.execute("select run_no, committed_nusd, expected_nusd from runs").fetchall()
        assert {run_no: committed for run_no, committed, _ in kept if committed} == +of_run
        assert all(committed == expected for _, committed, expected in kept)

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.clock.stop()
            self.ledger.close()


TestSpenders = pytest.mark.slow(Spenders.TestCase)
TestSpenders.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# --- which cap, and when it has room again


@dataclass
class Spender:
    """One run of one job at a time of the test's choosing."""

    ledger: Ledger
    run_no: int
    now: float = START
    number: int = 0

    def reserve(
        self, nusd: int, caps: Caps, *, model: str = "cheap", work: Pending | None = None, **more: int
    ) -> object:
        self.number += 1
        work = work or add_document(self.ledger, self.run_no, f"d{self.number}", model=model)
        return self.ledger.reserve(
            work, Amount(nusd, **more), run_no=self.run_no, job="a", model=model, caps=caps
        )  # fmt: skip


@pytest.fixture
def spender(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spender]:
    with contextlib.closing(in_memory()) as ledger:
        one = Spender(ledger, Runs(ledger).begin_run(plan("a"), run_id="r"))
        monkeypatch.setattr(ledger_module, "time", SimpleNamespace(time=lambda: one.now))
        yield one


def only(*shared: Cap) -> Caps:
    return Caps(run=RUN, shared=shared)


@pytest.mark.parametrize(("per", "hours"), [(Per.DAY, 4), (Per.MONTH, 28)])
def test_there_is_room_again_when_the_day_or_the_month_is_over(spender: Spender, per: Per, hours: int) -> None:
    caps = only(cap(per, 100))
    assert isinstance(spender.reserve(100, caps), int)

    spender.now = START + hours * HOUR - 1
    refused = spender.reserve(1, caps)
    spender.now = START + hours * HOUR

    assert refused == CapExceeded(100, caps.shared[0], open_attempts=1)
    assert isinstance(spender.reserve(1, caps), int)


def test_what_is_answered_the_next_day_counts_on_the_day_it_was_sent(spender: Spender) -> None:
    caps = only(cap(Per.DAY, 100))
    attempt_no = spender.reserve(100, caps)
    spender.now += 10 * HOUR

    assert isinstance(attempt_no, int)
    spender.ledger.settle(answered(attempt_no, 60, 5, outcome=Outcome.SUCCEEDED))

    assert isinstance(spender.reserve(100, caps), int)
    yesterday = shared_cap_usages(spender.ledger.connection, caps.shared, model="cheap", now=START)
    assert [room.used for room in yesterday] == [60]


def test_a_models_cap_is_that_of_its_snapshots_too(spender: Spender) -> None:
    caps = only(cap(Per.DAY, 100, model="claude-haiku-4-5"))
    assert isinstance(spender.reserve(60, caps, model="claude-haiku-4-5-20251001"), int)

    assert isinstance(spender.reserve(60, caps, model="claude-haiku-4-5"), CapExceeded)
    assert isinstance(spender.reserve(60, caps, model="claude-haiku-4-5-20251001"), CapExceeded)
    assert isinstance(spender.reserve(60, caps, model="claude-haiku-4-5-long"), int)


def test_who_has_no_room_hears_whether_others_are_sending(spender: Spender) -> None:
    caps = only(cap(Per.DAY, 100))
    other = Runs(spender.ledger).begin_run(plan("b"), run_id="s")
    work = add_document(spender.ledger, other, "other", job="b")
    theirs = spender.ledger.reserve(work, Amount(90), run_no=other, job="b", model="cheap", caps=caps)
    assert isinstance(theirs, int)

    waiting = spender.reserve(20, caps)
    spender.ledger.settle(answered(theirs, 90, 1, outcome=Outcome.SUCCEEDED))
    spent = spender.reserve(20, caps)

    assert waiting == CapExceeded(90, caps.shared[0], open_attempts=0, others=True)
    assert spent == CapExceeded(90, caps.shared[0], open_attempts=0, others=False)


def test_tokens_that_nobody_told_count_at_their_worst(spender: Spender) -> None:
    caps = only(cap(Per.DAY, 100, of=Of.TOKENS))
    first = spender.reserve(1, caps, tokens=60)
    assert isinstance(first, int)
    spender.ledger.settle(answered(first, None, None, outcome=None))

    assert spender.reserve(1, caps, tokens=41) == CapExceeded(60, caps.shared[0], open_attempts=0)
    assert isinstance(spender.reserve(1, caps, tokens=40), int)


def test_a_soft_cap_counts_what_is_expected(spender: Spender) -> None:
    run = Cap(Per.RUN, 100, "budget.max_cost_usd", Origin.JOB, of=Of.EXPECTED)
    soft = Caps(run=run)

    sent = [spender.reserve(400, soft, expected_nusd=30) for _ in range(4)]

    assert sent[3] == CapExceeded(90, run, open_attempts=3)
    assert isinstance(sent[0], int)
    spender.ledger.settle(answered(sent[0], 45, 5, outcome=Outcome.SUCCEEDED))
    assert spender.reserve(400, soft, expected_nusd=1) == CapExceeded(105, run, open_attempts=2)
    assert isinstance(sent[1], int)
    spender.ledger.settle(lost(sent[1]))
    assert spender.reserve(400, soft, expected_nusd=1) == CapExceeded(105, run, open_attempts=1), "as expected"


def test_a_ceiling_stays_hard_beside_a_soft_cap(spender: Spender) -> None:
    ceiling = cap(Per.RUN, 500)
    soft = Caps(run=Cap(Per.RUN, 500, "k", Origin.JOB, of=Of.EXPECTED), ceiling=ceiling)
    assert isinstance(spender.reserve(400, soft, expected_nusd=30), int)

    assert spender.reserve(101, soft, expected_nusd=30) == CapExceeded(400, ceiling, open_attempts=1)


def test_a_documents_cap_is_over_its_requests_to_every_model(spender: Spender) -> None:
    caps = Caps(run=RUN, document=cap(Per.DOCUMENT, 100))
    first, second = (add_document(spender.ledger, spender.run_no, name) for name in ("one", "two"))
    attempt_no = spender.reserve(60, caps, work=first)
    assert isinstance(attempt_no, int)
    spender.ledger.settle(answered(attempt_no, 50, 5, outcome=Outcome.REFUSED))

    def fallback(nusd: int) -> object:
        return spender.ledger.reserve(
            second, Amount(nusd), run_no=spender.run_no, job="a", model="cheap", caps=caps, earlier=[first.request_id]
        )

    assert fallback(51) == CapExceeded(50, caps.document, open_attempts=0)
    assert isinstance(fallback(50), int)


# --- where a cap is expected to bind


def test_little_is_under_way_where_the_cap_is_expected_to_bind(spender: Spender) -> None:
    caps = Caps(run=RUN, scarce_nusd=1_000)
    assert most_in_flight_nusd(cap_nusd=1_000, held_nusd=0) == 20
    first = spender.reserve(12, caps)
    second = spender.reserve(8, caps)

    assert isinstance(first, int)
    assert isinstance(second, int)
    assert spender.reserve(1, caps) == CapExceeded(20, RUN, open_attempts=2)
    spender.ledger.settle(lost(first))
    assert most_in_flight_nusd(cap_nusd=1_000, held_nusd=12) == 17
    assert isinstance(spender.reserve(9, caps), int)
    assert isinstance(spender.reserve(1, caps), CapExceeded)


def test_one_request_may_always_be_under_way(spender: Spender) -> None:
    caps = Caps(run=RUN, scarce_nusd=1_000)
    first = spender.reserve(300, caps)
    assert isinstance(first, int)

    assert isinstance(spender.reserve(300, caps), CapExceeded)
    spender.ledger.settle(lost(first))
    assert most_in_flight_nusd(cap_nusd=1_000, held_nusd=300) == 0
    assert isinstance(spender.reserve(300, caps), int)


# --- giving up


def test_a_request_is_given_up_for_all_its_documents_and_only_while_nothing_is_under_way(spender: Spender) -> None:
    ledger, caps = spender.ledger, Caps(run=RUN)
    work = add_document(ledger, spender.run_no, "one")
    ledger.connection.execute(
        "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
        " values ('b', 'twin', 's', 'sha', ?, ?, 99)", (work.request_no, spender.run_no),
    )  # fmt: skip
    attempt_no = spender.reserve(1, caps, work=work)
    assert isinstance(attempt_no, int)

    assert ledger.give_up(work.request_no, "a", Outcome.ERRORED, "why") == []
    ledger.settle(failed(attempt_no))
    assert ledger.give_up(work.request_no, "a", Outcome.ERRORED, "why") == ["one"]

    rows = ledger.connection.execute("select doc_id, status, reason, attempt_no from document_status order by doc_id")
    assert rows.fetchall() == [("one", "errored", "why", attempt_no), ("twin", "errored", "why", attempt_no)]
    assert spender.reserve(1, caps, work=work) == Taken(settled=True)


# --- old ledgers


def test_an_old_ledger_learns_what_its_attempts_spent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
        for script in SCRIPTS[: SCRIPTS.index("06_caps.sql")]:
            run_script(old, resources.files("batchrun.store.migrations").joinpath(script).read_text("utf-8"))
        old.execute("insert into meta values ('ledger_id', 'x'), ('sequence', 0)")
        old.execute(f"pragma user_version = {SCRIPTS.index('06_caps.sql')}")
        old.execute(
            "insert into runs (run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send,"
            " cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)"
            " values ('r', 'a', 'j', 'f', 'cheap', 0, 'stopped', 3, 3, 1000, 1, 1, 1, 1, 'h', 0)"
        )
        old.execute(
            "insert into requests (request_id, model, counted_tokens, text_class) values ('1', 'cheap', 1, 'prose')"
        )
        old.executemany(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at, model,"
            " input_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens)"
            " values (1, 1, 'a', 'd', ?, 100, ?, ?, 'cheap-20260101', ?, ?, ?, ?, ?)",
            [
                ("answered", 60, START, 1, 2, 3, 4, 5),
                ("unknown", None, START + HOUR, None, None, None, None, None),
                ("failed", 0, START + 4 * HOUR, None, None, None, None, None),
                ("answered", 7, START + 5 * HOUR, 9, 0, 0, 0, 1),
            ],
        )

    with contextlib.closing(Ledger.open(path)) as ledger:
        spending = ledger.connection.execute("select day, model, committed_nusd, tokens from spending").fetchall()
        assert spending == [(int(START // 86400), "cheap", 160, 15), (int(START // 86400) + 1, "cheap", 7, 10)]
        assert ledger.connection.execute("select committed_nusd, expected_nusd from runs").fetchall() == [(167, 167)]
        ledger.settle(answered(2, 40, 30, outcome=Outcome.SUCCEEDED))
        spending = ledger.connection.execute("select committed_nusd, tokens from spending").fetchall()
        assert spending == [(100, 45), (7, 10)]
