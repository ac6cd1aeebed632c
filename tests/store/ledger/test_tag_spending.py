"""What was spent by tag, and the tokens of a run: kept with each attempt, and known of old ledgers."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from batchrun.budget.caps import Amount, Cap, Caps, Of, Origin, Per
from batchrun.document import DocumentRef
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger.batch_records import Candidate, NewBatch, Prepared
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.cap_usage import shared_cap_usages
from batchrun.store.ledger.connection import SCRIPTS, create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded, Pending, RunPlan, Settlement
from batchrun.store.ledger.runs import Runs
from batchrun.store.ledger.sqlite_errors import run_script

RUN = Cap(Per.RUN, 10_000, "budget.max_cost_usd", Origin.JOB)
LEGAL = Cap(Per.DAY, 100, 'budget.tags."team=legal".max_cost_per_day_usd', Origin.PROJECT, tag="team=legal")
TOKENS = Cap(Per.RUN, 100, "budget.max_tokens", Origin.JOB, of=Of.TOKENS)


class Account:
    """A ledger in memory, with runs that have tags."""

    def __init__(self) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        create_missing(connection)
        self.ledger = Ledger(connection, None)
        self.number = 0

    def run(self, **tags: str) -> int:
        self.number += 1
        return Runs(self.ledger).begin_run(plan(**tags), run_id=f"r{self.number}")

    def pending(self, run_no: int) -> Pending:
        self.number += 1
        run, name = self.ledger.connection.execute, f"d{self.number}"
        request_no = run(
            "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 10, 'prose')", (name,)
        ).lastrowid
        run(
            "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
            " values ('a', ?, 's', 'sha', ?, ?, 1)",
            (name, request_no, run_no),
        )
        return Pending(0, DocumentRef(name, "s"), int(request_no or 0), name, 10, TextClass.PROSE, None)

    def reserve(self, run_no: int, nusd: int, tokens: int = 0, *, caps: Caps | None = None) -> object:
        caps = caps or Caps(run=RUN)
        amount = Amount(nusd, tokens)
        return self.ledger.reserve(self.pending(run_no), amount, run_no=run_no, job="a", model="m", caps=caps)

    def reserved(self, run_no: int, nusd: int, tokens: int = 0) -> int:
        attempt_no = self.reserve(run_no, nusd, tokens)
        assert isinstance(attempt_no, int)
        return attempt_no

    def by_tag(self) -> dict[str, tuple[int, int]]:
        rows = self.ledger.connection.execute(
            "select tag || '=' || value, sum(committed_nusd), sum(tokens) from tag_spending group by 1"
        )
        return {pair: (nusd, tokens) for pair, nusd, tokens in rows}

    def tokens(self, run_no: int) -> int:
        return Runs(self.ledger).one(run_no).tokens


@pytest.fixture
def account() -> Iterator[Account]:
    one = Account()
    yield one
    one.ledger.close()


def plan(**tags: str) -> RunPlan:
    return RunPlan(
        job="a", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
        cap_nusd=RUN.limit, cap_tokens=TOKENS.limit, tags=tags,
    )  # fmt: skip


def answered(attempt_no: int, nusd: int, tokens: int) -> Settlement:
    usage = Usage(input_tokens=tokens - 4, cache_read_tokens=3, output_tokens=1)
    reply = Reply("{}", "end_turn", usage, "m", "req", "{}")
    return Settlement(attempt_no=attempt_no, state="answered", cost_nusd=nusd, outcome=Outcome.SUCCEEDED, reply=reply)


def without_answer(attempt_no: int, *, lost: bool) -> Settlement:
    failure = Failure(cause=Cause.TIMEOUT, message="no answer")
    state, cost = ("unknown", None) if lost else ("failed", 0)
    return Settlement(attempt_no=attempt_no, state=state, cost_nusd=cost, failure=failure)


def test_what_is_spent_counts_for_every_tag_of_the_run(account: Account) -> None:
    both, one, none = account.run(team="legal", matter="4711"), account.run(team="legal"), account.run()

    attempts = [account.reserved(run_no, 50, 30) for run_no in (both, one, none)]
    assert account.by_tag() == {"team=legal": (100, 60), "matter=4711": (50, 30)}
    account.ledger.settle(answered(attempts[0], 20, 12))
    assert account.by_tag() == {"team=legal": (70, 42), "matter=4711": (20, 12)}
    account.ledger.settle(without_answer(attempts[1], lost=True))
    assert account.by_tag() == {"team=legal": (70, 42), "matter=4711": (20, 12)}, "at its worst case"
    assert [account.tokens(run_no) for run_no in (both, one, none)] == [12, 30, 30]
    account.ledger.settle(without_answer(attempts[2], lost=False))
    assert account.tokens(none) == 0

    told = Runs(account.ledger).one(one)
    assert (told.spent_tokens, told.held_tokens, told.open_tokens, told.cap_tokens) == (0, 30, 0, 100)
    assert Runs(account.ledger).one(both).spent_tokens == 12


def test_an_attempt_that_never_was_is_forgotten(account: Account) -> None:
    run_no, batches = account.run(team="legal"), Batches(account.ledger)
    account.reserved(run_no, 7, 5)
    pending = account.pending(run_no)
    new = NewBatch(
        nonce="n", run_no=run_no, job="a", model="m", schema={}, newest_before=None, prepared_at=0.0,
        others_follow=False, caps=Caps(run=RUN, tokens=TOKENS),
    )  # fmt: skip

    prepared = batches.prepare(new, [Candidate(pending.request_no, "d", Amount(40, 20))], sizes=[1])
    assert isinstance(prepared, Prepared)
    assert account.by_tag() == {"team=legal": (47, 25)}
    assert Runs(account.ledger).one(run_no).open_tokens == 25
    batches.abandon(batches.one(prepared.batch_no), "never sent")

    assert account.by_tag() == {"team=legal": (7, 5)}
    assert account.tokens(run_no) == 5


def test_a_tags_cap_is_shared_by_the_runs_that_have_it(account: Account) -> None:
    first, second, other = account.run(team="legal"), account.run(team="legal"), account.run(team="sales")
    caps = Caps(run=RUN, shared=(LEGAL,))

    assert isinstance(account.reserve(first, 60, caps=caps), int)
    refused = account.reserve(second, 41, caps=caps)

    assert refused == CapExceeded(60, LEGAL, open_attempts=0, others=True)
    assert isinstance(account.reserve(other, 41, caps=caps.borne_by({"team": "sales"})), int)
    assert isinstance(account.reserve(second, 40, caps=caps), int)


def test_requests_of_runs_without_the_tag_make_no_room_in_its_cap(account: Account) -> None:
    run_no, other = account.run(team="legal"), account.run(team="sales")
    caps = Caps(run=RUN, shared=(LEGAL,))
    account.reserved(other, 60)
    account.ledger.settle(answered(account.reserved(run_no, 90), 90, 10))

    assert account.reserve(run_no, 20, caps=caps) == CapExceeded(90, LEGAL, open_attempts=0, others=False)


def test_a_tags_cap_is_over_all_models_and_others_are_over_all_tags(account: Account) -> None:
    run_no, other = account.run(team="legal"), account.run()
    account.reserved(run_no, 30, 3)
    account.reserved(other, 20, 2)
    caps = [
        LEGAL,
        replace(LEGAL, per=Per.MONTH),
        replace(LEGAL, of=Of.TOKENS),
        replace(LEGAL, tag="team=sales"),
        replace(LEGAL, tag=None),
        replace(LEGAL, tag=None, of=Of.TOKENS, model="m"),
    ]
    (now,) = account.ledger.connection.execute("select max(started_at) from attempts").fetchone()

    found = shared_cap_usages(account.ledger.connection, caps, model="m", now=now)

    assert [one.used for one in found] == [30, 30, 3, 0, 50, 5]


def test_a_runs_tokens_never_pass_their_cap(account: Account) -> None:
    run_no, caps = account.run(), Caps(run=RUN, tokens=TOKENS)
    first = account.reserve(run_no, 1, 60, caps=caps)
    assert isinstance(first, int)

    assert account.reserve(run_no, 1, 41, caps=caps) == CapExceeded(60, TOKENS, open_attempts=1)
    assert isinstance(account.reserve(run_no, 1, 40, caps=caps), int)
    account.ledger.settle(answered(first, 1, 10))
    assert isinstance(account.reserve(run_no, 1, 50, caps=caps), int)
    assert account.reserve(run_no, 1, 1, caps=caps) == CapExceeded(100, TOKENS, open_attempts=2)


def test_a_run_keeps_the_tags_that_it_began_with(account: Account) -> None:
    run_no, runs = account.run(team="legal"), Runs(account.ledger)
    attempt_no = account.reserved(run_no, 50, 10)

    runs.continue_run(run_no, plan(team="sales", matter="1"))
    account.reserved(run_no, 5, 1)
    account.ledger.settle(answered(attempt_no, 20, 8))

    assert runs.tags(run_no) == {"team": "legal"}
    assert account.by_tag() == {"team=legal": (25, 9)}


@pytest.mark.parametrize("script", ["06_caps.sql", SCRIPTS[-2]])
def test_an_old_ledger_learns_the_tokens_of_its_runs_and_has_no_tags(tmp_path: Path, script: str) -> None:
    path, scripts = tmp_path / "ledger.sqlite3", SCRIPTS[: SCRIPTS.index(script) + 1]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
        for name in scripts:
            run_script(old, resources.files("batchrun.store.migrations").joinpath(name).read_text("utf-8"))
        old.execute("insert into meta values ('ledger_id', 'x'), ('sequence', 0)")
        old.execute(f"pragma user_version = {len(scripts)}")
        old.executemany(
            "insert into runs (run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send,"
            " cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)"
            " values (?, 'a', 'j', 'f', 'm', 0, 'stopped', 3, 3, 1000, 1, 1, 1, 1, 'h', 0)",
            [("r",), ("nothing was sent",)],
        )
        old.execute(
            "insert into requests (request_id, model, counted_tokens, text_class) values ('1', 'm', 1, 'prose')"
        )
        old.executemany(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, reserved_tokens, cost_nusd,"
            " started_at, model, input_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens,"
            " output_tokens) values (1, 1, 'a', 'd', ?, 100, ?, ?, 86400, 'm', ?, ?, ?, ?, ?)",
            [
                ("answered", 50, 60, 1, 2, 3, 4, 5),
                ("unknown", 40, None, None, None, None, None, None),
                ("unknown", None, None, None, None, None, None, None),  # of a version that reserved no tokens
                ("failed", 30, 0, None, None, None, None, None),
            ],
        )

    with contextlib.closing(Ledger.open(path)) as ledger:
        run, nothing = (Runs(ledger).one(run_no) for run_no in (1, 2))
        assert (run.tokens, run.spent_tokens, run.held_tokens, run.cap_tokens) == (55, 15, 40, None)
        assert (nothing.tokens, Runs(ledger).tags(1)) == (0, {})
        ledger.settle(answered(2, 40, 30))
        assert Runs(ledger).one(1).tokens == 45
        assert ledger.connection.execute("select count(*) from tag_spending").fetchone() == (0,)
