"""Whole submits on the batch route against the API in memory: what is sent, paid and settled, and how it is told."""

import asyncio
import errno
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from importlib import resources
from itertools import pairwise
from typing import Any

import pytest
from scripted_batches_memory import BROKE, CANCELED, EXPIRED, WRONG, BatchApi, Lost, WallClock, result
from scripted_provider import BAD_KEY, OVERLOADED, TURNED_AWAY, ScriptedProvider, answer, lost, status
from trial_project import TrialProject, Unpublished

from batchrun.batch import BatchState
from batchrun.errors import Ambiguous, Busy, ExitCode, Refused, UsageProblem
from batchrun.events import BatchCollected, BatchSubmitted, BatchTrouble, DocumentSettled
from batchrun.execution.batch.packing import Spool
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.providers import AttemptError
from batchrun.reply import Cause, Usage
from batchrun.request import Request
from batchrun.store.ledger.batches import Batch
from batchrun.store.ledger.job_lock import job_lock
from batchrun.strategy.plan import Kind
from batchrun.strategy.routes import Route
from batchrun.workflow.batch_recovery import Cancellation, adopt, cancel, resend
from batchrun.workflow.open_job import OpenJob, OpenStore, SubmitOptions, open_store
from batchrun.workflow.summary import Summary

INTERVALS = 'poll_interval = "10s"\nmax_poll_interval = "20s"\nreconcile_wait = "60s"'
SMALL = f"max_requests = 10\n{INTERVALS}"
HOLD = f'{SMALL}\non_ambiguous = "hold"'
COST_NUSD = 75_000
"""Of one answer: half of 100 tokens in and 10 out."""
CUSTOM_ID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
MINUTE_S, HOUR_S = 60.0, 3600.0
LOST = Lost(created=True)
NOTHING_CAME = Lost(created=False)


@pytest.fixture
def api(clock: WallClock) -> BatchApi:
    return BatchApi(clock)


@pytest.fixture
def project(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """A project whose job travels in batches of ten, without an output."""
    monkeypatch.setattr(OpenJob, "output", lambda *_: Unpublished())
    monkeypatch.setattr(OpenStore, "output", lambda *_: Unpublished())
    batched(project)
    return project


def batched(project: TrialProject, name: str = "trial", *, route: str = "batch", run: str = "", **more: str) -> None:
    project.job(name, **{"run": f'route = "{route}"\nmax_concurrency = 4\n{run}', "batch": SMALL} | more)


def submit(project: TrialProject, api: BatchApi, selection: Selection | None = None, **options: Any) -> Summary:
    job = options.pop("job", "trial")
    return project.submit(api, selection, job=job, options=SubmitOptions(**options))


def once(project: TrialProject, api: BatchApi, *, after_s: float = 0.0, **options: Any) -> Summary:
    """`submit --no-wait`, some time later."""
    api.clock.skip(after_s)
    return submit(project, api, waits=False, **options)


def again_and_again(project: TrialProject, api: BatchApi, *, every_s: float = 10.0, **options: Any) -> list[int]:
    """`submit --no-wait` until it says something else than 10; the exit codes."""
    codes = [int(once(project, api, **options).exit_code)]
    while codes[-1] == ExitCode.UNFINISHED:
        assert len(codes) < 100, "it never ends"
        codes.append(int(once(project, api, after_s=every_s, **options).exit_code))
    return codes


def canceling(project: TrialProject, api: BatchApi, *, waits: bool = True) -> Cancellation:
    run_no = project.ask("select max(run_no) from runs")[0][0]
    with open_store(project.root / "jobs/trial.toml", simulated=False) as opened:
        return cancel(opened, run_no, provider=api, listener=project.events.append, waits=waits)


def by_hand(project: TrialProject, decide: Callable[[OpenStore], Batch], *, job: str = "trial") -> Batch:
    with open_store(project.root / f"jobs/{job}.toml", simulated=False) as opened:
        return decide(opened)


def states(project: TrialProject) -> list[str]:
    return [state for (state,) in project.ask("select state from batches order by batch_no")]


def open_attempts(project: TrialProject) -> int:
    return int(project.ask("select count(*) from attempts where state = 'open'")[0][0])


def assert_books_agree(project: TrialProject, api: BatchApi) -> None:
    """Nothing is paid twice, and the ledger has what the API billed."""
    assert {prompt: times for prompt, times in api.paid.items() if times > 1} == {}
    billed = sum(api.billed.values()) * COST_NUSD + len(api.streaming.sent) * 2 * COST_NUSD
    (committed,) = project.ask("select coalesce(sum(committed_nusd), 0) from runs")[0]
    assert committed == billed
    assert open_attempts(project) == 0


def troubles(project: TrialProject) -> list[str]:
    return [event.what for event in project.events if isinstance(event, BatchTrouble)]


# --- all goes well


def test_a_submit_in_the_foreground_waits_until_all_is_settled(project: TrialProject, api: BatchApi) -> None:
    texts = project.documents(25)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 25}
    assert api.sizes == [10, 10, 5]
    assert sorted(prompt for remote in api.batches for prompt in remote.prompts) == sorted(texts)
    assert states(project) == ["collected"] * 3
    assert summary.open_batches == []
    assert project.ask("select state, exit_code, route from runs") == [("finished", 0, "batch")]
    assert_books_agree(project, api)


def test_half_the_price_is_booked(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)

    summary = submit(project, api)

    assert summary.totals is not None
    assert (summary.totals.cost_nusd, summary.totals.open_nusd) == (3 * COST_NUSD, 0)
    assert summary.plan.estimate.cost_nusd.mean == pytest.approx(summary.plan.forecasts[0].estimate.cost_nusd.mean / 2)


def test_the_rows_are_in_the_output(project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # with an output, in real time
    monkeypatch.setattr("batchrun.execution.ledger_writer.BALLAST_BYTES", 4096)
    batched(project, batch='poll_interval = "0.01s"\nmax_poll_interval = "0.02s"')
    project.documents(3)

    summary = project.submit(BatchApi(takes_s=0.05))

    assert summary.exit_code == ExitCode.OK
    assert project.rows("select doc_id, title from trial order by 1") == [
        (f"docs/{number:04}.txt", "a title") for number in range(3)
    ]


def test_the_params_are_exactly_the_bytes_that_a_streamed_request_would_have_sent(
    project: TrialProject, api: BatchApi
) -> None:
    project.document("a.txt", 'quotes " and \\ and é and \u2028 and 🙂')
    project.document("b.txt", "plain")
    submit(project, api)

    (body,) = api.bodies
    for custom_id, params in api.batches[0].params.items():
        request = Request.of(params)
        assert b'"params":' + request.body + b"}" in body
        assert custom_id.endswith(f"-{request.request_id}")


def test_custom_ids_are_what_the_api_takes_and_carry_nonce_and_request(project: TrialProject, api: BatchApi) -> None:
    project.documents(12)
    submit(project, api)

    requests = {request_id for (request_id,) in project.ask("select request_id from requests")}
    for (nonce,), remote in zip(project.ask("select nonce from batches order by batch_no"), api.batches, strict=True):
        for custom_id in remote.params:
            assert CUSTOM_ID.match(custom_id)
            told, request_id = custom_id.split("-")
            assert told == nonce
            requests.remove(request_id)
    assert requests == set()


def test_the_second_submit_sends_nothing(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    submit(project, api)
    calls = api.calls.copy()

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.calls == calls
    assert len(project.ask("select 1 from runs")) == 1


def test_identical_documents_make_one_request_and_are_all_answered(project: TrialProject, api: BatchApi) -> None:
    for number in range(25):
        project.document(f"{number:04}.txt", f"text {number % 2}")

    summary = submit(project, api)

    assert api.sizes == [2]
    assert summary.outcomes == {Outcome.SUCCEEDED: 25}
    assert len([event for event in project.events if isinstance(event, DocumentSettled)]) == 25
    assert_books_agree(project, api)


def test_max_bytes_bounds_a_body(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f"max_bytes = 2_000\n{INTERVALS}")
    project.documents(20)

    assert submit(project, api).exit_code == ExitCode.OK

    assert len(api.bodies) > 2
    assert max(map(len, api.bodies)) <= 2_000


def test_a_request_over_the_limit_is_its_documents_failure_and_no_one_elses(
    project: TrialProject, api: BatchApi
) -> None:
    batched(project, batch=f"max_bytes = 2_000\n{INTERVALS}")
    project.documents(4)
    project.document("0001.txt", "word " * 1_000)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert project.statuses() == {
        "0000.txt": "succeeded", "0001.txt": "rejected", "0002.txt": "succeeded", "0003.txt": "succeeded",
    }  # fmt: skip
    assert "max_bytes" in project.ask("select reason from document_status where status = 'rejected'")[0][0]


def test_no_file_is_left_behind(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)

    names = {path.name for path in project.ledger_path.parent.iterdir()}

    assert {name for name in names if not re.match(r"ledger\.sqlite3|ballast|.*\.lock$|\.gitignore$", name)} == set()


# --- without waiting


def test_no_wait_does_what_is_due_and_says_10_until_all_is_settled(project: TrialProject, api: BatchApi) -> None:
    project.documents(15)

    first = once(project, api)

    assert first.exit_code == ExitCode.UNFINISHED
    assert first.outcomes == {None: 15}
    assert [batch.requests for batch in first.open_batches] == [10, 5]
    assert first.totals is not None
    assert first.totals.open_nusd > 0
    assert project.ask("select state, exit_code from runs") == [("waiting", 10)]
    assert once(project, api, after_s=1).exit_code == ExitCode.UNFINISHED
    assert api.calls["create"] == 2
    assert again_and_again(project, api)[-1] == ExitCode.OK
    assert len(project.ask("select 1 from runs")) == 1
    assert_books_agree(project, api)


def test_called_every_second_it_settles_everything_and_asks_no_more_than_is_due(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(12)

    codes = again_and_again(project, api, every_s=1)

    assert codes == [10] * (len(codes) - 1) + [0]
    assert api.calls["retrieve"] <= 2 * 8, "a batch of a minute, asked for every ten seconds"
    assert_books_agree(project, api)


def test_no_wait_collects_what_ended_and_submits_what_fits_in_one_call(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f"{SMALL}\nmax_queued = 10")
    project.documents(25)
    once(project, api)
    assert api.sizes == [10]

    summary = once(project, api, after_s=61)

    assert api.sizes == [10, 10], "the next is submitted as soon as the first has ended"
    assert summary.outcomes == {None: 15, Outcome.SUCCEEDED: 10}
    assert again_and_again(project, api)[-1] == 0
    assert api.sizes == [10, 10, 5]


def test_a_submit_that_waits_goes_on_where_no_wait_left_off(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    once(project, api)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.sizes == [5]
    assert project.plans[-1].counts[Kind.IN_BATCH] == 5
    assert project.plans[-1].to_send == 0
    assert len(project.ask("select 1 from runs")) == 1


def test_a_job_that_another_process_has_is_busy(project: TrialProject, api: BatchApi) -> None:
    project.documents(1)
    with job_lock(project.ledger_path, "trial"), pytest.raises(Busy) as busy:
        once(project, api)

    assert busy.value.exit_code == 75
    assert api.calls["create"] == 0


def test_documents_that_come_while_batches_are_open_go_into_another(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    project.document("late.txt", "a late one")

    once(project, api, after_s=1)

    assert [remote.prompts for remote in api.batches][1:] == [["a late one"]]
    assert again_and_again(project, api)[-1] == 0
    assert_books_agree(project, api)


def test_a_limit_sends_that_many_and_the_rest_later(project: TrialProject, api: BatchApi) -> None:
    project.documents(6)

    assert submit(project, api, Selection(limit=2)).exit_code == ExitCode.OK
    assert api.sizes == [2]
    assert submit(project, api).exit_code == ExitCode.OK
    assert api.sizes == [2, 4]
    assert_books_agree(project, api)


# --- what can come back for a request


FATES: dict[str, tuple[list[Any], str, int]] = {
    "an answer": ([answer()], "succeeded", 1),
    "nonsense": ([answer("nonsense")], "invalid", 1),
    "a refusal": ([answer("", stop_reason="refusal")], "refused", 1),
    "max_tokens": ([answer("{", stop_reason="max_tokens")], "truncated", 1),
    "invalid_request": ([WRONG], "rejected", 1),
    "too large": ([status(413, error_type="request_too_large")], "rejected", 1),
    "api_error once": ([BROKE, answer()], "succeeded", 2),
    "api_error always": ([BROKE], "errored", 3),
    "overloaded always": ([OVERLOADED], "errored", 3),
    "rate limited twice": ([TURNED_AWAY, TURNED_AWAY, answer()], "succeeded", 3),
    "an error nobody knows": ([status(418, error_type="teapot_error"), answer()], "succeeded", 2),
    "expired once": ([EXPIRED, answer()], "succeeded", 2),
    "expired always": ([EXPIRED], "expired", 3),
    "canceled by somebody else, once": ([CANCELED, answer()], "succeeded", 2),
    "canceled by somebody else, always": ([CANCELED], "canceled", 3),
    "one of each": ([EXPIRED, BROKE, answer()], "succeeded", 3),
    "a message that cannot be read": ([lost(Cause.MALFORMED)], "errored", 1),
}


@pytest.mark.parametrize(("fates", "outcome", "batches"), FATES.values(), ids=FATES)
def test_what_becomes_of_a_document(
    project: TrialProject, api: BatchApi, fates: list[Any], outcome: str, batches: int
) -> None:
    project.documents(4)
    api.script["text 1"] = fates

    summary = submit(project, api)

    assert project.statuses() == {
        "0000.txt": "succeeded", "0001.txt": outcome, "0002.txt": "succeeded", "0003.txt": "succeeded",
    }  # fmt: skip
    assert summary.exit_code == (ExitCode.OK if outcome == "succeeded" else ExitCode.SOME_FAILED)
    assert api.sizes == [4] + [1] * (batches - 1)
    assert open_attempts(project) == 0


@pytest.mark.parametrize("fate", [EXPIRED, CANCELED, BROKE, WRONG], ids=["expired", "canceled", "errored", "invalid"])
def test_what_was_not_processed_costs_nothing(project: TrialProject, api: BatchApi, fate: Any) -> None:
    project.documents(3)
    api.script["text 1"] = [fate]

    summary = submit(project, api)

    assert summary.totals is not None
    assert (summary.totals.cost_nusd, summary.totals.held_nusd) == (2 * COST_NUSD, 0)
    assert_books_agree(project, api)


def test_a_message_that_cannot_be_read_is_held_at_its_worst(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    api.script["text 1"] = [lost(Cause.MALFORMED)]

    summary = submit(project, api)

    assert summary.totals is not None
    assert summary.totals.cost_nusd == COST_NUSD
    assert summary.totals.held_nusd > COST_NUSD


def test_retry_sends_what_failed_in_batches_as_often_as_at_first(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.script["text 1"] = [EXPIRED] * 5 + [answer()]
    assert submit(project, api).exit_code == ExitCode.SOME_FAILED
    assert project.statuses()["0001.txt"] == "expired"

    summary = submit(project, api, Selection(again=frozenset({Outcome.EXPIRED})))

    assert summary.exit_code == ExitCode.OK, "three attempts more: two expire, the third is answered"
    assert api.sizes == [3, 1, 1, 1, 1, 1]
    assert_books_agree(project, api)


def test_failed_documents_are_left_alone_by_the_next_submit(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.script["text 1"] = [EXPIRED]
    submit(project, api)
    created = api.calls["create"]

    assert submit(project, api).exit_code == ExitCode.SOME_FAILED
    assert api.calls["create"] == created


def test_a_retry_may_stream_what_failed_in_a_batch(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.script["text 1"] = [BROKE]
    submit(project, api)

    summary = submit(project, api, Selection(again=frozenset({Outcome.ERRORED})), route="stream")

    assert summary.exit_code == ExitCode.OK
    assert api.streaming.sent == ["text 1"]
    assert_books_agree(project, api)


def test_when_everything_is_rejected_alike_the_job_file_is_wrong(project: TrialProject, api: BatchApi) -> None:
    project.documents(25)
    api.default = WRONG

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.STOPPED
    assert "rejected" in str(summary.halted)
    assert api.calls["create"] == 3, "no more are sent"


def test_a_few_that_are_rejected_alike_do_not_stop_the_job(project: TrialProject, api: BatchApi) -> None:
    project.documents(25)
    api.script = {f"text {number}": [WRONG] for number in range(9)}

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert summary.outcomes == {Outcome.SUCCEEDED: 16, Outcome.REJECTED: 9}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (status(402, "no credit", error_type="billing_error"), ExitCode.STOPPED),
        (status(401, "key revoked", error_type="authentication_error"), ExitCode.ENVIRONMENT),
        (status(403, "not yours", error_type="permission_error"), ExitCode.ENVIRONMENT),
        (status(404, "model: none", error_type="not_found_error"), ExitCode.ENVIRONMENT),
    ],
    ids=["billing", "401", "403", "404"],
)
def test_an_error_that_would_meet_every_other_stops_the_job_and_keeps_the_documents(
    project: TrialProject, api: BatchApi, error: Any, code: ExitCode
) -> None:
    project.documents(3)
    api.default = error

    stopped = submit(project, api)
    api.default = answer()
    mended = submit(project, api)

    assert stopped.exit_code == code
    assert stopped.outcomes == {None: 3}
    assert api.calls["create"] == 2
    assert mended.exit_code == ExitCode.OK
    assert_books_agree(project, api)


# --- results that are not as they should be


@pytest.mark.parametrize("at", [0, 1, 5, 9])
def test_a_download_that_breaks_begins_again_and_skips_what_is_settled(
    project: TrialProject, api: BatchApi, at: int
) -> None:
    project.documents(10)
    api.cuts = [at]

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.calls["results"] == 2
    assert len(project.settled) == 10, "each is told once"
    assert_books_agree(project, api)


def test_a_download_that_breaks_again_and_again_is_tried_at_the_next_poll(project: TrialProject, api: BatchApi) -> None:
    project.documents(10)
    api.cuts = [1, 2, 3, 4, 5, 6, 7, 8, 9]

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.calls["results"] == 10
    assert_books_agree(project, api)


def test_unknown_and_repeated_custom_ids_are_counted_and_do_no_harm(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)

    def odd(results: list[Any]) -> list[Any]:
        stranger = result("somebody-elses", answer({"title": "wrong"}))
        nonce = results[0].custom_id.split("-")[0]
        unknown = result(f"{nonce}-{'0' * 32}", answer({"title": "wrong"}))
        return [stranger, results[0], results[0], unknown, *results[1:], results[2]]

    api.arranged = odd

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert [event.odd for event in project.events if isinstance(event, BatchCollected)] == [4]
    assert_books_agree(project, api)


def test_results_that_are_missing_are_waited_for_and_then_given_up(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.arranged = lambda results: results[1:]

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert Counter(project.statuses().values()) == {"succeeded": 4, "errored": 1}
    assert api.calls["results"] > 1
    assert api.calls["create"] == 1, "it may have been billed: a person decides"
    assert summary.totals is not None
    assert summary.totals.held_nusd > 0


def test_results_that_come_a_download_later_are_taken(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    downloads: list[int] = []

    def late(results: list[Any]) -> list[Any]:
        downloads.append(1)
        return results[2:] if len(downloads) == 1 else results

    api.arranged = late

    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)


def test_archived_results_are_lost_and_nothing_is_sent_again(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    api.batches[0].archived = True

    summary = once(project, api, after_s=90 * 24 * HOUR_S)

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert summary.outcomes == {Outcome.ERRORED: 3}
    assert api.calls["create"] == 1
    assert summary.totals is not None
    assert summary.totals.held_nusd > 0
    reasons = {reason for (reason,) in project.ask("select reason from document_status")}
    assert len(reasons) == 1
    assert "29 days" in reasons.pop()


def test_results_are_taken_just_before_29_days(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)

    assert once(project, api, after_s=28.9 * 24 * HOUR_S).exit_code == ExitCode.OK


def test_a_batch_collected_at_last_is_judged_by_the_schema_it_was_sent_with(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(2)
    once(project, api)
    batched(project, output_fields='title = "string"\nextra = "string"')
    api.default = answer({"title": "t", "extra": "e"})
    api.script = {f"text {number}": [answer({"title": "old"}), api.default] for number in range(2)}
    api.clock.skip(61)  # the old one has ended before the new one is made

    codes = again_and_again(project, api)

    assert codes[-1] == ExitCode.OK
    outputs = project.ask("select outcome, output from requests order by request_no")
    assert [outcome for outcome, _ in outputs] == ["succeeded"] * 4
    assert [sorted(json.loads(output)) for _, output in outputs] == [["title"]] * 2 + [["extra", "title"]] * 2


# --- polling


@pytest.mark.parametrize("failure", [status(500), OVERLOADED, TURNED_AWAY, lost(), lost(Cause.UNREACHABLE)])
@pytest.mark.parametrize("call", ["retrieve", "results", "page"])
def test_trouble_with_asking_costs_nothing_and_is_tried_again(
    project: TrialProject, api: BatchApi, call: str, failure: Any
) -> None:
    project.documents(3)
    api.refused[call] = failure
    codes = [int(once(project, api, after_s=20).exit_code) for _ in range(10)]
    del api.refused[call]
    # With nothing at the API, and nobody there to ask, something around the job has to be mended.
    alone = call == "page" and failure == lost(Cause.UNREACHABLE)
    assert codes == [5 if alone else 10] * 10

    codes = again_and_again(project, api)

    assert codes == [10] * (len(codes) - 1) + [0]
    assert api.calls["create"] == 1
    assert troubles(project)
    assert_books_agree(project, api)


def test_polls_back_off_and_the_sleep_of_the_machine_is_noticed(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch='poll_interval = "10s"\nmax_poll_interval = "5m"')
    project.documents(3)
    api.takes_s = 4 * HOUR_S
    polled: list[float] = []
    retrieve = api.retrieve

    async def timed(batch_id: str) -> Any:
        polled.append(api.clock())
        if len(polled) == 45:
            asyncio.get_running_loop().call_later(5, api.clock.skip, 8 * HOUR_S)
        return await retrieve(batch_id)

    api.retrieve = timed

    assert submit(project, api).exit_code == ExitCode.OK

    gaps = [later - earlier for earlier, later in pairwise(polled[:45])]
    assert gaps[0] < 15
    assert max(gaps) <= 331
    assert gaps[-1] > 60
    assert len(polled) == 46
    assert polled[45] - polled[44] < 8 * HOUR_S + 20, "after the sleep it is asked for at once"


# --- a create call without a clear answer


def test_one_lost_create_leaves_exactly_one_batch(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [LOST]

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.sizes == [5]
    assert [event.adopted for event in project.events if isinstance(event, BatchSubmitted)] == [True]
    assert states(project) == ["collected"]
    assert_books_agree(project, api)


CAUSES = {
    "a reset": lost(),
    "a timeout": lost(Cause.TIMEOUT),
    "500": status(500),
    "529": OVERLOADED,
    "408": status(408),
    "409": status(409),
    "200 that is no batch": lost(Cause.MALFORMED),
}


@pytest.mark.parametrize("created", [True, False])
@pytest.mark.parametrize("failure", CAUSES.values(), ids=CAUSES)
def test_after_any_doubt_the_batch_is_looked_for_before_it_is_sent_again(
    project: TrialProject, api: BatchApi, failure: Any, created: bool
) -> None:
    project.documents(5)
    api.creating = [Lost(created=created, failure=failure)]

    codes = again_and_again(project, api, every_s=5)

    assert codes == [10] * (len(codes) - 1) + [0]
    assert api.calls["create"] == (1 if created else 2)
    assert api.sizes == [5]
    assert_books_agree(project, api)


def test_it_is_sent_again_only_after_two_empty_lists_and_the_wait(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [NOTHING_CAME]
    once(project, api)

    codes = [once(project, api, after_s=19).exit_code for _ in range(3)]
    assert (codes, api.calls["create"]) == ([10] * 3, 1), "57 seconds are not the wait of 60"
    once(project, api, after_s=19)

    assert api.calls["create"] == 2


def test_one_list_is_not_enough_however_late(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [NOTHING_CAME]
    once(project, api)

    once(project, api, after_s=HOUR_S)
    assert api.calls["create"] == 1
    once(project, api, after_s=HOUR_S)
    assert api.calls["create"] == 2


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


def test_a_wrong_adoption_is_undone_without_loss(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [NOTHING_CAME]
    once(project, api)
    api.somebody_elses(5)  # the same size, at the same time

    codes = again_and_again(project, api)

    assert codes[-1] == 0
    assert api.sizes == [5, 5]
    assert Counter(project.statuses().values()) == {"succeeded": 5}
    theirs = {prompt for prompt in api.billed if prompt.startswith("theirs")}
    assert len(theirs) == 5
    assert project.ask("select sum(committed_nusd) from runs") == [(5 * COST_NUSD,)]
    assert "msgbatch_1" in [batch_id for (batch_id,) in project.ask("select batch_id from foreign_batches")]


def test_a_wrong_adoption_is_undone_and_the_right_one_is_found(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [LOST]
    api.hidden = True
    once(project, api)
    api.hidden = False
    ours = api.batches.pop()
    api.somebody_elses(5)
    once(project, api, after_s=10)  # adopts the wrong one
    api.batches.insert(0, ours)
    api.batches[1].batch_id, ours.batch_id = "msgbatch_theirs", "msgbatch_ours"
    project.ask("update batches set batch_id = 'msgbatch_theirs'", commit=True)

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1
    assert project.ask("select batch_id from batches") == [("msgbatch_ours",)]


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
    project.documents(5)
    api.creating = [NOTHING_CAME]
    once(project, api)
    api.somebody_elses(5)
    api.somebody_elses(5)

    codes = again_and_again(project, api)

    assert codes[-1] == 0
    assert api.calls["create"] == 2
    assert Counter(project.statuses().values()) == {"succeeded": 5}


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


def test_two_jobs_in_doubt_at_once_with_batches_of_one_find_their_own(project: TrialProject, api: BatchApi) -> None:
    """Both are of the same size, and were created at the same time: only the custom_ids tell them apart."""
    project.document("a.txt", "the one")
    batched(project, "second", prompt='user = "Read: {{ doc.text }}"')
    api.creating = [LOST, LOST]
    api.hidden = True
    once(project, api)
    once(project, api, job="second")
    api.hidden = False
    api.clock.skip(70)  # both have ended

    first = again_and_again(project, api)
    second = again_and_again(project, api, job="second")

    assert (first[-1], second[-1]) == (0, 0)
    assert api.calls["create"] == 2
    assert_books_agree(project, api)


def test_another_jobs_batch_is_not_taken_from_it_for_good(project: TrialProject, api: BatchApi) -> None:
    """One job adopts the other's batch by mistake and gives it back."""
    project.document("a.txt", "the one")
    batched(project, "second", prompt='user = "Read: {{ doc.text }}"')
    api.creating = [NOTHING_CAME, LOST]
    once(project, api)
    once(project, api, job="second")
    once(project, api, after_s=10)  # takes the second job's batch for its own

    codes = again_and_again(project, api), again_and_again(project, api, job="second")

    assert (codes[0][-1], codes[1][-1]) == (0, 0)
    assert api.calls["create"] == 3
    assert_books_agree(project, api)


def test_an_adopted_batch_without_a_single_result_is_no_proof_that_it_was_somebody_elses(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(3)
    api.creating = [LOST]
    downloads: list[int] = []

    def empty_at_first(results: list[Any]) -> list[Any]:
        downloads.append(1)
        return [] if len(downloads) == 1 else results

    api.arranged = empty_at_first

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1
    assert_books_agree(project, api)


def test_an_unreadable_first_line_does_not_make_our_batch_somebody_elses(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.creating = [LOST]
    once(project, api)
    api.somebody_elses(3)
    api.arranged = lambda results: [result("", lost(Cause.MALFORMED)), *results]

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1


# --- a person decides


def test_hold_ends_with_6_when_it_is_nowhere_and_keeps_the_documents(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=HOLD)
    project.documents(3)
    api.creating = [NOTHING_CAME]

    codes = again_and_again(project, api)
    summary = once(project, api, after_s=600)

    assert codes[-1] == ExitCode.AMBIGUOUS == 6
    assert summary.exit_code == ExitCode.AMBIGUOUS
    assert isinstance(summary.halted, Ambiguous)
    assert summary.halted.hint is not None
    assert "--resend" in summary.halted.hint
    assert "--adopt" in summary.halted.hint
    assert api.calls["create"] == 1
    assert summary.outcomes == {None: 3}


def test_resend_by_hand_puts_it_back(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=HOLD)
    project.documents(3)
    api.creating = [NOTHING_CAME]
    again_and_again(project, api)

    batch = by_hand(project, lambda opened: resend(opened, provider=api))
    assert batch.state is BatchState.ABANDONED
    assert open_attempts(project) == 0
    assert project.ask("select committed_nusd from runs") == [(0,)]

    assert again_and_again(project, api)[-1] == 0
    assert api.sizes == [3]
    assert_books_agree(project, api)


def test_several_with_hold_are_listed_and_one_is_adopted_by_hand(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=HOLD)
    project.documents(3)
    api.creating = [LOST]
    api.hidden = True
    once(project, api)
    api.hidden = False
    api.somebody_elses(3)

    summary = once(project, api, after_s=10)
    assert summary.exit_code == ExitCode.AMBIGUOUS
    assert "msgbatch_1" in str(summary.halted)
    assert "msgbatch_2" in str(summary.halted)
    by_hand(project, lambda opened: adopt(opened, "msgbatch_1", provider=api))

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1


def test_a_wrong_adoption_by_hand_is_undone(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=HOLD)
    project.documents(3)
    api.creating = [LOST]
    api.hidden = True
    once(project, api)
    api.hidden = False
    api.somebody_elses(3)
    once(project, api, after_s=10)
    by_hand(project, lambda opened: adopt(opened, "msgbatch_2", provider=api))

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1
    assert project.ask("select batch_id from batches") == [("msgbatch_1",)]
    assert Counter(project.statuses().values()) == {"succeeded": 3}


def test_adopting_is_refused_for_another_size_another_batch_and_one_that_is_not_there(
    project: TrialProject, api: BatchApi
) -> None:
    batched(project, batch=HOLD)
    project.documents(13)
    api.creating = [None, NOTHING_CAME]
    once(project, api)
    api.somebody_elses(7)

    with pytest.raises(UsageProblem, match="requests"):
        by_hand(project, lambda opened: adopt(opened, "msgbatch_2", provider=api))
    api.counts_told = False
    with pytest.raises(UsageProblem, match="belongs to another"):
        by_hand(project, lambda opened: adopt(opened, "msgbatch_1", provider=api))
    with pytest.raises(UsageProblem, match="cannot be had"):
        by_hand(project, lambda opened: adopt(opened, "msgbatch_9", provider=api))
    assert states(project) == ["submitted", "prepared"]


def test_nothing_in_doubt_nothing_to_decide(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)

    with pytest.raises(UsageProblem, match="in doubt"):
        by_hand(project, lambda opened: resend(opened, provider=api))


def test_a_batch_that_was_deleted_is_given_up_by_hand(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    api.batches.clear()

    summary = once(project, api, after_s=60)
    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert summary.halted is not None
    assert "--resend --batch 1" in str(summary.halted.hint)
    by_hand(project, lambda opened: resend(opened, provider=api, batch_no=1))

    assert again_and_again(project, api)[-1] == 0
    (spent,) = project.ask("select sum(cost_nusd) from attempts")[0]
    (held,) = project.ask("select sum(reserved_nusd) from attempts where state = 'unknown'")[0]
    assert spent == sum(api.billed.values()) * COST_NUSD
    assert held > 0, "what was deleted had ended, and was probably billed"


# --- a create call that is refused


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        (BAD_KEY, ExitCode.ENVIRONMENT, "key"),
        (status(403, "no", error_type="permission_error"), ExitCode.ENVIRONMENT, "key"),
        (status(404, "no", error_type="not_found_error"), ExitCode.ENVIRONMENT, "endpoint"),
        (status(402, "no", error_type="billing_error"), ExitCode.STOPPED, "may not spend"),
        (status(400, "requests: wrong", error_type="invalid_request_error"), ExitCode.STOPPED, "rejected the batch"),
        (lost(Cause.CREDENTIALS), ExitCode.ENVIRONMENT, "no usable API key"),
    ],
    ids=["401", "403", "404", "402", "400", "no key"],
)
def test_a_clear_no_stops_the_job_and_leaves_nothing_in_doubt(
    project: TrialProject, api: BatchApi, failure: Any, code: ExitCode, words: str
) -> None:
    project.documents(3)
    api.creating = [failure]

    stopped = submit(project, api)

    assert stopped.exit_code == code
    assert words in str(stopped.halted)
    assert states(project) == ["abandoned"]
    assert project.ask("select committed_nusd, state from runs") == [(0, "stopped")]
    assert submit(project, api).exit_code == ExitCode.OK
    assert api.sizes == [3]
    assert_books_agree(project, api)


@pytest.mark.parametrize(
    "failure", [TURNED_AWAY, status(429, "later", retry_after_s=300.0), lost(Cause.UNREACHABLE)],
    ids=["429", "429 and when", "no connection"],
)  # fmt: skip
def test_a_full_queue_waits_and_goes_on(project: TrialProject, api: BatchApi, failure: Any) -> None:
    project.documents(3)
    api.creating = [failure, failure]
    begun = api.clock()

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.calls["create"] == 3
    assert api.clock() - begun >= 2 * (failure.retry_after_s or 10)
    assert_books_agree(project, api)


def test_413_halves_the_batch_until_it_is_taken(project: TrialProject, api: BatchApi) -> None:
    project.documents(10)
    api.most_requests = 3

    assert submit(project, api).exit_code == ExitCode.OK
    assert api.sizes == [2] * 5
    assert api.calls["create"] == 7, "ten, five, and then pairs"
    assert_books_agree(project, api)


def test_413_for_one_request_alone_is_its_documents_failure(project: TrialProject, api: BatchApi) -> None:
    project.documents(1)
    api.creating = [status(413, "Request exceeds the maximum size", error_type="request_too_large")]

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert project.statuses() == {"0000.txt": "rejected"}
    assert project.settled == ["0000.txt rejected"]
    assert project.ask("select committed_nusd from runs") == [(0,)]


def test_one_request_that_is_too_large_at_the_api_does_not_take_others_with_it(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(5)
    create = api.create

    async def picky(body: Any) -> Any:
        received = b"".join([part async for part in body.parts()])
        if b"text 2" in received:
            api.calls["create"] += 1
            raise AttemptError(status(413, "too large", error_type="request_too_large"))
        return await create(body)

    api.create = picky

    summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 4, Outcome.REJECTED: 1}
    assert project.statuses()["0002.txt"] == "rejected"


# --- money


def test_a_job_larger_than_the_budgets_worst_case_goes_in_waves(project: TrialProject, api: BatchApi) -> None:
    batched(project, budget="max_cost_usd = 0.008", batch=f"max_requests = 100\n{INTERVALS}")
    project.documents(25)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert len(api.batches) > 1
    assert_books_agree(project, api)


def test_half_the_worst_case_is_set_aside(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    batched(project, route="stream")
    streamed = project.plan()
    batched(project)

    summary = once(project, api)

    assert summary.plan.worst_nusd == -(-streamed.worst_nusd // 2)
    assert summary.totals is not None
    assert 0 < summary.totals.open_nusd <= 3 * summary.plan.worst_nusd


def test_a_refusal_says_how_many_would_fit_at_half_the_price(project: TrialProject, api: BatchApi) -> None:
    project.documents(50)
    budget = "max_cost_usd = 0.004"
    batched(project, route="stream", budget=budget)
    streamed = project.plan().affordable_count
    batched(project, budget=budget)

    assert 0 < streamed < 25
    assert project.plan().affordable_count == pytest.approx(2 * streamed, abs=2)


def test_the_cap_is_never_passed_by_what_is_open(project: TrialProject, api: BatchApi) -> None:
    batched(project, budget="max_cost_usd = 0.008")
    project.documents(25)
    code, most = 10, 0
    while code == ExitCode.UNFINISHED:
        code = once(project, api, after_s=15).exit_code
        most = max(most, project.ask("select committed_nusd from runs")[0][0])

    assert code == ExitCode.OK
    assert 4_000_000 < most <= 8_000_000


def test_a_job_that_cannot_be_paid_is_refused_and_nothing_is_sent(project: TrialProject, api: BatchApi) -> None:
    batched(project, budget="max_cost_usd = 0.000_5")
    project.documents(25)

    with pytest.raises(Refused):
        submit(project, api)

    assert api.calls["create"] == 0


def test_the_plan_of_a_batch_needs_half_the_budget_of_a_stream(project: TrialProject, api: BatchApi) -> None:
    project.documents(25)
    budget = f"max_cost_usd = {project.plan().estimate.upper_nusd * 1.1e-9:.9f}"
    batched(project, budget=budget)

    assert submit(project, api).exit_code == ExitCode.OK
    batched(project, "streamed", route="stream", budget=budget, prompt='user = "{{ doc.text }}."')
    with pytest.raises(Refused):
        submit(project, api, job="streamed")


def test_when_the_budget_is_reached_the_rest_is_pending(project: TrialProject, api: BatchApi) -> None:
    """Answers cost more than was estimated: the cap holds."""
    batched(project, budget="max_cost_usd = 0.008")
    project.documents(25)
    api.default = answer(usage=Usage(input_tokens=800, output_tokens=100))

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.STOPPED
    assert "budget" in str(summary.halted)
    assert 0 < summary.outcomes[Outcome.SUCCEEDED] < 25
    assert project.ask("select committed_nusd <= cap_nusd from runs") == [(1,)]
    batched(project)
    assert submit(project, api).exit_code == ExitCode.OK
    assert max(api.paid.values()) == 1


def test_the_queue_limit_counts_all_jobs(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f"{SMALL}\nmax_queued = 12")
    batched(project, "second", prompt='user = "Read: {{ doc.text }}"', batch=f"{SMALL}\nmax_queued = 12")
    project.documents(8)

    once(project, api)
    once(project, api, job="second")

    assert api.sizes == [8, 4]
    assert again_and_again(project, api)[-1] == 0
    assert again_and_again(project, api, job="second")[-1] == 0
    assert sum(api.sizes) == 16


# --- what changes while batches are open


def test_a_document_that_changes_while_its_batch_is_open_is_sent_as_it_is_now(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(3)
    once(project, api)
    project.document("0001.txt", "changed")

    codes = again_and_again(project, api)

    assert codes[-1] == ExitCode.OK
    assert [remote.prompts for remote in api.batches][1:] == [["changed"]]
    rows = "select r.outcome, d.row_request_no = d.request_no from documents d join requests r using (request_no)"
    assert project.ask(rows) == [("succeeded", 1)] * 3
    assert open_attempts(project) == 0
    assert max(api.paid.values()) == 1


def test_a_document_that_changes_back_is_answered_by_the_batch_it_is_in(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    project.document("0001.txt", "changed")
    project.document("0001.txt", "text 1")

    assert again_and_again(project, api)[-1] == ExitCode.OK
    assert api.sizes == [3]


def test_a_document_that_disappears_while_its_batch_is_open(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    (project.root / "docs/0001.txt").unlink()

    codes = again_and_again(project, api)

    assert codes[-1] == ExitCode.OK, "it is not selected any more"
    assert states(project) == ["collected"]
    assert_books_agree(project, api)


def test_batches_of_a_document_that_nobody_wants_any_more_are_collected_and_make_no_runs(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(1)
    api.takes_s = HOUR_S
    once(project, api)
    project.document("0000.txt", "changed")
    api.takes_s = 10.0

    again_and_again(project, api, every_s=60)

    assert states(project) == ["collected", "collected"]
    assert len(project.ask("select 1 from runs")) <= 2, "not one for every call"
    assert_books_agree(project, api)


def test_a_job_file_that_changes_while_batches_are_open_begins_a_new_run_and_collects_the_old(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(3)
    once(project, api)
    batched(project, prompt='user = "Read: {{ doc.text }}"')

    codes = again_and_again(project, api)

    assert codes[-1] == ExitCode.OK
    assert states(project) == ["collected"] * 2
    assert len(project.ask("select 1 from runs")) == 2
    assert Counter(project.statuses().values()) == {"succeeded": 3}
    assert_books_agree(project, api)


def test_switching_to_streaming_with_open_batches_pays_nothing_twice(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    once(project, api)
    project.document("late.txt", "a late one")
    api.script["text 2"] = [EXPIRED]

    summary = submit(project, api, route="stream")

    assert summary.exit_code == ExitCode.OK
    assert sorted(api.streaming.sent) == ["a late one", "text 2"]
    assert api.sizes == [5]
    assert_books_agree(project, api)


def test_switching_to_streaming_without_waiting(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    once(project, api)

    codes = again_and_again(project, api, route="stream")

    assert codes == [10] * (len(codes) - 1) + [0]
    assert api.streaming.sent == []
    assert_books_agree(project, api)


def test_switching_back_to_batches_after_a_stream_was_stopped(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.streaming = ScriptedProvider({"text 3": [BAD_KEY]})
    batched(project, run="", route="stream")
    submit(project, api)
    sent = [prompt for prompt in api.streaming.sent if prompt != "text 3"]
    batched(project)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert sorted(sent + [prompt for remote in api.batches for prompt in remote.prompts]) == [
        f"text {number}" for number in range(5)
    ]
    assert len(project.ask("select 1 from runs")) == 1


def test_two_jobs_with_the_same_requests_pay_once(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    batched(project, "second")
    once(project, api)

    waiting = once(project, api, job="second")
    assert waiting.exit_code == ExitCode.UNFINISHED
    assert api.sizes == [3]
    assert again_and_again(project, api)[-1] == 0
    done = once(project, api, job="second")

    assert done.exit_code == ExitCode.OK
    assert set(project.statuses("second").values()) == {"succeeded"}
    assert_books_agree(project, api)


def test_a_second_job_in_the_foreground_waits_for_the_firsts_batch(project: TrialProject, api: BatchApi) -> None:
    """It cannot collect the other's batch; it says so, and does not spin or send."""
    project.documents(3)
    batched(project, "second")
    once(project, api)

    summary = submit(project, api, job="second")

    assert summary.exit_code == ExitCode.UNFINISHED
    assert api.sizes == [3]


def test_a_second_job_goes_on_when_the_firsts_batch_expired(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    batched(project, "second")
    api.default = EXPIRED
    once(project, api)
    once(project, api, job="second")
    api.clock.skip(70)
    canceling(project, api)
    api.default = answer()

    assert again_and_again(project, api, job="second")[-1] == 0
    assert again_and_again(project, api)[-1] == 0
    assert_books_agree(project, api)


# --- cancel


def test_cancel_collects_what_had_finished_and_puts_the_rest_back(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f"max_requests = 4\n{INTERVALS}")
    project.documents(8)
    once(project, api)
    api.batches[0].ends_at = api.clock() + 10
    api.clock.skip(20)

    done = canceling(project, api)

    assert (done.canceled, done.still_open, done.pending, done.exit_code) == (2, 0, 4, 0)
    assert Counter(project.statuses().values()) == {"succeeded": 4, "pending": 4}
    assert states(project) == ["collected", "collected"]
    assert project.ask("select state, committed_nusd from runs") == [("stopped", 4 * COST_NUSD)]
    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)


def test_a_cancel_does_not_use_up_attempts(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    for _ in range(5):
        once(project, api)
        canceling(project, api)

    assert set(project.statuses().values()) == {"pending"}
    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)


def test_a_cancel_without_waiting_is_gone_on_with(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    once(project, api)

    first = canceling(project, api, waits=False)
    api.clock.skip(30)
    second = canceling(project, api, waits=False)

    assert (first.exit_code, first.still_open) == (ExitCode.UNFINISHED, 1)
    assert (second.exit_code, second.still_open, second.pending) == (ExitCode.OK, 0, 2)


def test_a_cancel_that_was_not_heard_is_asked_for_again(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    api.takes_s = 10 * HOUR_S
    once(project, api)
    api.refused["cancel"] = lost()
    canceling(project, api, waits=False)
    del api.refused["cancel"]

    done = canceling(project, api)

    assert done.exit_code == ExitCode.OK
    assert api.canceled == ["msgbatch_1"]
    assert api.clock() - api.batches[0].created_at < HOUR_S


def test_a_cancel_settles_a_batch_in_doubt_first(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    api.creating = [LOST]
    api.takes_s = 10 * HOUR_S
    once(project, api)

    done = canceling(project, api)

    assert (done.exit_code, done.pending) == (ExitCode.OK, 2)
    assert api.canceled == ["msgbatch_1"]
    assert states(project) == ["collected"]
    assert open_attempts(project) == 0


def test_a_batch_found_without_its_size_may_be_somebody_elses_and_is_not_canceled(
    project: TrialProject, api: BatchApi
) -> None:
    """Its results tell whose it is."""
    project.documents(2)
    api.creating = [LOST]
    api.takes_s = HOUR_S
    api.counts_told = False
    once(project, api)

    done = canceling(project, api)

    assert (done.exit_code, done.pending) == (ExitCode.OK, 0)
    assert api.canceled == []
    assert_books_agree(project, api)


def test_nothing_to_cancel(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    submit(project, api)

    done = canceling(project, api)

    assert (done.canceled, done.exit_code) == (0, ExitCode.OK)
    assert project.ask("select state from runs") == [("finished",)]


# --- auto, and the deadline


def test_auto_streams_a_small_job(project: TrialProject, api: BatchApi) -> None:
    batched(project, route="auto")
    project.documents(20)

    summary = submit(project, api)

    assert summary.plan.choice.route is Route.STREAM
    assert (len(api.streaming.sent), api.calls["create"]) == (20, 0)


@pytest.mark.parametrize(
    ("deadline", "route"),
    [(None, Route.BATCH), (25 * HOUR_S, Route.BATCH), (3 * HOUR_S, Route.BATCH), (HOUR_S / 2, Route.STREAM)],
)
def test_auto_takes_a_batch_when_the_deadline_allows(
    project: TrialProject, api: BatchApi, deadline: float | None, route: Route
) -> None:
    batched(project, route="auto", batch=INTERVALS)
    project.documents(100)

    summary = submit(project, api, deadline_s=deadline)

    assert summary.exit_code == ExitCode.OK
    assert summary.plan.choice.route is route
    assert sum(api.billed.values()) == (100 if route is Route.BATCH else 0)
    batch, stream = summary.plan.forecasts[1], summary.plan.forecasts[0]
    assert (stream.route, batch.route) == (Route.STREAM, Route.BATCH)
    assert batch.estimate.cost_nusd.mean == pytest.approx(stream.estimate.cost_nusd.mean / 2)


def test_auto_stays_with_batches_when_few_are_left(project: TrialProject, api: BatchApi) -> None:
    batched(project, route="auto", batch=f"max_requests = 90\n{INTERVALS}")
    project.documents(100)
    api.script["text 3"] = [EXPIRED, answer()]

    assert again_and_again(project, api)[-1] == 0
    assert api.streaming.sent == []
    assert sum(api.billed.values()) == 100


SLOW = 'max_requests = 10\npoll_interval = "5m"\nmax_poll_interval = "5m"'


def test_near_the_deadline_what_is_unfinished_is_canceled_and_streamed(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=SLOW, run='deadline = "2h"')
    project.documents(15)
    api.takes_s = 20 * HOUR_S
    begun = api.clock()

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert HOUR_S < api.clock() - begun <= 2 * HOUR_S
    assert sorted(api.canceled) == ["msgbatch_1", "msgbatch_2"]
    assert len(api.streaming.sent) == 15
    assert sum(api.billed.values()) == 0
    assert_books_agree(project, api)


def test_what_had_finished_by_then_is_collected_and_not_streamed(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=SLOW, run='deadline = "2h"')
    project.documents(15)
    api.takes_s = 20 * HOUR_S
    create = api.create

    async def quick_at_first(body: Any) -> Any:
        told = await create(body)
        api.batches[0].ends_at = api.clock() + 30 * MINUTE_S
        return told

    api.create = quick_at_first

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert sum(api.billed.values()) == 10
    assert len(api.streaming.sent) == 5
    assert_books_agree(project, api)


def test_without_a_fallback_the_deadline_passes(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f'{SLOW}\nfallback = "none"', run='deadline = "1h"')
    project.documents(5)
    api.takes_s = 2 * HOUR_S

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert (api.canceled, api.streaming.sent) == ([], [])


def test_a_batch_in_doubt_is_settled_before_anything_of_it_is_streamed(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f'{SLOW}\nreconcile_wait = "10m"', run='deadline = "1h"')
    project.documents(5)
    api.creating = [LOST]
    api.hidden = True
    api.takes_s = 3 * MINUTE_S
    once(project, api)
    api.clock.skip(58 * MINUTE_S)
    api.hidden = False

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.streaming.sent == []
    assert_books_agree(project, api)


def test_the_fallback_without_waiting(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=SLOW, run='deadline = "2h"')
    project.documents(5)
    api.takes_s = 20 * HOUR_S

    codes = again_and_again(project, api, every_s=10 * MINUTE_S)

    assert codes == [10] * (len(codes) - 1) + [0]
    assert len(api.streaming.sent) == 5
    assert api.clock() - api.batches[0].created_at < 2 * HOUR_S + 10 * MINUTE_S
    assert_books_agree(project, api)


def test_the_fallback_of_a_stream_that_found_batches_open(project: TrialProject, api: BatchApi) -> None:
    """`--route stream` with a deadline, while an earlier submit's batches are open."""
    project.documents(5)
    api.takes_s = 20 * HOUR_S
    once(project, api)

    summary = submit(project, api, route="stream", deadline_s=2 * HOUR_S)

    assert summary.exit_code == ExitCode.OK
    assert len(api.streaming.sent) == 5
    assert_books_agree(project, api)


def test_the_deadline_is_the_runs_and_not_each_submits(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=SLOW, run='deadline = "2h"')
    project.documents(5)
    api.takes_s = 20 * HOUR_S
    once(project, api)

    once(project, api, after_s=119 * MINUTE_S)

    assert api.canceled == ["msgbatch_1"]


# --- what goes wrong around it


class FullFile:
    """A spool on a full disk, as its buffer finds out sooner or later."""

    def __init__(self, call: str) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Callable[..., int]:
        def answered(*_: object) -> int:
            if name == self._call:
                raise OSError(errno.ENOSPC, "No space left on device")
            return 0

        return answered


@pytest.mark.parametrize("call", ["write", "flush"])
def test_a_full_disk_under_the_spool_sends_nothing_and_leaves_nothing_in_doubt(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    project.documents(3)
    with monkeypatch.context() as full:
        full.setattr("tempfile.TemporaryFile", lambda **_: FullFile(call))
        summary = submit(project, api)

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert "No space left" in str(summary.halted)
    assert api.batches == []
    assert open_attempts(project) == 0
    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)


def test_a_spool_that_breaks_while_it_is_sent_leaves_nothing_in_doubt(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(3)
    with monkeypatch.context() as broken:

        def unreadable(*_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        broken.setattr(Spool, "read", unreadable)
        summary = submit(project, api)

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert states(project) == ["abandoned"]
    assert submit(project, api).exit_code == ExitCode.OK
    assert api.sizes == [3]
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

    codes = again_and_again(project, api)

    assert codes[-1] == ExitCode.OK
    assert api.sizes == [3]
    assert_books_agree(project, api)


def test_members_are_in_the_ledger_before_the_call(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    seen: list[Any] = []

    def look() -> None:
        seen.extend(project.ask("select state, requests from batches"))
        seen.append(open_attempts(project))
        seen.extend(project.ask("select committed_nusd > 0 from runs"))

    api.creating = [look]
    once(project, api)

    assert seen == [("prepared", 3), 3, (1,)]


def test_a_ledger_of_the_version_before_batches_goes_on_with_them(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    project.ledger_path.parent.mkdir()
    with sqlite3.connect(project.ledger_path) as connection:
        connection.executescript(
            resources.files("batchrun.store.migrations").joinpath("01_ledger.sql").read_text("utf-8")
        )
        connection.execute("insert into meta values ('ledger_id', 'old'), ('sequence', 0)")
        connection.execute("pragma user_version = 1")
    connection.close()

    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)


def test_clients_are_closed(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    submit(project, api)

    assert api.closed == 1
