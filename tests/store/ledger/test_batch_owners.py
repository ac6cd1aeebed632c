"""Which batch of the API belongs to which batch of the ledger."""

import sqlite3

import pytest
from batch_account import (
    ABANDONED,
    COLLECTED,
    EACH,
    ENDED,
    PREPARED,
    SUBMITTED,
    Account,
    answered,
    run_plan,
    snapshot,
    told,
)

from batchrun.batch import BatchState
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.runs import Runs


def in_doubt(account: Account, *, of: int, unclear_at: float = 1_005.0) -> Batch:
    """A batch of the next documents whose create call got no answer."""
    taken = len(account.members)
    batch = account.batch(account.pending[taken : taken + of])
    account.batches.doubt(batch, now=unclear_at)
    return account.batches.one(batch.batch_no)


def adopting(account: Account, batch_id: str, *, of: int = 2, state: BatchState = SUBMITTED) -> Batch:
    """A batch in doubt that has taken one of the list for its own, without a proof."""
    batch = in_doubt(account, of=of)
    account.batches.attach(batch, told(batch_id), adopted=True, next_poll_at=1.0)
    if state is ENDED:
        account.batches.polled(account.batches.one(batch.batch_no), told(batch_id, status="ended"), next_poll_at=2.0)
    return account.batches.one(batch.batch_no)


@pytest.mark.parametrize("state", [SUBMITTED, ENDED])
def test_who_has_an_id_for_certain_takes_it_from_who_has_only_adopted_it(account: Account, state: BatchState) -> None:
    adopter, creator = adopting(account, "shared", state=state), account.batch(account.pending[2:])
    before = account.members

    account.batches.attach(creator, told("shared"), adopted=False, next_poll_at=2_000.0)

    adopter, creator = account.batches.of_run(1)
    assert (creator.state, creator.batch_id, creator.adopted) == (SUBMITTED, "shared", False)
    assert (adopter.state, adopter.batch_id, adopter.adopted, adopter.unclear_at) == (PREPARED, None, False, 1_005.0)
    assert (adopter.empty_scans, adopter.scanned_at, adopter.created_at, adopter.next_poll_at) == (0, None, None, None)
    assert account.ask("select batch_no, batch_id from foreign_batches") == [(1, "shared")]
    assert account.members == before
    assert account.committed == 5 * EACH


def test_an_adopter_that_has_lost_its_batch_does_not_take_it_again(account: Account) -> None:
    adopting(account, "shared")
    creator = account.batch(account.pending[2:])
    account.batches.attach(creator, told("shared"), adopted=False, next_poll_at=1.0)

    assert claims(account, account.batches.one(1), "shared") == ({"shared"}, set())
    account.batches.write_off(account.batches.one(2), "why", now=5.0)
    assert claims(account, account.batches.one(1), "shared") == ({"shared"}, set())


@pytest.mark.parametrize("is_proven", [False, True])
def test_an_adoption_takes_an_id_from_nobody(account: Account, is_proven: bool) -> None:
    owner, other = adopting(account, "shared", state=ENDED), in_doubt(account, of=2)
    if is_proven:
        account.batches.proven(owner)
    before = snapshot(account)

    with pytest.raises(sqlite3.IntegrityError):
        account.batches.attach(other, told("shared"), adopted=True, next_poll_at=1.0)
    assert snapshot(account) == before


def test_nobody_takes_an_id_from_who_has_it_for_certain(account: Account) -> None:
    owner, other = adopting(account, "shared", state=ENDED), in_doubt(account, of=2)
    account.batches.proven(owner)
    before = snapshot(account)

    with pytest.raises(sqlite3.IntegrityError):
        account.batches.attach(other, told("shared"), adopted=False, next_poll_at=1.0)
    assert snapshot(account) == before


def test_the_owner_of_an_id(account: Account) -> None:
    adopter = adopting(account, "adopted")
    creator = account.batch(account.pending[2:], state=SUBMITTED)

    assert account.batches.owner("adopted") == adopter
    assert account.batches.owner(creator.batch_id or "") == creator
    assert account.batches.owner("nobody's") is None


def claims(account: Account, batch: Batch, *batch_ids: str) -> tuple[set[str], set[str]]:
    found = account.batches.claims(batch, batch_ids)
    return set(found.taken), set(found.contested)


def test_an_id_is_taken_by_who_has_it_for_certain_and_contested_by_who_has_adopted_it(account: Account) -> None:
    adopting(account, "adopted", of=1)
    account.batches.proven(adopting(account, "proven", of=1, state=ENDED))
    created = account.batch(account.pending[2:3], state=SUBMITTED)
    batch = in_doubt(account, of=1)

    assert claims(account, batch, "adopted", "proven", created.batch_id or "", "nobody's") == (
        {"proven", created.batch_id}, {"adopted"},
    )  # fmt: skip


def test_only_what_is_in_the_list_is_claimed(account: Account) -> None:
    adopting(account, "adopted", of=1)
    created = account.batch(account.pending[1:2], state=SUBMITTED)
    batch = in_doubt(account, of=1)

    assert claims(account, batch) == (set(), set())
    assert claims(account, batch, "nobody's") == (set(), set())
    assert claims(account, batch, created.batch_id or "") == ({created.batch_id}, set())


def test_what_one_has_ruled_out_is_taken_for_it_and_free_for_others(account: Account) -> None:
    first, second = in_doubt(account, of=2), in_doubt(account, of=2)
    account.batches.rule_out(first, "theirs")

    assert claims(account, first, "theirs") == ({"theirs"}, set())
    assert claims(account, second, "theirs") == (set(), set())


def test_what_one_has_ruled_out_is_not_contested_for_it(account: Account) -> None:
    adopting(account, "adopted")
    batch = in_doubt(account, of=2)
    account.batches.rule_out(batch, "adopted")

    assert claims(account, batch, "adopted") == ({"adopted"}, set())


@pytest.mark.parametrize("state", [SUBMITTED, ENDED, COLLECTED])
def test_an_id_stays_taken_to_the_end(account: Account, state: BatchState) -> None:
    batch = in_doubt(account, of=1)
    created = account.batch(account.pending[1:3], state=state)

    assert claims(account, batch, created.batch_id or "") == ({created.batch_id}, set())


def test_a_detached_batch_is_as_if_it_had_just_been_lost(account: Account) -> None:
    batch = account.batch()
    account.batches.doubt(batch, now=1_005.0)
    account.batches.missed(account.batches.one(1), now=1_006.0)
    account.batches.attach(account.batches.one(1), told("theirs"), adopted=True, next_poll_at=1.0)
    account.batches.polled(account.batches.one(1), told("theirs", status="ended", ended_at=1_100.0), next_poll_at=2.0)

    account.batches.detach(account.batches.one(1), now=2_000.0)

    batch = account.batches.one(1)
    assert (batch.state, batch.batch_id, batch.adopted, batch.unclear_at) == (PREPARED, None, False, 1_005.0)
    assert (batch.empty_scans, batch.scanned_at, batch.created_at, batch.ended_at, batch.next_poll_at) == (
        0, None, None, None, None,
    )  # fmt: skip
    assert account.members == ["d0", "d1", "d2", "d3", "d4"]
    assert account.committed == 5 * EACH


def test_a_cancellation_is_remembered_with_its_first_time(account: Account) -> None:
    batch = account.batch(state=SUBMITTED)
    account.batches.ask_to_cancel(batch, now=7.0)
    account.batches.ask_to_cancel(account.batches.one(1), now=9.0)

    assert account.batches.one(1).cancel_at == 7.0


def test_a_batch_is_not_collected_while_a_member_waits(account: Account) -> None:
    batch = account.batch(state=ENDED)
    first, *_ = account.batches.without_result(1, limit=10)
    account.ledger.settle(answered(first.attempt_no))

    with pytest.raises(AssertionError):
        account.batches.collected(batch)
    assert account.batches.one(1).state is ENDED


@pytest.mark.parametrize("state", BatchState)
def test_open_is_what_something_is_still_to_come_of(account: Account, state: BatchState) -> None:
    account.batch(state=state)
    is_open = state in {PREPARED, SUBMITTED, ENDED}

    assert state.open == is_open
    assert len(account.batches.open("trial")) == is_open
    assert account.batches.open("other") == []
    assert len(account.batches.of_run(1)) == 1


@pytest.mark.parametrize(
    ("state", "queued"), [(PREPARED, 5), (SUBMITTED, 5), (ENDED, 0), (COLLECTED, 0), (ABANDONED, 0)]
)
def test_queued_is_what_the_api_may_be_processing_of_all_jobs(account: Account, state: BatchState, queued: int) -> None:
    account.batch(state=state)
    other = Runs(account.ledger).begin_run(run_plan("other"), run_id="s")
    account.prepare([account.document("o", job="other", run_no=other)], run_no=other, job="other")

    assert account.batches.queued() == queued + 1
