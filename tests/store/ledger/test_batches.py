"""Batches in the ledger: who becomes a member, every transition, the money they hold, and ledgers from before them."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.batch import BatchState, RemoteBatch
from batchrun.budget.caps import Amount
from batchrun.document import DocumentRef
from batchrun.errors import EnvironmentProblem
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger.batch_records import Batch, Candidate, NewBatch, Prepared
from batchrun.store.ledger.batches import TRANSITIONS, Batches
from batchrun.store.ledger.connection import SCHEMA_VERSION, SCRIPTS, create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded, Pending, RunPlan, Settlement, Taken
from batchrun.store.reports.totals import totals

CAP = 1_000
EACH = 10
"""The worst case of one request."""
PREPARED_AT = 1_000.0
PREPARED, SUBMITTED, ENDED = BatchState.PREPARED, BatchState.SUBMITTED, BatchState.ENDED
COLLECTED, ABANDONED = BatchState.COLLECTED, BatchState.ABANDONED


def run_plan(job: str, *, cap_nusd: int = CAP) -> RunPlan:
    return RunPlan(
        job=job, job_path=f"jobs/{job}.toml", fingerprint="f", model="m", simulated=False, documents=3, to_send=3,
        cap_nusd=cap_nusd, estimate_nusd=10, estimate_low_nusd=5, estimate_high_nusd=20, route="batch",
    )  # fmt: skip


class Account:
    """A ledger in memory with one run, and what is done to it."""

    def __init__(self, *, cap_nusd: int = CAP, documents: int = 0) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("pragma foreign_keys = on")
        create_missing(connection)
        self.ledger = Ledger(connection, None)
        self.batches = Batches(self.ledger)
        self.run_no = self.ledger.begin_run(run_plan("trial", cap_nusd=cap_nusd), run_id="r")
        self.nonces = 0
        self.pending = [self.document(f"d{number}") for number in range(documents)]

    def document(
        self, name: str, *, job: str = "trial", request: str | None = None, run_no: int | None = None
    ) -> Pending:
        request_id = request or f"request-{name}"
        run = self.ledger.connection.execute
        run(
            "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 10, 'prose')"
            " on conflict do nothing",
            (request_id,),
        )
        (request_no,) = run("select request_no from requests where request_id = ?", (request_id,)).fetchone()
        document_no = run(
            "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
            " values (?, ?, 'source', 'sha', ?, ?, ?)",
            (job, name, request_no, run_no or self.run_no, self.ledger.next_seq()),
        ).lastrowid
        return Pending(
            int(document_no or 0), DocumentRef(name, "source"), request_no, request_id, 10, TextClass.PROSE, None
        )

    def new(self, **changes: Any) -> NewBatch:
        self.nonces += 1
        known = {
            "nonce": f"{self.nonces:012x}", "run_no": self.run_no, "job": "trial", "model": "m",
            "schema": {"type": "object"}, "newest_before": None, "prepared_at": PREPARED_AT, "others_follow": False,
        }  # fmt: skip
        return NewBatch(**(known | changes))

    def prepare(
        self, pending: list[Pending] | None = None, *, each: int = EACH, **changes: Any
    ) -> Prepared | CapExceeded | None:
        chosen = self.pending if pending is None else pending
        candidates = [Candidate(one.request_no, one.ref.doc_id, Amount(each)) for one in chosen]
        return self.batches.prepare(self.new(**changes), candidates, sizes=[100 + one.request_no for one in chosen])

    def batch(self, pending: list[Pending] | None = None, *, state: BatchState = PREPARED, **changes: Any) -> Batch:
        """A batch brought to a state."""
        prepared = self.prepare(pending, **changes)
        assert isinstance(prepared, Prepared)
        return self.brought(prepared.batch_no, state)

    def brought(self, batch_no: int, state: BatchState) -> Batch:
        remote = told(f"msgbatch_{batch_no}")
        if state is ABANDONED:
            self.batches.abandon(self.batches.one(batch_no), "why")
        elif state is not PREPARED:
            self.batches.attach(self.batches.one(batch_no), remote, adopted=False, next_poll_at=1.0)
        if state in {ENDED, COLLECTED}:
            self.batches.polled(
                self.batches.one(batch_no), told(f"msgbatch_{batch_no}", status="ended"), next_poll_at=2.0
            )
        if state is COLLECTED:
            for member in self.batches.without_result(batch_no, limit=1000):
                self.ledger.settle(answered(member.attempt_no))
            self.batches.collected(self.batches.one(batch_no))
        return self.batches.one(batch_no)

    def stream(self, one: Pending, *, job: str = "trial", run_no: int | None = None) -> int | Taken | CapExceeded:
        return self.ledger.reserve(one, Amount(EACH), run_no=run_no or self.run_no, job=job, model="m")

    def ask(self, query: str) -> list[Any]:
        return self.ledger.connection.execute(query).fetchall()

    @property
    def committed(self) -> int:
        return int(self.ask(f"select committed_nusd from runs where run_no = {self.run_no}")[0][0])

    @property
    def members(self) -> list[str]:
        return [
            doc_id for (doc_id,) in self.ask("select doc_id from attempts where state = 'open' order by attempt_no")
        ]

    @property
    def names(self) -> list[str]:
        """Documents that could be packed."""
        return [one.ref.doc_id for one in self.ledger.pending(self.run_no, since=0, after=0, limit=100)]


def told(batch_id: str = "msgbatch_1", **changes: Any) -> RemoteBatch:
    known: dict[str, Any] = {
        "batch_id": batch_id, "status": "in_progress", "counts": {"processing": 3}, "created_at": 1_001.0,
        "expires_at": 87_401.0,
    }  # fmt: skip
    return RemoteBatch(**(known | changes))


def answered(attempt_no: int, *, cost_nusd: int | None = 7, outcome: Outcome = Outcome.SUCCEEDED) -> Settlement:
    reply = Reply("{}", "end_turn", Usage(input_tokens=5, output_tokens=2), "m-1", "req_1", "{}")
    return Settlement(
        attempt_no=attempt_no, state="answered", cost_nusd=cost_nusd, outcome=outcome, output="{}", reply=reply
    )


def unprocessed(attempt_no: int, cause: Cause = Cause.EXPIRED, *, outcome: Outcome | None = None) -> Settlement:
    return Settlement(
        attempt_no=attempt_no, state="failed", cost_nusd=0, outcome=outcome, failure=Failure(cause=cause, message="it")
    )


@pytest.fixture
def account() -> Iterator[Account]:
    opened = Account(documents=5)
    yield opened
    opened.ledger.close()


# --- who becomes a member


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
    other = account.ledger.begin_run(run_plan("other"), run_id="s")
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
    assert account.prepare(each=CAP + 1) == CapExceeded(0, CAP, open_attempts=0)
    account.prepare(account.pending[:2], each=450)
    assert account.prepare(account.pending[2:], each=101) == CapExceeded(900, CAP, open_attempts=0, in_batches=True)
    assert len(account.batches.of_run(1)) == 1
    assert account.committed == 900


@pytest.mark.parametrize(
    ("streamed", "state", "under_way"),
    [
        (2, None, CapExceeded(20, 20, open_attempts=2, in_batches=False)),
        (0, PREPARED, CapExceeded(20, 20, open_attempts=0, in_batches=True)),
        (0, SUBMITTED, CapExceeded(20, 20, open_attempts=0, in_batches=True)),
        (0, ENDED, CapExceeded(20, 20, open_attempts=0, in_batches=True)),
        (1, SUBMITTED, CapExceeded(20, 20, open_attempts=1, in_batches=True)),
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
    other = account.ledger.begin_run(run_plan("other"), run_id="s")
    account.prepare([account.document("o", job="other", run_no=other)], run_no=other, job="other")

    assert account.prepare() == CapExceeded(0, EACH - 1, open_attempts=0, in_batches=False)


def room(account: Account) -> int:
    return account.batches.remaining_budget(1, model="m", caps=None, now=0.0).nusd


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


# --- transitions


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


def snapshot(account: Account) -> object:
    return [account.ask(f"select * from {table}") for table in ("batches", "foreign_batches", "attempts", "runs")]


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


# --- whose batch of the API's it is


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
    other = account.ledger.begin_run(run_plan("other"), run_id="s")
    account.prepare([account.document("o", job="other", run_no=other)], run_no=other, job="other")

    assert account.batches.queued() == queued + 1


# --- members and their results


def test_members_are_found_by_request_while_they_have_no_result(account: Account) -> None:
    account.batch(state=ENDED)
    wanted = ["request-d0", "request-d3", "request-unknown"]

    found = account.batches.members(1, wanted)

    assert {name: (member.doc_id, member.tries) for name, member in found.items()} == {
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
    return member.tries


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


@pytest.mark.parametrize(("code", "counted"), [(401, 1), (402, 1), (403, 1), (404, 1), (429, 3), (500, 3), (529, 3)])
def test_what_would_meet_every_other_request_too_does_not_count(account: Account, code: int, counted: int) -> None:
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

    assert [member.tries for member in members.values()] == [2, 1]


# --- money


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

    assert account.prepare() == CapExceeded(CAP, CAP, open_attempts=0, in_batches=False)


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
    other = account.ledger.begin_run(run_plan("other"), run_id="s")
    account.prepare()
    account.prepare([account.document("o", job="other", run_no=other)], run_no=other, job="other")

    account.batches.abandon(account.batches.one(2), "why")

    assert account.ask("select committed_nusd from runs order by run_no") == [(5 * EACH,), (0,)]


# --- after a process has died


def test_recovering_leaves_members_open_and_books_streamed_attempts(account: Account) -> None:
    account.stream(account.pending[0])
    account.batch(account.pending[1:3])
    account.batch(account.pending[3:], state=SUBMITTED)

    assert account.ledger.recover("trial") == 1

    assert account.members == ["d1", "d2", "d3", "d4"]
    assert account.ask("select doc_id, cause from attempts where state = 'unknown'") == [("d0", "process died")]
    assert account.committed == 5 * EACH
    assert account.ask("select state from runs") == [("interrupted",)]


def test_recovering_puts_in_doubt_what_was_just_being_created_and_nothing_else(account: Account) -> None:
    account.batch(account.pending[:1])
    account.batch(account.pending[1:2], state=SUBMITTED)
    account.batch(account.pending[2:3], state=ABANDONED)
    other = account.ledger.begin_run(run_plan("other"), run_id="s")
    account.prepare([account.document("o", job="other", run_no=other)], run_no=other, job="other")

    account.ledger.recover("trial")

    assert account.ask("select unclear_at is not null from batches order by batch_no") == [(1,), (0,), (0,), (0,)]


def test_recovering_twice_does_not_begin_the_wait_again(account: Account) -> None:
    account.batches.doubt(account.batch(), now=1_005.0)

    account.ledger.recover("trial")

    assert account.batches.one(1).unclear_at == 1_005.0


# --- ledgers of earlier versions

OLD_PLAN = """
insert into runs (run_no, run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send, cap_nusd,
    estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)
values (1, 'r', 'trial', 'jobs/trial.toml', 'f', 'm', 0, 'interrupted', 3, 3, 1000, 10, 5, 20, 1, 'h', 100.0);
insert into requests (request_no, request_id, model, counted_tokens, text_class)
values (1, 'request-a', 'm', 10, 'prose'), (2, 'request-b', 'm', 10, 'prose'), (3, 'request-c', 'm', 10, 'prose');
insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)
values ('trial', 'a', 's', 'sha', 1, 1, 1), ('trial', 'b', 's', 'sha', 2, 1, 2), ('trial', 'c', 's', 'sha', 3, 1, 3);
insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at, outcome)
values (1, 1, 'trial', 'a', 'answered', 50, 20, 100.0, 'succeeded'),
    (2, 1, 'trial', 'b', 'open', 50, null, 100.0, null);
update requests set outcome = 'succeeded', output = '{"title": "t"}', attempt_no = 1 where request_no = 1;
"""


@pytest.fixture(params=range(1, SCHEMA_VERSION))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A ledger as an earlier version of batchrun left it."""
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = wal")
        for script in SCRIPTS[: request.param]:
            connection.executescript(resources.files("batchrun.store.migrations").joinpath(script).read_text("utf-8"))
        connection.execute("insert into meta values ('ledger_id', 'the same'), ('sequence', 3)")
        connection.executescript(OLD_PLAN)
        connection.execute(f"pragma user_version = {request.param}")
        connection.commit()
    return path


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("pragma user_version").fetchone()[0])


def layout(ledger: Ledger) -> list[Any]:
    return ledger.connection.execute("select type, name, tbl_name, sql from sqlite_master order by 1, 2").fetchall()


def test_an_old_ledger_is_brought_up_to_date_with_all_that_is_in_it(old: Path) -> None:
    with contextlib.closing(Ledger.open(old)) as ledger:
        assert ledger.ledger_id == "the same"
        rows = ledger.connection.execute("select run_id, route, deadline_at, committed_nusd from runs").fetchall()
        assert rows == [("r", "stream", None, 70)]
        assert ledger.connection.execute("select state, cost_nusd, batch_no, latency_s from attempts").fetchall() == [
            ("answered", 20, None, None), ("open", None, None, None),
        ]  # fmt: skip
        assert ledger.next_seq() == 4
        assert ledger.recover("trial") == 1
    assert version(old) == SCHEMA_VERSION == 8


def test_an_old_ledger_becomes_just_like_a_new_one(old: Path, tmp_path: Path) -> None:
    with contextlib.closing(Ledger.open(old)) as ledger, contextlib.closing(Ledger.open(tmp_path / "new")) as new:
        assert layout(ledger) == layout(new)


def test_batches_work_on_what_was_an_old_ledger(old: Path) -> None:
    with contextlib.closing(Ledger.open(old)) as ledger:
        ledger.recover("trial")
        (pending,) = [one for one in ledger.pending(1, since=0, after=0, limit=10) if one.ref.doc_id == "c"]
        batches = Batches(ledger)
        new = Account().new()
        with ledger.transaction():
            prepared = batches.prepare(new, [Candidate(pending.request_no, "c", Amount(EACH))], sizes=[100])
        assert isinstance(prepared, Prepared)
        with ledger.transaction():
            batches.abandon(batches.one(prepared.batch_no), "why")
        assert ledger.connection.execute("select committed_nusd from runs").fetchone() == (70,)


def test_opening_it_again_changes_nothing(old: Path) -> None:
    with contextlib.closing(Ledger.open(old)) as ledger:
        before = layout(ledger)
    with contextlib.closing(Ledger.open(old)) as ledger:
        assert layout(ledger) == before


def test_an_old_ledger_cannot_be_read_and_says_what_to_do(old: Path) -> None:
    before, version_before = old.read_bytes(), version(old)

    with pytest.raises(EnvironmentProblem, match="older") as problem:
        Ledger.read(old)

    assert "submit" in str(problem.value.hint)
    assert old.read_bytes() == before
    assert version(old) == version_before


DIE = """
import os, sys
from pathlib import Path
from batchrun.store.ledger import connection as ledger_file
from batchrun.store.ledger.ledger import Ledger

def dying(connection, script):
    connection.execute("create table half_done (x)")
    os._exit(9)

ledger_file.run_script = dying
Ledger.open(Path(sys.argv[1]))
"""


def test_a_process_that_dies_while_it_brings_it_up_to_date_leaves_the_old_ledger(old: Path) -> None:
    before = version(old)

    assert subprocess.run([sys.executable, "-c", DIE, str(old)], check=False).returncode == 9

    assert version(old) == before
    with contextlib.closing(Ledger.open(old)) as ledger:
        assert ledger.connection.execute("select count(*) from attempts").fetchone() == (2,)


OPEN = """
import sys
from pathlib import Path
from batchrun.store.ledger.ledger import Ledger
sys.stdin.readline()
print(Ledger.open(Path(sys.argv[1])).ledger_id)
"""


def test_processes_that_bring_it_up_to_date_at_once_do_no_harm(old: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(old)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen(command, **pipes)) for _ in range(3)]
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        told_ids = {process.communicate()[0].strip() for process in processes}

    assert told_ids == {"the same"}
    assert version(old) == SCHEMA_VERSION
