"""The money that a batch holds, until its results are booked or it is written off."""

import pytest
from batch_account import (
    ABANDONED,
    CAP,
    EACH,
    ENDED,
    PREPARED,
    SUBMITTED,
    Account,
    answered,
    run_plan,
    told,
    unprocessed,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from run_caps import run_cap

from batchrun.outcome import Outcome
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.records import CapExceeded, Settlement
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.totals import totals


def test_an_abandoned_batch_gives_back_all_that_was_set_aside(account: Account) -> None:
    batch = account.batch()
    assert account.committed == 5 * EACH

    account.batches.abandon(batch, "it was never created")

    assert account.committed == 0
    assert account.ask("select count(*) from attempts") == [(0,)]
    assert account.names == ["d0", "d1", "d2", "d3", "d4"]
    assert account.batches.one(1).note == "it was never created"


def test_a_batch_given_up_keeps_what_is_settled(account: Account) -> None:
    batch = account.batch(state=ENDED)
    first, second, *_ = account.batches.without_result(1, limit=10)
    account.ledger.settle(answered(first.attempt_no, cost_nusd=7))
    account.ledger.settle(
        Settlement(attempt_no=second.attempt_no, state="unknown", cost_nusd=None, outcome=Outcome.ERRORED)
    )

    account.batches.abandon(batch, "given up")

    assert account.committed == 7 + EACH
    assert account.names == ["d2", "d3", "d4"]


def test_a_batch_written_off_keeps_the_worst_cases_and_its_requests_are_pending(account: Account) -> None:
    account.batch(state=SUBMITTED)

    account.batches.write_off(account.batches.one(1), "given up by hand", now=77.0)

    batch = account.batches.one(1)
    assert (batch.state, batch.batch_id, batch.note, batch.next_poll_at) == (
        ABANDONED, "msgbatch_1", "given up by hand", None,
    )  # fmt: skip
    assert account.committed == 5 * EACH
    assert account.ask("select distinct state, cost_nusd, ended_at, cause, outcome from attempts") == [
        ("unknown", None, 77.0, "batch gone", None)
    ]
    assert account.names == ["d0", "d1", "d2", "d3", "d4"]
    assert account.batches.open("trial") == []
    summed = totals(account.ledger, 1)
    assert (summed.cost_nusd, summed.open_nusd, summed.held_nusd) == (0, 0, 5 * EACH)


def test_a_batch_written_off_keeps_what_is_settled(account: Account) -> None:
    account.batch(state=ENDED)
    first, second, *_ = account.batches.without_result(1, limit=10)
    account.ledger.settle(answered(first.attempt_no, cost_nusd=7))
    account.ledger.settle(unprocessed(second.attempt_no))

    account.batches.write_off(account.batches.one(1), "why", now=5.0)

    assert account.committed == 7 + 3 * EACH
    assert account.names == ["d1", "d2", "d3", "d4"]


def test_a_batch_written_off_is_told_to_the_output_after_what_was_there(account: Account) -> None:
    account.batch(state=SUBMITTED)
    before = account.ledger.head("trial")

    account.batches.write_off(account.batches.one(1), "why", now=5.0)

    assert account.ledger.head("trial") > before


def test_only_the_batch_that_is_written_off_is(account: Account) -> None:
    account.batch(account.pending[:2], state=SUBMITTED)
    account.batch(account.pending[2:4], state=SUBMITTED)
    account.stream(account.pending[4])

    account.batches.write_off(account.batches.one(1), "why", now=5.0)

    assert account.members == ["d2", "d3", "d4"]


def test_what_was_written_off_may_be_sent_again_under_the_cap(account: Account) -> None:
    account.batch(state=SUBMITTED, each=CAP // 5)
    account.batches.write_off(account.batches.one(1), "why", now=5.0)

    assert account.prepare() == CapExceeded(CAP, run_cap(CAP), open_attempts=0, in_batches=False)


def test_totals_tell_what_is_open(account: Account) -> None:
    account.batch(state=ENDED)
    first, second, *_ = account.batches.without_result(1, limit=10)
    account.ledger.settle(answered(first.attempt_no, cost_nusd=7))
    account.ledger.settle(unprocessed(second.attempt_no))

    summed = totals(account.ledger, 1)

    assert (summed.cost_nusd, summed.open_nusd, summed.held_nusd) == (7, 3 * EACH, 0)
    assert account.committed == 7 + 3 * EACH


def something_happens(account: Account, batch: Batch, data: st.DataObject) -> None:
    """One of the things that may happen to a batch in its state."""
    step = data.draw(st.sampled_from(["on", "settle", "abandon", "write off", "detach"]))
    members = account.batches.without_result(batch.batch_no, limit=2)
    if step == "on" and batch.state is PREPARED:
        account.brought(batch.batch_no, SUBMITTED)
    elif step == "on" and batch.state is SUBMITTED:
        account.batches.polled(batch, told(batch.batch_id or "", status="ended"), next_poll_at=1.0)
    elif step == "settle":
        for member in members:
            end = data.draw(st.sampled_from([answered(member.attempt_no, cost_nusd=1), unprocessed(member.attempt_no)]))
            account.ledger.settle(end)
    elif step == "abandon":
        account.batches.abandon(batch, "why")
    elif step == "write off":
        account.batches.write_off(batch, "why", now=1.0)
    elif step == "detach" and batch.state in {SUBMITTED, ENDED}:
        account.batches.detach(batch, now=1.0)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_happens_committed_is_the_sum_of_the_attempts_and_within_the_cap(data: st.DataObject) -> None:
    cap_nusd = data.draw(st.integers(0, 120), label="cap")
    account = Account(cap_nusd=cap_nusd, documents=6)
    for _ in range(data.draw(st.integers(1, 15), label="steps")):
        open_batches = account.batches.open("trial")
        if not open_batches or data.draw(st.booleans()):
            chosen = data.draw(st.lists(st.sampled_from(account.pending), unique_by=lambda one: one.request_no))
            account.prepare(chosen, each=data.draw(st.integers(1, 40)), others_follow=data.draw(st.booleans()))
            account.stream(data.draw(st.sampled_from(account.pending)))
        else:
            something_happens(account, data.draw(st.sampled_from(open_batches)), data)
        (summed,) = account.ask("select coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) from attempts")[0]
        assert account.committed == summed <= cap_nusd
        twice = account.ask("select request_no from attempts where state = 'open' group by 1 having count(*) > 1")
        assert twice == [], "nothing is sent twice at once"
    account.ledger.close()


def test_deleting_an_attempt_of_another_run_leaves_this_ones_account(account: Account) -> None:
    other = Runs(account.ledger).begin_run(run_plan("other"), run_id="s")
    account.prepare()
    account.prepare([account.document("o", job="other", run_no=other)], run_no=other, job="other")

    account.batches.abandon(account.batches.one(2), "why")

    assert account.ask("select committed_nusd from runs order by run_no") == [(5 * EACH,), (0,)]
