"""Results are collected once each, however broken, late, strange or archived they are."""

import json
from collections import Counter
from typing import Any

import pytest
from batch_submits import (
    HOUR_S,
    again_and_again,
    assert_books_agree,
    assert_books_agree_in_the_end,
    batched,
    committed,
    once,
    states,
    submit,
    until,
)
from scripted_batches_memory import BatchApi, result
from scripted_provider import answer, status
from trial_project import TrialProject

from batchrun.errors import ExitCode, Refused
from batchrun.events import BatchCollected
from batchrun.outcome import Outcome
from batchrun.workflow.open_job import SubmitOptions

pytestmark = pytest.mark.slow


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
        nonce = results[0].nonce
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


def test_answers_of_a_model_without_a_price_are_collected_at_their_worst(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    reserved = committed(project)
    project.ask("update batches set model = 'claude-of-old'", commit=True)

    summary = once(project, api, after_s=70)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 3}
    assert committed(project) == reserved


def test_what_has_ended_is_collected_whatever_is_refused(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    project.documents(2_000)
    batched(project, budget="max_cost_usd = 0.01\nmax_documents = 5")
    api.clock.skip(70)

    with pytest.raises(Refused):
        project.submit(api, options=SubmitOptions())

    assert states(project) == ["collected"]
    assert_books_agree_in_the_end(project, api)


def test_no_document_is_lost_to_downloads_that_end_early_without_an_error(project: TrialProject, api: BatchApi) -> None:
    project.documents(10)
    ends = iter(range(5, 100, 2))
    api.arranged = lambda results: results[: next(ends)]

    assert until(project, api) == [0]
    assert_books_agree_in_the_end(project, api)


def test_a_batch_that_was_deleted_does_not_keep_the_others_from_being_collected(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(25)
    once(project, api)
    api.batches.pop(0)

    assert once(project, api, after_s=70).exit_code == ExitCode.UNFINISHED, "one answer that denies it proves nothing"
    summary = once(project, api, after_s=70)

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert "msgbatch_1" in str(summary.halted)
    assert states(project) == ["submitted", "collected", "collected"]
    assert api.calls["create"] == 3, "nothing is created meanwhile"


@pytest.mark.parametrize("code", [404, 410])
def test_results_that_are_refused_are_asked_for_again(project: TrialProject, api: BatchApi, code: int) -> None:
    project.documents(25)
    once(project, api)
    api.refused["results"] = status(code, "results not available")

    for _ in range(3):
        summary = once(project, api, after_s=70)
        assert (summary.exit_code, summary.halted) == (ExitCode.UNFINISHED, None)
    assert states(project) == ["ended"] * 3

    del api.refused["results"]
    assert until(project, api) == [0]
    assert_books_agree_in_the_end(project, api)
