"""A batch is prepared: who becomes a member, under which cap, and what is set aside."""

from dataclasses import replace

import pytest
from batch_account import (
    ABANDONED,
    CAP,
    COLLECTED,
    EACH,
    ENDED,
    PREPARED,
    PREPARED_AT,
    SUBMITTED,
    Account,
    answered,
    run_plan,
    unprocessed,
)
from run_caps import run_cap, run_caps

from batchrun.answers.progress import Progress, Turn
from batchrun.batch import BatchState
from batchrun.budget.caps import Amount
from batchrun.reply import Cause
from batchrun.store.ledger.batch_records import Candidate, Prepared
from batchrun.store.ledger.records import CapExceeded, Taken
from batchrun.store.ledger.runs import Runs


def test_prepare_commits_the_batch_its_members_and_their_worst_cases(account: Account) -> None:
    prepared = account.prepare(newest_before="msgbatch_0", schema={"type": "object", "x": [1]})

    assert prepared == Prepared(1, [0, 1, 2, 3, 4])
    batch = account.batches.one(1)
    assert (batch.state, batch.requests, batch.run_no, batch.job, batch.model) == (PREPARED, 5, 1, "trial", "m")
    assert (batch.nonce, batch.newest_before, batch.prepared_at) == ("000000000001", "msgbatch_0", PREPARED_AT)
    assert (batch.batch_id, batch.unclear_at, batch.cancel_at, batch.next_poll_at) == (None, None, None, None)
    assert batch.bytes >= sum(100 + one.request_no for one in account.pending)
    assert account.batches.schema(1) == {"type": "object", "x": [1]}
    assert account.members == ["d0", "d1", "d2", "d3", "d4"]
    assert account.committed == 5 * EACH
    assert account.ask("select distinct state, batch_no, run_no, job, model, started_at from attempts") == [
        ("open", 1, 1, "trial", "m", PREPARED_AT)
    ]
    assert account.names == []


def test_a_request_that_is_settled_is_left_out(account: Account) -> None:
    attempt_no = account.stream(account.pending[2])
    assert isinstance(attempt_no, int)
    account.ledger.settle(answered(attempt_no))

    prepared = account.prepare()

    assert isinstance(prepared, Prepared)
    assert list(prepared.positions) == [0, 1, 3, 4]


def test_a_request_that_somebody_has_brought_to_another_turn_is_left_out(account: Account) -> None:
    attempt_no = account.stream(account.pending[2])
    assert isinstance(attempt_no, int)
    turn = Turn(max_tokens=200)
    account.ledger.settle(replace(answered(attempt_no), outcome=None, output=None, progress=Progress(turn)))

    prepared = account.prepare()
    again = account.prepare([account.ledger.as_it_stands(account.pending[2])])

    assert isinstance(prepared, Prepared)
    assert list(prepared.positions) == [0, 1, 3, 4]
    assert isinstance(again, Prepared)
    assert account.ask("select turn from attempts where batch_no = 2") == [(Progress(turn).turn_json,)]


def test_a_request_that_somebody_is_just_sending_is_left_out(account: Account) -> None:
    account.stream(account.pending[0])
    account.prepare([account.pending[3]])

    prepared = account.prepare()

    assert isinstance(prepared, Prepared)
    assert list(prepared.positions) == [1, 2, 4]


def test_a_failed_attempt_leaves_the_request_free(account: Account) -> None:
    attempt_no = account.stream(account.pending[0])
    assert isinstance(attempt_no, int)
    account.ledger.settle(unprocessed(attempt_no, Cause.STATUS))

    prepared = account.prepare()

    assert isinstance(prepared, Prepared)
    assert list(prepared.positions) == [0, 1, 2, 3, 4]


def test_nothing_is_prepared_when_all_are_taken(account: Account) -> None:
    account.prepare()

    assert account.prepare() is None
    assert len(account.batches.of_run(1)) == 1


def test_the_same_request_twice_is_one_member(account: Account) -> None:
    twin = account.document("twin", request="request-d0")

    prepared = account.prepare([*account.pending, twin])

    assert isinstance(prepared, Prepared)
    assert list(prepared.positions) == [0, 1, 2, 3, 4]


def test_a_member_is_not_streamed_besides(account: Account) -> None:
    account.prepare()

    assert account.stream(account.pending[0]) == Taken(settled=False)


def test_a_job_shares_its_members_with_no_other(account: Account) -> None:
    other = Runs(account.ledger).begin_run(run_plan("other"), run_id="s")
    twin = account.document("twin", job="other", request="request-d0", run_no=other)
    account.prepare()

    assert account.prepare([twin], run_no=other, job="other") is None
    assert account.stream(twin, job="other", run_no=other) == Taken(settled=False)
    assert account.ledger.pending(other, since=0, after=0, limit=10) == []


@pytest.mark.parametrize(("room", "members"), [(50, 5), (49, 4), (30, 3), (10, 1)])
def test_only_as_many_as_the_cap_has_room_for(room: int, members: int) -> None:
    account = Account(cap_nusd=room, documents=5)

    prepared = account.prepare()

    assert isinstance(prepared, Prepared)
    assert list(prepared.positions) == list(range(members))
    assert account.committed == members * EACH <= room


def test_no_room_for_even_one_is_told_with_what_is_under_way(account: Account) -> None:
    assert account.prepare(each=CAP + 1) == CapExceeded(0, run_cap(CAP), open_attempts=0)
    account.prepare(account.pending[:2], each=450)
    assert account.prepare(account.pending[2:], each=101) == CapExceeded(
        900, run_cap(CAP), open_attempts=0, in_batches=True
    )
    assert len(account.batches.of_run(1)) == 1
    assert account.committed == 900


@pytest.mark.parametrize(
    ("streamed", "state", "under_way"),
    [
        (2, None, CapExceeded(20, run_cap(20), open_attempts=2, in_batches=False)),
        (0, PREPARED, CapExceeded(20, run_cap(20), open_attempts=0, in_batches=True)),
        (0, SUBMITTED, CapExceeded(20, run_cap(20), open_attempts=0, in_batches=True)),
        (0, ENDED, CapExceeded(20, run_cap(20), open_attempts=0, in_batches=True)),
        (1, SUBMITTED, CapExceeded(20, run_cap(20), open_attempts=1, in_batches=True)),
    ],
)
def test_what_is_streamed_and_what_is_in_batches_are_told_apart(
    streamed: int, state: BatchState | None, under_way: CapExceeded
) -> None:
    account = Account(cap_nusd=2 * EACH, documents=3)
    for one in account.pending[:streamed]:
        account.stream(one)
    if state is not None:
        account.batch(account.pending[streamed:2], state=state)

    assert account.prepare(account.pending[2:]) == under_way
    assert account.stream(account.pending[2]) == under_way


def test_what_other_runs_have_in_batches_makes_no_room_in_this_one() -> None:
    account = Account(cap_nusd=EACH - 1, documents=1)
    other = Runs(account.ledger).begin_run(run_plan("other"), run_id="s")
    account.prepare([account.document("o", job="other", run_no=other)], run_no=other, job="other")

    assert account.prepare() == CapExceeded(0, run_cap(EACH - 1), open_attempts=0, in_batches=False)


def room(account: Account) -> int:
    return account.batches.request_caps(1, model="m", caps=run_caps(account.ledger, 1), now=0.0).remaining_budget().nusd


def test_the_room_is_that_of_the_run(account: Account) -> None:
    assert room(account) == CAP
    account.prepare()
    assert room(account) == CAP - 5 * EACH


@pytest.mark.parametrize(("others_follow", "sizes"), [(True, [4, 3]), (False, [4, 4])])
def test_a_batch_in_doubt_and_the_next_differ_in_size_where_that_costs_nothing(
    others_follow: bool, sizes: list[int]
) -> None:
    account = Account(documents=10)
    account.prepare(account.pending[:4])

    prepared = account.prepare(account.pending[4:8], others_follow=others_follow)

    assert isinstance(prepared, Prepared)
    assert [batch.requests for batch in account.batches.of_run(1)] == sizes
    assert list(prepared.positions) == list(range(sizes[1]))
    assert account.names[0] == ("d7" if others_follow else "d8")


@pytest.mark.parametrize("state", [SUBMITTED, ENDED, COLLECTED, ABANDONED])
def test_what_is_not_in_doubt_may_have_the_same_size(state: BatchState) -> None:
    account = Account(documents=8)
    account.batch(account.pending[:4], state=state)

    prepared = account.prepare(account.pending[4:], others_follow=True)

    assert isinstance(prepared, Prepared)
    assert len(prepared.positions) == 4


def test_one_request_is_sent_even_if_a_batch_of_one_is_in_doubt(account: Account) -> None:
    account.prepare(account.pending[:1])

    prepared = account.prepare(account.pending[1:2], others_follow=True)

    assert isinstance(prepared, Prepared)
    assert len(prepared.positions) == 1


@pytest.mark.slow
def test_a_hundred_thousand_are_prepared_in_one_go() -> None:
    account = Account(cap_nusd=10**9)
    account.ledger.connection.execute("begin")
    account.ledger.connection.execute(
        "with recursive n(i) as (select 0 union all select i + 1 from n where i < 99999) insert into requests"
        " (request_id, model, counted_tokens, text_class) select 'request-' || i, 'm', 10, 'prose' from n"
    )
    candidates = [Candidate(number + 1, f"d{number}", Amount(EACH)) for number in range(100_000)]

    prepared = account.batches.prepare(account.new(), candidates, sizes=[100] * 100_000)

    assert isinstance(prepared, Prepared)
    assert len(prepared.positions) == 100_000
    assert account.committed == 100_000 * EACH
