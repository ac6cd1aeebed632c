"""What is known after a create call, and what the API's list says of a batch whose call got no answer."""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.batch import BatchState, RemoteBatch
from batchrun.execution.batch.reconcile import (
    Adopt,
    Creation,
    Elsewhere,
    Missed,
    Resend,
    Several,
    Unproven,
    after_create,
    reconcile,
)
from batchrun.execution.retry_policy import FailureKind, kind_of
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.batch_records import Batch, Claims

SENT, OVER = 10_000.0, 10_030.0
"""When the call was made, and when it was given up."""
WAIT_S = 600.0
BATCH = Batch(
    batch_no=1, nonce="a" * 12, run_no=1, job="trial", model="m", state=BatchState.PREPARED, batch_id=None,
    adopted=False, requests=300, bytes=1, newest_before="old", prepared_at=SENT, unclear_at=OVER,
)  # fmt: skip


def remote(batch_id: str = "new", *, requests: int = 300, created_at: float = SENT + 1, **changes: Any) -> RemoteBatch:
    known: dict[str, Any] = {"status": "in_progress", "counts": {"processing": requests}}
    return RemoteBatch(batch_id=batch_id, created_at=created_at, **(known | changes))


OLD = remote("old", created_at=SENT - 3600)
ALIVE = replace(OLD, status="ended", ended_at=OVER + 301)
"""A batch of ours that has ended since: a list that shows so much is no cache of an earlier list."""
OLDER = remote("older", created_at=SENT - 7200)
NEW, OTHER = remote(), remote("other", created_at=SENT + 2)
ENDED = remote(status="ended", counts={"processing": 0, "succeeded": 280, "errored": 10, "expired": 10})
UNREPORTED = remote(counts={})
LARGER, SMALLER = remote(requests=301), remote(requests=299)
LATE = remote("late", created_at=OVER + 2 * WAIT_S)
EARLY = remote("early", created_at=SENT - 1000)
LARGER_LATE = remote("larger", requests=301, created_at=OVER + 301)
OTHERS_SIZE = remote("b", requests=1)


def decided(
    *listed: RemoteBatch,
    taken: AbstractSet[str] = frozenset(),
    contested: AbstractSet[str] = frozenset(),
    ours: AbstractSet[str] = frozenset({"old"}),
    going_on: AbstractSet[str] = frozenset(),
    now: float = OVER + 1,
    wait_s: float = WAIT_S,
    **changes: Any,
) -> Any:
    claims = Claims(frozenset(taken), frozenset(contested), frozenset(ours), frozenset(going_on))
    return reconcile(replace(BATCH, **changes), listed, claims=claims, now=now, wait_s=wait_s)


# --- the list

FOUND: dict[str, tuple[list[RemoteBatch], dict[str, Any], list[str]]] = {
    "the only new one": ([NEW, OLD], {}, ["new"]),
    "the only new one, of an empty workspace": ([NEW], {"newest_before": None}, ["new"]),
    "one that has ended already": ([ENDED, OLD], {}, ["new"]),
    "one that does not tell its size": ([UNREPORTED, OLD], {}, ["new"]),
    "one that is being canceled": ([remote(status="canceling"), OLD], {}, ["new"]),
    "one that is archived": ([replace(ENDED, archived=True), OLD], {}, ["new"]),
    "one that is archived, of another time": ([replace(LATE, archived=True), OLD], {}, []),
    "two of another time, of which one is archived": ([LATE, replace(EARLY, archived=True), OLD], {}, ["late"]),
    "nothing": ([], {"newest_before": None}, []),
    "nothing new": ([OLD, OLDER], {}, []),
    "one from before the call, of the same size": ([OLD], {}, []),
    "one behind the newest before the call": ([OLD, NEW], {}, []),
    "one that is larger": ([LARGER, OLD], {}, []),
    "one that is smaller": ([SMALLER, OLD], {}, []),
    "one that is somebody else's": ([NEW, OLD], {"taken": {"new"}}, []),
    "two": ([OTHER, NEW, OLD], {}, ["other", "new"]),
    "two, of which one is somebody else's": ([OTHER, NEW, OLD], {"taken": {"other"}}, ["new"]),
    "two, of which another batch in doubt has adopted one": ([OTHER, NEW, OLD], {"contested": {"other"}}, ["new"]),
    "three, of which another has adopted one": (
        [remote("third"), OTHER, NEW, OLD], {"contested": {"other"}}, ["third", "new"],
    ),
    "two, of which one has another size": ([OTHER, LARGER, OLD], {}, ["other"]),
    "two, of which one was created much later": ([LATE, NEW, OLD], {}, ["new"]),
    "two, of which one was created before": ([NEW, EARLY, OLD], {}, ["new"]),
    "only one of another time: clocks may be wrong": ([LATE, OLD], {}, ["late"]),
    "two of another time": ([LATE, EARLY, OLD], {}, ["late", "early"]),
    "one created before the call by a clock that is behind": ([remote(created_at=SENT - 200), OLD], {}, ["new"]),
    "one that tells our nonce, whatever else": (
        [NEW, OTHER, replace(LARGER_LATE, nonce=BATCH.nonce)], {"newest_before": "deleted"}, ["larger"],
    ),
    "two, of which one tells another nonce": ([replace(OTHER, nonce="b"), NEW, OLD], {}, ["new"]),
    "only one that tells another nonce": ([replace(NEW, nonce="b"), OLD], {}, []),
    "the newest before the call has been deleted": ([NEW, OLDER], {}, ["new"]),
    "the newest before has been deleted, and an older one has the same size": (
        [NEW, replace(OLDER, created_at=SENT - 7200)], {"newest_before": "deleted"}, ["new"],
    ),
    "the newest before has been deleted, and two were created at the time": (
        [OTHER, NEW, OLDER], {"newest_before": "deleted"}, ["other", "new"],
    ),
    "two, of which one was created before by a clock that may be so far behind": (
        [EARLY, remote("behind", created_at=SENT - 4.5 * 60), OLD], {}, ["behind"],
    ),
    "two, of which one was created before by a clock that is too far behind": (
        [NEW, remote("behind", created_at=SENT - 5.5 * 60), OLD], {}, ["new"],
    ),
    "two, of which one was created late by a clock that may be so far ahead": (
        [LATE, remote("ahead", created_at=OVER + WAIT_S + 4.5 * 60), OLD], {}, ["ahead"],
    ),
    "two, of which one was created late by a clock that is too far ahead": (
        [remote("ahead", created_at=OVER + WAIT_S + 5.5 * 60), NEW, OLD], {}, ["new"],
    ),
    "a process that died without a word": ([NEW, OLD], {"unclear_at": None}, ["new"]),
    "after years": ([NEW, OLD], {"now": OVER + 1e8}, ["new"]),
    "after two empty lists": ([NEW, OLD], {"empty_scans": 2, "scanned_at": OVER, "now": OVER + 1e5}, ["new"]),
}  # fmt: skip


@pytest.mark.parametrize(("listed", "how", "candidates"), FOUND.values(), ids=FOUND)
def test_what_the_list_shows(listed: list[RemoteBatch], how: dict[str, Any], candidates: list[str]) -> None:
    answer = decided(*listed, **how)

    match candidates:
        case []:
            assert isinstance(answer, Missed)
        case [one]:
            assert isinstance(answer, Adopt)
            assert answer.remote.batch_id == one
        case _:
            assert isinstance(answer, Several)
            assert [one.batch_id for one in answer.candidates] == candidates


NOT_YET, LOOKED, RESEND, ELSEWHERE = Missed(counts=False), Missed(counts=True), Resend(), Elsewhere()
UNPROVEN = Unproven()
AFTER = OVER + WAIT_S
LOOKED_LONG = {"empty_scans": 9, "scanned_at": AFTER, "now": AFTER + 1e6}
"""Whatever is not in the list by now was never created."""
OTHERS: dict[str, tuple[list[RemoteBatch], set[str]]] = {
    "the only one": ([NEW, OLD], {"new"}),
    "all": ([OTHER, NEW, OLD], {"other", "new"}),
    "the only one, of another time": ([LATE, OLD], {"late"}),
    "the only one of the time, and one of another time is free": ([LATE, NEW, OLD], {"new"}),
    "the only one, and the newest before is not in the list": ([NEW, OLDER], {"new"}),
    "the only one, and it is archived": ([replace(ENDED, archived=True), OLD], {"new"}),
}


@pytest.mark.parametrize(("listed", "contested"), OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("looked", [{}, LOOKED_LONG], ids=["at first", "at last"])
def test_what_another_in_doubt_has_adopted_is_waited_for_however_long(
    listed: list[RemoteBatch], contested: set[str], looked: dict[str, Any]
) -> None:
    assert decided(*listed, contested=contested, **looked) == NOT_YET


def test_what_another_has_for_certain_is_not_waited_for() -> None:
    assert decided(NEW, ALIVE, taken={"new"}, **LOOKED_LONG) == RESEND


ANOTHER: dict[str, tuple[list[RemoteBatch], dict[str, Any]]] = {
    "nothing": ([], {}),
    "others": ([LARGER, OLDER], {}),
    "one of another time": ([LATE, OLDER], {}),
    "several of another time": ([LATE, EARLY], {}),
    "one of another time that is archived": ([replace(EARLY, archived=True)], {}),
    "one of another time that another has adopted": ([LATE], {"contested": {"late"}}),
    "one of the time that is another's": ([NEW, OLDER], {"taken": {"new"}}),
}


@pytest.mark.parametrize(("listed", "how"), ANOTHER.values(), ids=ANOTHER)
@pytest.mark.parametrize("looked", [{}, LOOKED_LONG], ids=["at first", "at last"])
def test_nothing_follows_from_a_list_without_what_was_there_before(
    listed: list[RemoteBatch], how: dict[str, Any], looked: dict[str, Any]
) -> None:
    assert decided(*listed, **how, **looked) == ELSEWHERE


def test_a_workspace_that_was_empty_before_has_nothing_to_lack_and_proves_nothing() -> None:
    assert decided(newest_before=None) == LOOKED
    assert decided(newest_before=None, **LOOKED_LONG) == UNPROVEN


# --- nothing in it

EMPTY: dict[str, tuple[dict[str, Any], Any]] = {
    "the first look": ({}, LOOKED),
    "the first look, long after": ({"now": AFTER + 1e6}, LOOKED),
    "the second look at once": ({"empty_scans": 1, "scanned_at": OVER + 1, "now": OVER + 2}, NOT_YET),
    "the second look a while later": ({"empty_scans": 1, "scanned_at": OVER + 1, "now": OVER + 61}, LOOKED),
    "the third look before the wait is over": ({"empty_scans": 2, "scanned_at": OVER + 100, "now": AFTER - 1}, LOOKED),
    "many looks before the wait is over": ({"empty_scans": 9, "scanned_at": OVER + 500, "now": AFTER - 1}, LOOKED),
    "the second look after the wait": ({"empty_scans": 1, "scanned_at": OVER + 1, "now": AFTER}, RESEND),
    "the second look after the wait, right after the first": (
        {"empty_scans": 1, "scanned_at": AFTER - 1, "now": AFTER}, NOT_YET,
    ),
    "two looks before and one after the wait": ({"empty_scans": 2, "scanned_at": OVER + 99, "now": AFTER}, RESEND),
    "an instant before the wait is over": ({"empty_scans": 2, "scanned_at": OVER, "now": AFTER - 0.001}, LOOKED),
    "nobody knows since when": ({"empty_scans": 5, "scanned_at": OVER, "now": AFTER + 1e6, "unclear_at": None}, LOOKED),
    "a clock that was set back": ({"empty_scans": 5, "scanned_at": OVER + 1, "now": OVER - 1e6}, NOT_YET),
    "the newest before the call is all there is": ({"newest_before": "old", **LOOKED_LONG}, RESEND),
    "nobody looked and the wait is over": ({"now": AFTER}, LOOKED),
    "a short wait": ({"empty_scans": 1, "scanned_at": OVER + 1, "now": OVER + 10, "wait_s": 10.0}, RESEND),
}  # fmt: skip


@pytest.mark.parametrize(("how", "answer"), EMPTY.values(), ids=EMPTY)
def test_when_it_is_not_in_the_list(how: dict[str, Any], answer: Any) -> None:
    assert decided(ALIVE, **how) == answer


AT_LAST = {"empty_scans": 2, "scanned_at": OVER + 99, "now": AFTER}
STRANGE = replace(OLDER, batch_id="strange", status="ended", ended_at=OVER + 301)
PROOFS: dict[str, tuple[list[RemoteBatch], dict[str, Any], Any]] = {
    # an empty list, or one that never showed a batch of ours
    "an empty list": ([], {"newest_before": None}, UNPROVEN),
    "an empty list, and ours are elsewhere": ([], {"newest_before": None, "ours": {"a", "b"}}, UNPROVEN),
    "the list of others": ([OLD], {"ours": set()}, UNPROVEN),
    "the list of others, where things happen": ([ALIVE], {"ours": set()}, UNPROVEN),
    "the list of others, with one created since": ([LARGER_LATE, OLD], {"ours": set()}, UNPROVEN),
    # a list as it was before the call
    "ours, as it was": ([OLD, OLDER], {}, UNPROVEN),
    "ours, ended before the call": ([replace(ALIVE, ended_at=SENT - 1)], {}, UNPROVEN),
    "ours, ended during the call": ([replace(ALIVE, ended_at=OVER - 1)], {"clock_ahead": 0.0}, UNPROVEN),
    "one created during the call": (
        [remote("b", requests=1, created_at=OVER - 1), OLD], {"clock_ahead": 0.0}, UNPROVEN,
    ),
    "ours still goes on: its end will show": ([OLD], {"going_on": {"old"}}, NOT_YET),
    "ours has ended since, and another goes on": ([OTHERS_SIZE, ALIVE], {"going_on": {"b"}}, RESEND),
    # something happened since
    "ours, ended since": ([ALIVE], {}, RESEND),
    "ours, and another's has ended since": ([OLD, STRANGE], {}, RESEND),
    "ours, and one created since": ([LARGER_LATE, OLD], {}, RESEND),
    "nothing was there before, and one of ours since": (
        [LARGER_LATE], {"newest_before": None, "ours": {"larger"}, "taken": {"larger"}}, RESEND,
    ),
    # clocks
    "the API's clock is not known": ([replace(ALIVE, ended_at=OVER + 299)], {}, UNPROVEN),
    "the API's clock is ours": ([replace(ALIVE, ended_at=OVER + 1)], {"clock_ahead": 0.0}, RESEND),
    "the API's clock is ahead": ([replace(ALIVE, ended_at=OVER + 99)], {"clock_ahead": 100.0}, UNPROVEN),
    "the API's clock is ahead, and it ended since": (
        [replace(ALIVE, ended_at=OVER + 101)], {"clock_ahead": 100.0}, RESEND,
    ),
    "the answer has the time of a cache": ([replace(ALIVE, ended_at=SENT - 1)], {"clock_ahead": -600.0}, UNPROVEN),
    "a time in the far future": ([replace(ALIVE, ended_at=OVER + 1e6)], {}, UNPROVEN),
    "created in the far future": ([remote("b", requests=1, created_at=OVER + 1e6), OLD], {}, UNPROVEN),
}  # fmt: skip


@pytest.mark.parametrize(("listed", "how", "answer"), PROOFS.values(), ids=PROOFS)
def test_what_proves_that_it_does_not_exist(listed: list[RemoteBatch], how: dict[str, Any], answer: Any) -> None:
    assert decided(*listed, **AT_LAST, **how) == answer


@pytest.mark.parametrize(("listed", "how", "_"), PROOFS.values(), ids=PROOFS)
def test_before_the_wait_is_over_nothing_is_concluded(listed: list[RemoteBatch], how: dict[str, Any], _: Any) -> None:
    assert decided(*listed, **AT_LAST | {"now": AFTER - 1}, **how) == LOOKED


IDS = ["a", "b", "c", "d"]
batches = st.builds(
    remote,
    st.sampled_from(["old", *IDS]),
    requests=st.sampled_from([0, 299, 300]),
    created_at=st.floats(SENT, OVER) | st.floats(SENT - 1e4, SENT + 1e4),
    archived=st.booleans(),
    ended_at=st.none() | st.floats(SENT, OVER + 1e5),
)


@pytest.mark.slow
@given(
    listed=st.lists(batches, max_size=6, unique_by=lambda one: one.batch_id),
    taken=st.sets(st.sampled_from(IDS)),
    contested=st.sets(st.sampled_from(IDS)),
    ours=st.sets(st.sampled_from(["old", *IDS])),
    now=st.floats(OVER, OVER + 1e5),
    empty_scans=st.integers(0, 5),
    scanned_at=st.one_of(st.none(), st.floats(OVER, OVER + 1e5)),
)
def test_it_is_never_sent_again_while_it_could_be_in_the_list(
    listed: list[RemoteBatch],
    taken: set[str],
    contested: set[str],
    ours: set[str],
    now: float,
    empty_scans: int,
    scanned_at: float | None,
) -> None:
    contested -= taken
    facts = {"now": now, "empty_scans": empty_scans, "scanned_at": scanned_at, "clock_ahead": 0.0}
    answer = decided(*listed, taken=taken, contested=contested, ours=ours, **facts)

    ids = [one.batch_id for one in listed]
    anchored = "old" in ids
    newer = listed[: ids.index("old")] if anchored else listed
    fitting = [one for one in newer if one.requests in {0, 300} and one.batch_id not in taken]
    timely = {one.batch_id for one in fitting if SENT - 300 <= one.created_at <= OVER + WAIT_S + 300}
    possible = timely | {one.batch_id for one in fitting if anchored and not one.archived}
    match answer:
        case Resend():
            assert anchored
            assert not possible
            assert now - OVER >= WAIT_S
            assert empty_scans >= 1
            assert scanned_at is None or now > scanned_at
            assert ours & set(ids)
            assert any(max(one.created_at, one.ended_at or 0) > OVER for one in listed)
        case Unproven():
            assert anchored
            assert not possible
            assert now - OVER >= WAIT_S
        case Missed(counts):
            assert not possible or (possible & contested and not counts)
            assert anchored or timely
        case Elsewhere():
            assert not anchored
            assert not timely
        case Adopt(one):
            assert one.batch_id in possible - contested
        case Several(candidates):
            assert {one.batch_id for one in candidates} <= possible - contested
            assert len(candidates) > 1


# --- the call itself


def status(code: int | None, message: str = "no", **more: Any) -> Failure:
    return Failure(cause=Cause.STATUS, status=code, message=message, **more)


def lost(cause: Cause) -> Failure:
    return Failure(cause=cause, message="it broke")


UNCLEAR, LATER, TOO_LARGE = Creation.UNCLEAR, Creation.LATER, Creation.TOO_LARGE
STOP = Creation.STOP
CALLS: dict[str, tuple[Failure, Creation]] = {
    "a timeout": (lost(Cause.TIMEOUT), UNCLEAR),
    "a reset": (lost(Cause.DROPPED), UNCLEAR),
    "200 that is no batch": (lost(Cause.MALFORMED), UNCLEAR),
    "500": (status(500), UNCLEAR),
    "502": (status(502), UNCLEAR),
    "504": (status(504), UNCLEAR),
    "529": (status(529, "Overloaded", error_type="overloaded_error"), UNCLEAR),
    "408": (status(408), UNCLEAR),
    "409": (status(409), UNCLEAR),
    "overloaded with status 200": (status(200, error_type="overloaded_error"), UNCLEAR),
    "a redirect": (status(307), UNCLEAR),
    "an error without a status": (status(None), UNCLEAR),
    "no connection": (lost(Cause.UNREACHABLE), LATER),
    "429": (status(429, "too many batch requests in queue", error_type="rate_limit_error"), LATER),
    "413": (status(413, error_type="request_too_large"), TOO_LARGE),
    "400": (status(400, "requests.0: wrong", error_type="invalid_request_error"), STOP),
    "401": (status(401), STOP),
    "403": (status(403), STOP),
    "404": (status(404), STOP),
    "405": (status(405), STOP),
    "422": (status(422), STOP),
    "no key": (lost(Cause.CREDENTIALS), STOP),
    "402": (status(402, error_type="billing_error"), STOP),
    "the customer's own limit": (status(400, "You have reached your specified API usage limits."), STOP),
    "no credit": (status(400, "Your credit balance is too low to access the API"), STOP),
    "a contract's limit": (status(429, error_code="contract_spend_limit_reached"), STOP),
    "a spend limit": (status(403, error_code="enforced_spend_limit_reached"), STOP),
}


@pytest.mark.parametrize(("failure", "known"), CALLS.values(), ids=CALLS)
def test_what_a_failed_create_call_leaves_behind(failure: Failure, known: Creation) -> None:
    assert after_create(failure) is known


@pytest.mark.parametrize(("failure", "known"), CALLS.values(), ids=CALLS)
def test_a_body_that_was_not_sent_as_a_whole_creates_nothing(failure: Failure, known: Creation) -> None:
    gone = STOP if kind_of(failure) is FailureKind.REDIRECTED else LATER
    assert after_create(failure, whole=False) is (gone if known is UNCLEAR else known)


@pytest.mark.parametrize("code", range(100, 600))
def test_whatever_is_not_a_clear_no_may_be_a_yes(code: int) -> None:
    clear_no = 400 <= code < 500 and code not in {408, 409}

    assert (after_create(status(code)) is not UNCLEAR) == clear_no


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.STATUS])
def test_whatever_may_have_reached_the_api_is_in_doubt(cause: Cause) -> None:
    never_sent = cause in {Cause.UNREACHABLE, Cause.MISCONFIGURED, Cause.CREDENTIALS}

    assert (after_create(lost(cause)) is not UNCLEAR) == never_sent
