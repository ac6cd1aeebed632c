"""The chain over settled attempts: what was changed in a ledger shows, and what batchrun does itself does not."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from batch_account import ENDED, SUBMITTED, Account, answered, unprocessed

from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.chain import Break, Chain, Flaw, Head, Walk, facts_digest, first_digest, link_digest
from batchrun.store.ledger.connection import SCHEMA_VERSION, SCRIPTS
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import KnownPrompt, Move, Settlement
from batchrun.store.ledger.runs import Runs
from batchrun.store.ledger.sqlite_errors import LedgerDamaged


@pytest.fixture
def settled() -> Iterator[Account]:
    """A ledger with five attempts, settled in order; the fourth has failed."""
    account = Account(documents=5)
    for pending in account.pending:
        attempt_no = account.stream(pending)
        assert isinstance(attempt_no, int)
        end = unprocessed(attempt_no, outcome=Outcome.ERRORED) if attempt_no == 4 else answered(attempt_no)
        account.ledger.settle(end)
    yield account
    account.ledger.close()


def walk(account: Account, noted: str = "") -> Walk:
    return account.ledger.chain.walk(noted)


def heads(account: Account) -> list[str]:
    return [digest for (digest,) in account.ask("select lower(hex(digest)) from chain order by link_no")]


def change(account: Account, *statements: str) -> None:
    account.ledger.connection.execute("pragma foreign_keys = off")
    for statement in statements:
        account.ledger.connection.execute(statement)


# --- what is written


def test_every_settled_attempt_follows_the_one_before(settled: Account) -> None:
    found = walk(settled)

    assert found == Walk(Head(5, heads(settled)[-1]), settled_before=0, noted=None, broken=None)
    assert settled.ask("select attempt_no from chain order by link_no") == [(number,) for number in range(1, 6)]
    assert len(set(heads(settled))) == 5


def test_an_empty_ledger_is_intact(account: Account) -> None:
    found = walk(account)

    assert (found.head.link_no, found.broken) == (0, None)


def test_a_chain_is_of_one_ledger() -> None:
    first, second = Account(), Account()

    assert walk(first).head.digest != walk(second).head.digest


def test_the_digests_stay_as_they_are() -> None:
    before = first_digest("ledger", 2, 7)
    facts = facts_digest([1, "request", None, 0.1, "reply", None])

    assert before.hex().startswith("f00f167fb09a8961")
    assert facts.hex().startswith("b153fdd5377ea2e8")
    assert link_digest(before, 1, facts).hex().startswith("4838a2e8b6b1da83")


def test_a_settlement_that_is_rolled_back_leaves_no_link(account: Account) -> None:
    attempt_no = account.stream(account.pending[0])
    assert isinstance(attempt_no, int)

    def settle_and_fail() -> None:
        with account.ledger.transaction():
            account.ledger.settle(answered(attempt_no))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        settle_and_fail()

    assert account.ask("select * from chain") == []
    assert walk(account).broken is None


def test_results_of_a_batch_are_linked(account: Account) -> None:
    batch = account.batch(state=ENDED)

    for member in account.batches.without_result(batch.batch_no, limit=100):
        account.ledger.settle(answered(member.attempt_no))

    assert (walk(account).head.link_no, walk(account).broken) == (5, None)


def test_a_batch_that_is_written_off_is_linked(account: Account) -> None:
    account.batches.write_off(account.batch(state=SUBMITTED), "why", now=2.0)

    assert (walk(account).head.link_no, walk(account).broken) == (5, None)


def test_a_batch_that_was_never_created_has_no_links(account: Account) -> None:
    account.batches.abandon(account.batch(), "why")

    assert (walk(account).head.link_no, walk(account).broken) == (0, None)


def test_what_a_dead_process_left_is_linked(account: Account) -> None:
    account.stream(account.pending[0])
    account.stream(account.pending[1])

    assert Runs(account.ledger).recover("trial") == 2

    assert (walk(account).head.link_no, walk(account).broken) == (2, None)


def test_a_lost_answer_that_is_held_at_less_has_a_further_link(account: Account) -> None:
    account.stream(account.pending[0])
    account.ledger.connection.execute("update attempts set reserved_tokens = 500, reserved_nusd = 900")
    Runs(account.ledger).recover("trial")
    again = account.stream(account.pending[0])
    assert isinstance(again, int)

    account.ledger.settle(replace(answered(again), prompt=KnownPrompt(tokens=10, max_tokens=20, input_nusd=1)))

    assert account.ask("select attempt_no from chain order by link_no") == [(1,), (1,), (2,)]
    assert walk(account).broken is None


def test_an_outcome_that_was_held_back_is_a_further_link(account: Account) -> None:
    attempt_no = account.stream(account.pending[0])
    assert isinstance(attempt_no, int)
    failure = Failure(cause=Cause.STATUS, status=400, message="no")
    held = Settlement(attempt_no=attempt_no, state="failed", cost_nusd=0, failure=failure)
    account.ledger.settle(held)

    account.ledger.conclude(replace(held, outcome=Outcome.REJECTED, reason="no"))

    assert account.ask("select attempt_no from chain order by link_no") == [(1,), (1,)]
    assert walk(account).broken is None


def test_an_answer_that_is_passed_on_later_is_a_further_link(settled: Account) -> None:
    was = settled.pending[1]

    settled.ledger.move("trial", Move(was, "request-of-the-next-model", "n", escalated="unsure"))

    assert settled.ask("select attempt_no, escalated from attempts where escalated is not null") == [(2, "unsure")]
    assert walk(settled).head.link_no == 6
    assert walk(settled).broken is None


def test_a_request_that_is_tried_again_leaves_the_chain_whole(settled: Account) -> None:
    settled.ledger.connection.execute("update requests set outcome = null, attempt_no = null where request_no = 4")
    again = settled.stream(settled.pending[3])
    assert isinstance(again, int)

    settled.ledger.settle(answered(again))

    assert (walk(settled).head.link_no, walk(settled).broken) == (6, None)


def test_the_head_of_a_run_is_of_its_last_settlement(settled: Account) -> None:
    other = Account(documents=1)

    assert settled.ledger.chain.head_of_run(settled.run_no) == Head(5, heads(settled)[-1])
    assert other.ledger.chain.head_of_run(other.run_no) is None


# --- what is found

CHANGED = Flaw.ATTEMPT_CHANGED
DAMAGES: dict[str, tuple[list[str], Break]] = {
    "cost": (["update attempts set cost_nusd = 8 where attempt_no = 2"], Break(CHANGED, 2, 2)),
    "tokens": (["update attempts set output_tokens = 3 where attempt_no = 3"], Break(CHANGED, 3, 3)),
    "time": (["update attempts set ended_at = ended_at + 1e-6 where attempt_no = 3"], Break(CHANGED, 3, 3)),
    "failure": (["update attempts set message = 'other' where attempt_no = 4"], Break(CHANGED, 4, 4)),
    "outcome": (["update attempts set outcome = null where attempt_no = 4"], Break(CHANGED, 4, 4)),
    "open again": (["update attempts set state = 'open' where attempt_no = 4"], Break(CHANGED, 4, 4)),
    "reply": (["update replies set raw = '{ }' where attempt_no = 1"], Break(CHANGED, 1, 1)),
    "no reply": (["delete from replies where attempt_no = 5"], Break(CHANGED, 5, 5)),
    "another reply": (["insert into replies values (4, '{}')"], Break(CHANGED, 4, 4)),
    "output": (["update requests set output = '{ }' where request_no = 1"], Break(CHANGED, 1, 1)),
    "hidden output": (["update requests set attempt_no = null where request_no = 2"], Break(CHANGED, 2, 2)),
    "request": (["update requests set request_id = 'other' where request_no = 2"], Break(CHANGED, 2, 2)),
    "document": (["update attempts set doc_id = 'other' where attempt_no = 2"], Break(CHANGED, 2, 2)),
    "deleted attempt": (["delete from attempts where attempt_no = 3"], Break(Flaw.ATTEMPT_MISSING, 3, 3)),
    "deleted link": (["delete from chain where link_no = 3"], Break(Flaw.LINK_MISSING, 3)),
    "deleted attempt and link": (
        [
            "delete from attempts where attempt_no = 3",
            "delete from chain where link_no = 3",
            "update chain set link_no = link_no - 1 where link_no > 3",
        ],
        Break(Flaw.LINK_WRONG, 3, 4),
    ),
    "swapped links": (
        [
            "update chain set link_no = -2 where link_no = 2",
            "update chain set link_no = 2 where link_no = 3",
            "update chain set link_no = 3 where link_no = -2",
        ],
        Break(Flaw.LINK_WRONG, 2, 3),
    ),
    "swapped facts": (
        ["update chain set facts = (select facts from chain c where c.link_no = 3) where link_no = 2"],
        Break(Flaw.LINK_WRONG, 2, 2),
    ),
    "link before the first": (["insert into chain values (0, 1, x'00', x'00')"], Break(Flaw.LINK_WRONG, 0, 1)),
    "link after the last": (["insert into chain values (6, 1, x'00', x'00')"], Break(Flaw.LINK_WRONG, 6, 1)),
    "inserted attempt": (
        [
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at)"
            " values (1, 1, 'trial', 'd0', 'answered', 1, 1, 1.0)"
        ],
        Break(Flaw.ATTEMPT_INSERTED, None, 6),
    ),
    "cut end": (["delete from chain where link_no = 5"], Break(Flaw.END_WRONG, 5)),
    "cut end with its attempt": (
        ["delete from chain where link_no > 3", "delete from attempts where attempt_no > 3"],
        Break(Flaw.END_WRONG, 5),
    ),
    "all links": (["delete from chain"], Break(Flaw.END_WRONG, 5)),
    "another end": (["update chain_end set digest = x'00'"], Break(Flaw.END_WRONG, 5)),
    "another beginning": (["update chain_end set settled_before = 1"], Break(Flaw.LINK_WRONG, 1, 1)),
}


@pytest.mark.parametrize(("statements", "broken"), DAMAGES.values(), ids=DAMAGES)
def test_the_first_link_that_is_wrong_is_named(settled: Account, statements: list[str], broken: Break) -> None:
    change(settled, *statements)

    assert walk(settled).broken == broken


def test_the_first_of_several_is_named(settled: Account) -> None:
    change(settled, "update attempts set cost_nusd = 8 where attempt_no in (2, 3, 5)")

    found = walk(settled)

    assert found.broken == Break(Flaw.ATTEMPT_CHANGED, 2, 2)
    assert found.head == Head(1, heads(settled)[0])


@pytest.mark.parametrize(
    "column",
    [
        "job", "run_no", "batch_no", "model", "reserved_nusd", "reserved_tokens", "price_no", "input_tokens",
        "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "thinking_tokens", "stop_reason",
        "api_request_id", "cause", "status", "error_type", "error_code", "started_at", "latency_s", "first_byte_s",
        "reason", "escalated", "turn",
    ],
)  # fmt: skip
def test_every_fact_counts(settled: Account, column: str) -> None:
    # SQLite writes a real number with 15 digits: a digit more may give the same number.
    other = f"case typeof({column}) when 'real' then {column} + 1 else coalesce({column}, 0) || 1 end"
    change(settled, f"update attempts set {column} = {other} where attempt_no = 2")

    assert walk(settled).broken == Break(Flaw.ATTEMPT_CHANGED, 2, 2)


def test_a_later_link_of_an_attempt_counts(settled: Account) -> None:
    settled.ledger.move("trial", Move(settled.pending[1], "request-of-the-next-model", "n", escalated="unsure"))
    change(settled, "update attempts set escalated = null where attempt_no = 2")

    assert walk(settled).broken == Break(Flaw.ATTEMPT_CHANGED, 6, 2)


# --- heads that were noted


def cut_and_forged(account: Account) -> None:
    """Remove the last two attempts, and record the link before as the last one."""
    change(
        account,
        "delete from chain where link_no > 3",
        "delete from attempts where attempt_no > 3",
        "update chain_end set links = 3, digest = (select digest from chain where link_no = 3)",
    )


def test_a_noted_head_is_found(settled: Account) -> None:
    noted = heads(settled)[2]

    assert walk(settled, noted).noted == Head(3, noted)
    assert walk(settled, noted[:12]).noted == Head(3, noted)


def test_only_a_noted_head_shows_a_chain_that_was_written_anew(settled: Account) -> None:
    noted = heads(settled)
    cut_and_forged(settled)

    assert walk(settled).broken is None
    assert walk(settled, noted[-1]).noted is None
    assert walk(settled, noted[2]).noted == Head(3, noted[2])


# --- ledgers of earlier versions, and damaged ones


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A ledger of the version before the chain, with two settled attempts and an open one between."""
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for script in SCRIPTS[:14]:
            connection.executescript(resources.files("batchrun.store.migrations").joinpath(script).read_text("utf-8"))
        connection.executescript("""
            insert into meta values ('ledger_id', 'the same'), ('sequence', 3);
            insert into runs (run_no, run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send,
                cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)
            values (1, 'r', 'trial', 'jobs/trial.toml', 'f', 'm', 0, 'interrupted', 3, 3, 1000, 10, 5, 20, 1, 'h', 1.0);
            insert into requests (request_no, request_id, model, counted_tokens, text_class)
            values (1, 'a', 'm', 10, 'prose'), (2, 'b', 'm', 10, 'prose'), (3, 'c', 'm', 10, 'prose');
            insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at)
            values (1, 1, 'trial', 'a', 'answered', 50, 20, 1.0), (2, 1, 'trial', 'b', 'open', 50, null, 1.0),
                (3, 1, 'trial', 'c', 'unknown', 50, null, 1.0);
            pragma user_version = 14;
        """)
    return path


def in_old(path: Path, *changes: Callable[[Ledger], object]) -> Walk:
    with contextlib.closing(Ledger.open(path)) as ledger:
        for one in changes:
            with ledger.transaction():
                one(ledger)
        return ledger.chain.walk()


def test_attempts_before_the_chain_are_counted(old: Path) -> None:
    found = in_old(old)

    assert (found.settled_before, found.head.link_no, found.broken) == (2, 0, None)
    assert SCHEMA_VERSION == 21


def test_an_attempt_that_was_open_when_the_chain_began_is_linked(old: Path) -> None:
    found = in_old(old, lambda ledger: ledger.settle(answered(2)))

    assert (found.settled_before, found.head.link_no, found.broken) == (2, 1, None)


def test_a_change_of_an_attempt_before_the_chain_is_no_link(old: Path) -> None:
    found = in_old(old, lambda ledger: ledger.conclude(replace(answered(1), outcome=Outcome.INVALID)))

    assert (found.settled_before, found.head.link_no, found.broken) == (2, 0, None)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from attempts where attempt_no = 1",
        "update attempts set state = 'answered' where attempt_no = 2",
        "update chain_end set settled_before = 1",
    ],
    ids=["fewer", "more", "another number"],
)
def test_attempts_before_the_chain_that_come_or_go(old: Path, statement: str) -> None:
    found = in_old(old, lambda ledger: ledger.connection.execute(statement))

    assert found.broken == Break(Flaw.BEGINNING_WRONG)


def test_an_attempt_that_is_inserted_behind_those_before_the_chain(old: Path) -> None:
    statement = (
        "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at)"
        " values (1, 1, 'trial', 'a', 'answered', 50, 20, 1.0)"
    )

    found = in_old(old, lambda ledger: ledger.connection.execute(statement))

    assert found.broken == Break(Flaw.ATTEMPT_INSERTED, None, 4)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("drop table chain", "the chain over its attempts is missing"),
        ("drop table chain_end", "the chain over its attempts is missing"),
        ("delete from chain_end", "the end of the chain over its attempts is missing"),
    ],
    ids=["no chain", "no end", "empty end"],
)
def test_a_half_written_ledger_gives_words(settled: Account, statement: str, words: str) -> None:
    change(settled, statement)

    with pytest.raises(LedgerDamaged, match=words):
        Chain(settled.ledger.connection, Path("ledger.sqlite3")).walk()
