"""Members of a batch and their results: how often they were tried, and what is settled."""

from functools import reduce

import pytest
from batch_account import ABANDONED, ENDED, SUBMITTED, Account, answered, unprocessed

from batchrun.execution.retry_policy import Tries
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.batch_records import Member
from batchrun.store.ledger.records import Settlement


def test_members_are_found_by_request_while_they_have_no_result(account: Account) -> None:
    account.batch(state=ENDED)
    wanted = ["request-d0", "request-d3", "request-unknown"]

    found = account.batches.members(1, wanted)

    assert {name: (member.doc_id, tries_of(member)) for name, member in found.items()} == {
        "request-d0": ("d0", 1), "request-d3": ("d3", 1),
    }  # fmt: skip
    account.ledger.settle(answered(found["request-d0"].attempt_no))
    assert list(account.batches.members(1, wanted)) == ["request-d3"]
    assert len(account.batches.without_result(1, limit=100)) == 4
    assert len(account.batches.without_result(1, limit=2)) == 2


def test_members_are_those_of_the_batch(account: Account) -> None:
    account.batch(account.pending[:2])
    account.batch(account.pending[2:])

    assert list(account.batches.members(1, ["request-d0", "request-d4"])) == ["request-d0"]
    assert list(account.batches.members(2, ["request-d0", "request-d4"])) == ["request-d4"]


def tries(account: Account, batch_no: int) -> int:
    (member,) = account.batches.without_result(batch_no, limit=2)
    return tries_of(member)


def tries_of(member: Member) -> int:
    """Attempts that count, that of the member included."""
    return 1 + reduce(Tries.after, member.failures, Tries()).attempts


def ended_without(account: Account, cause: Cause = Cause.EXPIRED, *, canceled: bool = False) -> None:
    """One more batch of the first document, which is not processed in it."""
    batch = account.batch(account.pending[:1], state=SUBMITTED)
    if canceled:
        account.batches.ask_to_cancel(batch, now=1.0)
    (member,) = account.batches.without_result(batch.batch_no, limit=2)
    account.ledger.settle(unprocessed(member.attempt_no, cause))


def test_tries_count_batches_until_there_is_an_outcome(account: Account) -> None:
    for _ in range(2):
        ended_without(account)
    third = account.batch(account.pending[:1])

    assert tries(account, third.batch_no) == 3


def test_what_we_canceled_does_not_count(account: Account) -> None:
    ended_without(account, Cause.CANCELED, canceled=True)
    ended_without(account, Cause.CANCELED, canceled=True)

    assert tries(account, account.batch(account.pending[:1]).batch_no) == 1


def test_what_others_canceled_counts_and_what_expired_while_we_did(account: Account) -> None:
    ended_without(account, Cause.CANCELED)
    ended_without(account, Cause.EXPIRED, canceled=True)

    assert tries(account, account.batch(account.pending[:1]).batch_no) == 3


def test_what_was_never_created_does_not_count(account: Account) -> None:
    for _ in range(3):
        account.batch(account.pending[:1], state=ABANDONED)

    assert tries(account, account.batch(account.pending[:1]).batch_no) == 1


def test_what_was_written_off_does_not_count(account: Account) -> None:
    for _ in range(2):
        batch = account.batch(account.pending[:1], state=SUBMITTED)
        account.batches.write_off(batch, "why", now=5.0)

    assert tries(account, account.batch(account.pending[:1]).batch_no) == 1


@pytest.mark.parametrize(("code", "counted"), [(401, 1), (402, 1), (403, 1), (404, 1), (429, 1), (500, 3), (529, 3)])
def test_what_is_not_the_requests_fault_does_not_count(account: Account, code: int, counted: int) -> None:
    for _ in range(2):
        batch = account.batch(account.pending[:1], state=SUBMITTED)
        (member,) = account.batches.without_result(batch.batch_no, limit=2)
        failure = Failure(cause=Cause.STATUS, status=code, message="it")
        account.ledger.settle(Settlement(attempt_no=member.attempt_no, state="failed", cost_nusd=0, failure=failure))

    assert tries(account, account.batch(account.pending[:1]).batch_no) == counted


def test_streamed_attempts_do_not_count(account: Account) -> None:
    attempt_no = account.stream(account.pending[0])
    assert isinstance(attempt_no, int)
    account.ledger.settle(unprocessed(attempt_no, Cause.STATUS))

    assert tries(account, account.batch(account.pending[:1]).batch_no) == 1


def test_a_retry_counts_from_the_beginning(account: Account) -> None:
    ended_without(account)
    batch = account.batch(account.pending[:1], state=SUBMITTED)
    (member,) = account.batches.without_result(batch.batch_no, limit=1)
    account.ledger.settle(unprocessed(member.attempt_no, outcome=Outcome.EXPIRED))
    account.ledger.connection.execute("update requests set outcome = null, attempt_no = null")

    assert tries(account, account.batch(account.pending[:1]).batch_no) == 1


def test_tries_are_of_the_request_and_not_of_another(account: Account) -> None:
    ended_without(account)
    batch = account.batch(account.pending[:2])

    members = account.batches.members(batch.batch_no, ["request-d0", "request-d1"])

    assert [tries_of(member) for member in members.values()] == [2, 1]
