"""Every method in every state of a batch: what it changes, and what it refuses."""

import sqlite3
from collections.abc import Callable

import pytest
from batch_account import ABANDONED, COLLECTED, ENDED, PREPARED, SUBMITTED, Account, answered, snapshot, told

from batchrun.batch import BatchState
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import TRANSITIONS

AFTERWARDS: dict[tuple[str, BatchState], BatchState] = {
    ("attach", PREPARED): SUBMITTED,
    ("doubt", PREPARED): PREPARED,
    ("missed", PREPARED): PREPARED,
    ("abandon", PREPARED): ABANDONED,
    ("write off", PREPARED): ABANDONED,
    ("polled, going on", SUBMITTED): SUBMITTED,
    ("polled, ended", SUBMITTED): ENDED,
    ("detach", SUBMITTED): PREPARED,
    ("abandon", SUBMITTED): ABANDONED,
    ("write off", SUBMITTED): ABANDONED,
    ("proven", ENDED): ENDED,
    ("downloaded", ENDED): ENDED,
    ("detach", ENDED): PREPARED,
    ("abandon", ENDED): ABANDONED,
    ("write off", ENDED): ABANDONED,
    ("collected", ENDED): COLLECTED,
}
"""What each method makes of each state; everything else is a bug and changes nothing."""


def settle_and_collect(account: Account, batch: Batch) -> None:
    for member in account.batches.without_result(batch.batch_no, limit=100):
        account.ledger.settle(answered(member.attempt_no))
    account.batches.collected(batch)


ACTIONS: dict[str, Callable[[Account, Batch], object]] = {
    "attach": lambda account, batch: account.batches.attach(batch, told("new"), adopted=False, next_poll_at=1.0),
    "polled, going on": lambda account, batch: account.batches.polled(batch, told(), next_poll_at=1.0),
    "polled, ended": lambda account, batch: account.batches.polled(batch, told(status="ended"), next_poll_at=1.0),
    "doubt": lambda account, batch: account.batches.doubt(batch, now=5.0),
    "missed": lambda account, batch: account.batches.missed(batch, now=5.0),
    "proven": lambda account, batch: account.batches.proven(batch),
    "downloaded": lambda account, batch: account.batches.downloaded(batch, news=False),
    "detach": lambda account, batch: account.batches.detach(batch, now=5.0),
    "abandon": lambda account, batch: account.batches.abandon(batch, "why"),
    "write off": lambda account, batch: account.batches.write_off(batch, "why", now=5.0),
    "collected": settle_and_collect,
}


@pytest.mark.parametrize("state", BatchState)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_method_in_every_state(account: Account, action: str, state: BatchState) -> None:
    batch = account.batch(state=state)
    expected = AFTERWARDS.get((action, state))
    if expected is not None:
        ACTIONS[action](account, batch)
        assert account.batches.one(1).state is expected
        return
    before = snapshot(account)

    def refused() -> None:
        connection = account.ledger.connection
        connection.execute("begin")
        try:
            ACTIONS[action](account, batch)
        finally:
            connection.execute("rollback")

    with pytest.raises(AssertionError):
        refused()
    assert snapshot(account) == before


def test_the_table_of_transitions_is_the_documented_one() -> None:
    assert {state: set(following) for state, following in TRANSITIONS.items()} == {
        PREPARED: {SUBMITTED, ABANDONED},
        SUBMITTED: {ENDED, PREPARED, ABANDONED},
        ENDED: {COLLECTED, PREPARED, ABANDONED},
        COLLECTED: set(),
        ABANDONED: set(),
    }


@pytest.mark.parametrize("action", ["attach", "doubt", "missed", "abandon", "write off"])
def test_what_was_learnt_in_a_state_that_is_over_is_refused(account: Account, action: str) -> None:
    """Two processes: one has moved the batch on while the other was still looking."""
    stale = account.batch()
    account.brought(stale.batch_no, SUBMITTED)
    members = account.members

    def late() -> None:
        with account.ledger.transaction():
            ACTIONS[action](account, stale)

    with pytest.raises(AssertionError):
        late()
    assert account.batches.one(1).state is SUBMITTED
    assert account.members == members


def test_attaching_tells_the_id_and_the_times(account: Account) -> None:
    account.batches.attach(account.batch(), told("msgbatch_7"), adopted=True, next_poll_at=1_030.0)

    batch = account.batches.one(1)
    assert (batch.batch_id, batch.adopted, batch.name) == ("msgbatch_7", True, "msgbatch_7")
    assert (batch.created_at, batch.expires_at, batch.next_poll_at) == (1_001.0, 87_401.0, 1_030.0)


def test_a_batch_without_an_id_is_named_by_its_number(account: Account) -> None:
    assert account.batch().name == "#1"


def test_two_batches_cannot_have_the_same_id(account: Account) -> None:
    first, second = account.batch(account.pending[:2]), account.batch(account.pending[2:])
    account.batches.attach(first, told("msgbatch_7"), adopted=False, next_poll_at=1.0)

    with pytest.raises(sqlite3.IntegrityError):
        account.batches.attach(second, told("msgbatch_7"), adopted=True, next_poll_at=1.0)
