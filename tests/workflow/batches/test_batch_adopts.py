"""After a create call without a clear answer the batch is looked for: it is adopted, or sent again once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from batch_submits import (
    COST_NUSD,
    HOUR_S,
    LOST,
    MINUTE_S,
    NOTHING_CAME,
    SMALL,
    again_and_again,
    assert_books_agree,
    assert_books_agree_in_the_end,
    batched,
    by_hand,
    committed,
    given_history,
    held_nusd,
    once,
    open_attempts,
    something_happens,
    states,
    submit,
    until,
    waiting,
)
from scripted_batches_memory import DAY_S, BatchApi, Lost
from scripted_provider import OVERLOADED, lost, status
from trial_project import TrialProject

from batchrun.batch import BatchBody, BatchPage, RemoteBatch
from batchrun.errors import Ambiguous, ExitCode
from batchrun.events import BatchSubmitted
from batchrun.providers import AttemptError
from batchrun.reply import Cause
from batchrun.workflow.batch_recovery import adopt, resend

pytestmark = pytest.mark.slow

CAUSES = {
    "a reset": lost(),
    "a timeout": lost(Cause.TIMEOUT),
    "500": status(500),
    "529": OVERLOADED,
    "408": status(408),
    "409": status(409),
    "200 that is no batch": lost(Cause.MALFORMED),
}


def test_one_lost_create_leaves_exactly_one_batch(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [LOST]

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.sizes == [5]
    assert [event.adopted for event in project.events if isinstance(event, BatchSubmitted)] == [True]
    assert states(project) == ["collected"]
    assert_books_agree(project, api)


@pytest.mark.parametrize("created", [True, False])
@pytest.mark.parametrize("failure", CAUSES.values(), ids=CAUSES)
def test_after_any_doubt_the_batch_is_looked_for_before_it_is_sent_again(
    project: TrialProject, api: BatchApi, failure: Any, created: bool
) -> None:
    project.documents(5)
    api.creating = [Lost(created=created, failure=failure)]

    codes = again_and_again(project, api, every_s=5)

    assert codes == [10] * (len(codes) - 1) + [0 if created else 6]
    assert api.calls["create"] == 1
    assert open_attempts(project) == (0 if created else 5)


def test_it_is_sent_again_only_after_two_empty_lists_and_the_wait(project: TrialProject, api: BatchApi) -> None:
    given_history(project, api)
    project.documents(5)
    api.creating = [NOTHING_CAME]
    once(project, api)
    something_happens(api)

    codes = [once(project, api, after_s=18).exit_code for _ in range(3)]
    assert (codes, api.calls["create"]) == ([10] * 3, 2), "56 seconds are not the wait of 60"
    once(project, api, after_s=18)

    assert api.calls["create"] == 3
    assert until(project, api) == [0]
    assert api.sizes == [1, 1, 5]
    assert_books_agree_in_the_end(project, api)


def test_one_list_is_not_enough_however_late(project: TrialProject, api: BatchApi) -> None:
    given_history(project, api)
    project.documents(5)
    api.creating = [NOTHING_CAME]
    once(project, api)
    something_happens(api)

    once(project, api, after_s=HOUR_S)
    assert api.calls["create"] == 2
    once(project, api, after_s=HOUR_S)
    assert api.calls["create"] == 3


def test_the_end_of_another_batch_of_ours_is_waited_for_and_proves_that_it_was_never_created(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(15)
    api.takes_s = HOUR_S
    api.creating = [None, NOTHING_CAME]

    codes = again_and_again(project, api, every_s=5 * MINUTE_S)

    assert codes == [10] * (len(codes) - 1) + [0]
    assert api.sizes == [10, 5]
    assert_books_agree(project, api)


# --- a list that proves nothing


def unlisted(api: BatchApi, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """From now on the list cannot show what is created."""
    kept = [api.told(remote) for remote in reversed(api.batches)]

    async def page(*, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        api.calls["page"] += 1
        if how.isdigit():
            raise AttemptError(status(int(how), "no such call"))
        return BatchPage(tuple(kept) if how == "as it was" else (), has_more=False, server_time=api.clock())

    monkeypatch.setattr(api, "page", page)


UNLISTED = ["empty", "as it was", "404", "405", "410", "501"]


@pytest.mark.parametrize("how", UNLISTED)
@pytest.mark.parametrize("history", [False, True], ids=["the first", "one of many"])
def test_what_no_list_can_show_is_paid_once_and_stays_held(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, how: str, history: bool
) -> None:
    """The call is executed, and its answer lost, whenever it is made."""
    if history:
        given_history(project, api)
    project.documents(5)
    before, sent = committed(project) if history else 0, api.calls["create"]
    unlisted(api, monkeypatch, how)
    api.creating = [LOST] * 10

    codes = [again_and_again(project, api)[-1] for _ in range(3)]
    summary = once(project, api, after_s=DAY_S)

    assert [*codes, summary.exit_code] == [ExitCode.AMBIGUOUS] * 4
    assert isinstance(summary.halted, Ambiguous)
    assert api.calls["create"] == sent + 1
    assert open_attempts(project) == 5
    assert committed(project) == before + held_nusd(project)
    assert held_nusd(project) > 5 * COST_NUSD
    api.creating = []
    by_hand(project, lambda opened: adopt(opened, api.batches[-1].batch_id, provider=api))
    assert until(project, api) == [0]
    assert api.calls["create"] == sent + 1
    assert_books_agree(project, api)


def test_what_the_list_shows_after_all_is_adopted(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(5)
    api.creating = [LOST]
    with monkeypatch.context() as patch:
        unlisted(api, patch, "empty")
        assert again_and_again(project, api)[-1] == ExitCode.AMBIGUOUS

    assert until(project, api) == [0]
    assert api.calls["create"] == 1
    assert_books_agree(project, api)


def test_a_gateway_without_a_list_has_batches(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(15)
    unlisted(api, monkeypatch, "404")

    assert until(project, api) == [0]
    assert api.sizes == [10, 5]
    assert_books_agree(project, api)


@pytest.mark.parametrize("whole", [False, True])
def test_what_the_api_did_not_get_as_a_whole_does_not_exist(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """The connection breaks, or the process is killed, with or without the last bytes of the body."""
    project.documents(5)

    async def create(body: BatchBody) -> RemoteBatch:
        parts = [bytes(part) async for part in upto(body, None if whole else 2)]
        assert (sum(map(len, parts)) == body.size) == whole
        raise AttemptError(lost())

    with monkeypatch.context() as patch:
        patch.setattr(api, "create", create)
        once(project, api)
    assert states(project) == (["prepared"] if whole else ["abandoned"])

    assert again_and_again(project, api)[-1] == (6 if whole else 0)
    assert len(api.batches) == (0 if whole else 1)


@pytest.mark.parametrize("whole", [False, True])
def test_a_process_that_died_amid_the_call_has_a_batch_only_if_all_of_it_was_sent(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    project.documents(5)

    async def create(body: BatchBody) -> RemoteBatch:
        assert [part async for part in upto(body, None if whole else 2)]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(api, "create", create)
        with pytest.raises(KeyboardInterrupt):
            once(project, api)

    assert again_and_again(project, api)[-1] == (6 if whole else 0)
    assert states(project) == (["prepared"] if whole else ["abandoned", "collected"])


async def upto(body: BatchBody, most: int | None) -> AsyncIterator[bytes]:
    """The first parts of a body."""
    number = 0
    async with aclosing(body.parts()) as parts:
        async for part in parts:
            yield part
            number += 1
            if number == most:
                return


def test_a_create_call_that_is_denied_in_passing_is_made_again(project: TrialProject, api: BatchApi) -> None:
    """The API has created a batch in this run, so it has the call."""
    project.documents(25)
    api.creating = [None, status(404, "not found"), status(404, "not found")]

    assert waiting(project, api).exit_code == ExitCode.OK
    assert api.sizes == [10, 10, 5]
    assert_books_agree(project, api)


def test_a_create_call_that_is_denied_for_good_stops_the_job(project: TrialProject, api: BatchApi) -> None:
    project.documents(25)
    api.creating = [None] + [status(404, "not found")] * 100

    assert waiting(project, api, most_s=10 * MINUTE_S).exit_code == ExitCode.ENVIRONMENT
    assert api.sizes == [10]


def test_a_batch_that_the_list_shows_late_is_adopted(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [LOST]
    api.hidden = True
    once(project, api)
    once(project, api, after_s=30)
    api.hidden = False

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1
    assert_books_agree(project, api)


def test_batches_of_others_of_another_size_are_left_alone(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.somebody_elses(5)  # was there before
    api.creating = [LOST]
    once(project, api)
    api.somebody_elses(4)

    assert again_and_again(project, api)[-1] == 0
    assert project.ask("select batch_id from batches") == [("msgbatch_2",)]
    assert_books_agree(project, api)


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_the_whole_list_is_read_page_by_page(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("batchrun.execution.batch.find_lost.PAGE", page)
    project.documents(5)
    api.creating = [LOST]
    once(project, api)
    for requests in (1, 2, 3, 4, 6, 7):
        api.somebody_elses(requests)

    once(project, api, after_s=10)

    assert project.ask("select state, batch_id from batches") == [("submitted", "msgbatch_1")]


def test_when_none_of_several_is_ours_it_is_sent_again(project: TrialProject, api: BatchApi) -> None:
    given_history(project, api)
    project.documents(5)
    api.creating = [NOTHING_CAME]
    once(project, api)
    api.clock.skip(1)
    api.somebody_elses(5)
    api.somebody_elses(5)

    codes = again_and_again(project, api)

    assert codes[-1] == 0
    assert api.calls["create"] == 3
    assert Counter(project.statuses().values()) == {"succeeded": 6}


def test_among_several_the_custom_ids_tell(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [LOST]
    once(project, api)
    api.somebody_elses(5)
    api.somebody_elses(5)

    codes = again_and_again(project, api)

    assert codes[-1] == 0
    assert project.ask("select batch_id from batches") == [("msgbatch_1",)]
    assert api.calls["create"] == 1


def test_a_size_that_is_not_told_could_be_any(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [LOST]
    api.counts_told = False

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1


def test_no_other_batch_is_created_while_one_is_in_doubt(project: TrialProject, api: BatchApi) -> None:
    project.documents(25)
    api.creating = [None, NOTHING_CAME]

    once(project, api)
    once(project, api, after_s=10)

    assert api.calls["create"] == 2
    assert states(project) == ["submitted", "prepared"]
    assert again_and_again(project, api)[-1] == 0
    assert sorted(api.sizes) == [5, 10, 10]
    assert_books_agree(project, api)


def test_a_process_that_died_after_it_had_prepared_looks_for_its_batch(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)

    def die() -> None:
        raise KeyboardInterrupt

    api.creating = [die]
    with pytest.raises(KeyboardInterrupt):
        once(project, api)
    assert states(project) == ["prepared"]
    assert open_attempts(project) == 3
    once(project, api)
    api.somebody_elses(3)
    ours, theirs = api.batches[0].params, project.ask("select nonce from batches")[0][0]
    api.batches[0].params = {name.replace("f" * 12, theirs): one for name, one in ours.items()}

    once(project, api, after_s=10)

    assert project.ask("select state, batch_id from batches") == [("submitted", "msgbatch_1")]


def test_the_list_of_another_workspace_is_no_proof_that_a_batch_does_not_exist(
    project: TrialProject, api: BatchApi
) -> None:
    """The key was changed, or a proxy answers with an empty list; the ledger knows what must be in it."""
    api.takes_s = HOUR_S
    batched(project, batch=SMALL.replace("max_requests = 10", "max_requests = 3"))
    project.documents(5)
    api.creating = [None, LOST]
    once(project, api)
    assert states(project) == ["submitted", "prepared"]
    api.hidden = True

    (code,) = until(project, api)
    summary = once(project, api, after_s=DAY_S)

    assert code == summary.exit_code == ExitCode.AMBIGUOUS
    assert isinstance(summary.halted, Ambiguous)
    assert "msgbatch_1" in str(summary.halted)
    assert api.calls["create"] == 2
    api.hidden = False
    assert until(project, api) == [0]
    assert api.calls["create"] == 2
    assert_books_agree_in_the_end(project, api)


def test_an_old_archived_batch_of_the_same_size_is_not_taken_for_ours(project: TrialProject, api: BatchApi) -> None:
    """What was in the list before the call has been deleted since."""
    project.documents(3)
    api.somebody_elses(7)
    api.creating = [NOTHING_CAME]
    once(project, api)
    old = api.somebody_elses(3)
    old.created_at -= 60 * DAY_S
    old.ends_at, old.archived = old.created_at + 60, True
    api.batches = [old]

    assert until(project, api) == [ExitCode.AMBIGUOUS]

    assert set(project.statuses().values()) == {"pending"}
    by_hand(project, lambda opened: resend(opened, provider=api, pay_again=True))
    held = held_nusd(project)
    assert until(project, api) == [0]
    assert held_nusd(project) == held > 0
    assert committed(project) == held + 3 * COST_NUSD


def test_a_list_without_an_end_is_given_up_and_decides_nothing(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not know `after_id` gives the first page again and again."""
    project.documents(3)
    api.creating = [NOTHING_CAME]
    once(project, api)
    api.somebody_elses(7)
    asked: list[str | None] = []

    async def page(*, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        asked.append(after_id)
        assert len(asked) < 100, "it never ends"
        return BatchPage(tuple(map(api.told, api.batches)), has_more=True)

    with monkeypatch.context() as patch:
        patch.setattr(api, "page", page)
        for _ in range(10):
            assert once(project, api, after_s=60).exit_code == ExitCode.UNFINISHED
    assert len(asked) == 20, "twice the same page is enough to know"
    assert states(project) == ["prepared"]


def test_a_clock_that_is_set_forward_between_two_calls_does_not_end_the_wait(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From cron: only the API's own clock tells that the hour has not gone by."""
    set_forward_s = 0.0

    async def page(*, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        listed = await BatchApi.page(api, after_id=after_id, limit=limit)
        return replace(listed, server_time=api.clock() - set_forward_s)

    monkeypatch.setattr(api, "page", page)
    project.documents(3)
    api.takes_s = HOUR_S
    api.creating, api.hidden = [LOST], True
    once(project, api)
    once(project, api, after_s=7)
    set_forward_s = HOUR_S
    api.clock.skip(HOUR_S)
    once(project, api)
    once(project, api, after_s=7)
    api.hidden = False

    until(project, api, every_s=MINUTE_S, most=200)
    assert api.sizes == [3]
    assert_books_agree_in_the_end(project, api)


def test_a_clock_that_is_set_forward_while_a_batch_is_looked_for_does_not_end_the_wait(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch shows up in the list half a minute after its call; by then the clock has been an hour ahead."""
    project.documents(3)
    api.creating = [LOST]
    began = asyncio.Event()

    async def page(*, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        seconds = asyncio.get_running_loop().time()
        if seconds > 8 and not began.is_set():
            began.set()
            api.clock.skip(HOUR_S)
        api.hidden = seconds < 30
        listed = await BatchApi.page(api, after_id=after_id, limit=limit)
        return replace(listed, server_time=None)

    monkeypatch.setattr(api, "page", page)

    assert waiting(project, api).exit_code == ExitCode.OK
    assert began.is_set()
    assert api.sizes == [3]
    assert_books_agree_in_the_end(project, api)
