"""The story of a submit, end to end: project files in, rows and a summary out, and the next submit after it."""

import asyncio
import json
import os
import signal
import threading
from pathlib import Path

import duckdb
import pytest
from scripted_provider import BAD_KEY, ScriptedProvider, Step, answer, lost, status
from trial_project import TrialProject

from batchrun.duckdb_file import HeldByAnother
from batchrun.errors import Busy, EnvironmentProblem, ExitCode, Refused, UsageProblem
from batchrun.events import PublishDelayed, RunStarted
from batchrun.execution import output_sync as publishing_rows
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.providers.anthropic.provider import reply_from
from batchrun.reply import Cause, Reply
from batchrun.request import Request
from batchrun.store.ledger.job_lock import job_lock
from batchrun.store.ledger.sqlite_errors import StoreFull
from batchrun.store.output.publish import Output
from batchrun.strategy.plan import Kind, Plan
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.submit import submit

LARGE = "word " * 3_000
WITH_EXTRA = 'title = "string"\nextra = "string"'
EXTRA = answer({"title": "t", "extra": "e"})


async def interrupting(_: Request) -> Reply:
    """A step during which Ctrl-C is pressed."""
    os.kill(os.getpid(), signal.SIGINT)
    return answer()


def as_body(**changes: object) -> bytes:
    """A message of the API as it comes over the wire."""
    message = {
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": '{"title": "a title"}'}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }
    return json.dumps(message | changes).encode()


def again(*outcomes: Outcome, **more: int) -> Selection:
    return Selection(again=frozenset(outcomes), **more)


# --- never pay twice


def test_a_submit_makes_a_row_of_every_document(project: TrialProject) -> None:
    project.documents(5)

    summary = project.submit(ScriptedProvider())

    assert project.rows("select doc_id, title from trial order by 1") == [
        (f"docs/{number:04}.txt", "a title") for number in range(5)
    ]
    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 5}
    assert summary.unpublished is None
    assert summary.totals is not None
    assert (summary.totals.attempts, summary.totals.cost_nusd, summary.totals.held_nusd) == (5, 750_000, 0)
    assert project.ask("select state, exit_code, to_send from runs") == [("finished", 0, 5)]


@pytest.mark.usefixtures("no_output")
def test_the_second_submit_sends_nothing_and_begins_no_run(project: TrialProject) -> None:
    project.documents(5)
    project.submit(ScriptedProvider())
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert provider.sent == []
    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 5}
    assert summary.totals is None
    assert len(project.ask("select 1 from runs")) == 1


def test_one_changed_document_sends_one(project: TrialProject) -> None:
    project.documents(5)
    project.submit(ScriptedProvider())
    project.document("0003.txt", "changed")
    provider = ScriptedProvider(default=answer({"title": "new"}))

    project.submit(provider)

    assert provider.sent == ["changed"]
    assert project.plans[-1].counts[Kind.CHANGED] == 1
    assert project.plans[-1].same_text == 0
    assert project.rows("select doc_id from trial where title = 'new'") == [("docs/0003.txt",)]
    assert project.rows("select count(*) from trial") == [(5,)]


def test_a_document_that_changes_back_costs_nothing(project: TrialProject) -> None:
    project.document("a.txt", "first")
    project.submit(ScriptedProvider(default=answer({"title": "of the first"})))
    project.document("a.txt", "second")
    project.submit(ScriptedProvider(default=answer({"title": "of the second"})))
    project.document("a.txt", "first")
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []
    assert project.rows("select title from trial") == [("of the first",)]


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": 'user = "Read: {{ doc.text }}"'},
        {"prompt": 'system = "Be exact."\nuser = "{{ doc.text }}"'},
        {"model": 'name = "claude-haiku-4-5"\nmax_tokens = 200'},
        {"model": 'name = "claude-sonnet-4-5"\nmax_tokens = 100'},
        {"output_fields": 'title = "string?"'},
    ],
    ids=["prompt", "system", "max_tokens", "model", "fields"],
)
def test_a_changed_job_file_sends_all_and_the_plan_says_so(project: TrialProject, changed: dict[str, str]) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    project.job(**changed)
    provider = ScriptedProvider(default=answer({"title": "new"}))

    summary = project.submit(provider)

    assert len(provider.sent) == 3
    assert project.plans[-1].counts[Kind.CHANGED] == project.plans[-1].same_text == 3
    assert summary.exit_code == ExitCode.OK
    assert project.rows("select distinct title from trial") == [("new",)]
    assert len(project.ask("select 1 from runs")) == 2


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize(
    "changed",
    [
        {"run": "max_concurrency = 1"},
        {"budget": "max_cost_usd = 9"},
        {"retry": "max_attempts = 2"},
        {"limits": "requests_per_minute = 1_000"},
    ],
    ids=["run", "budget", "retry", "limits"],
)
def test_a_change_that_is_not_of_the_request_sends_nothing(project: TrialProject, changed: dict[str, str]) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    project.job(**changed)
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []


def test_two_jobs_with_the_same_requests_pay_once(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider(default=answer({"title": "shared"})))
    project.job("second")
    provider = ScriptedProvider()

    summary = project.submit(provider, job="second")

    assert provider.sent == []
    assert summary.exit_code == ExitCode.OK
    assert project.rows("select count(*), min(title) from second") == [(3, "shared")]


@pytest.mark.usefixtures("no_output")
def test_who_watches_a_job_is_not_told_of_another_jobs_documents(project: TrialProject) -> None:
    project.documents(2)
    project.job("second")
    project.submit(ScriptedProvider(default=BAD_KEY), job="second")  # its documents are pending
    project.events.clear()

    project.submit(ScriptedProvider())

    assert project.settled == ["0000.txt succeeded", "0001.txt succeeded"]


# --- after something went wrong


def test_a_failed_document_is_left_alone_until_retry(project: TrialProject) -> None:
    project.documents(3)
    first = project.submit(ScriptedProvider({"text 1": [answer("nonsense")]}))
    provider = ScriptedProvider()

    second = project.submit(provider)

    assert first.exit_code == second.exit_code == ExitCode.SOME_FAILED
    assert provider.sent == []
    assert project.plans[-1].counts[Kind.FAILED] == 1
    assert project.rows("select count(*) from trial") == [(2,)]
    assert project.rows("select status, count(*) from batchrun.documents group by 1 order by 1") == [
        ("invalid", 1),
        ("succeeded", 2),
    ]


def test_truncated_then_retried_with_more_tokens_then_submitted_sends_nothing(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider({"text 1": [answer("{", stop_reason="max_tokens")]}))
    retrying = ScriptedProvider()

    project.submit(retrying, again(Outcome.TRUNCATED))
    submitting = ScriptedProvider()
    summary = project.submit(submitting)

    assert (retrying.sent, retrying.max_tokens) == (["text 1"], [200])
    assert submitting.sent == []
    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert project.rows("select count(*) from trial") == [(2,)]


@pytest.mark.usefixtures("no_output")
def test_a_truncated_document_may_be_given_a_number_of_tokens(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider(default=answer("{", stop_reason="max_tokens")))
    provider = ScriptedProvider()

    project.submit(provider, again(Outcome.TRUNCATED, max_tokens=1_234))

    assert provider.max_tokens == [1_234]


@pytest.mark.usefixtures("no_output")
def test_each_retry_of_a_truncated_document_doubles_its_tokens_up_to_the_models(project: TrialProject) -> None:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 30_000')
    project.documents(1)
    provider = ScriptedProvider(default=answer("{", stop_reason="max_tokens"))
    project.submit(provider)

    for _ in range(3):
        project.submit(provider, again(Outcome.TRUNCATED))

    assert provider.max_tokens[:3] == [30_000, 60_000, 64_000]


@pytest.mark.usefixtures("no_output")
def test_a_run_cut_short_is_continued_on_its_own_account(project: TrialProject) -> None:
    project.documents(10)
    cut = project.submit(ScriptedProvider({"text 3": [interrupting]}))
    spent = project.ask("select committed_nusd from runs")[0][0]
    provider = ScriptedProvider()

    whole = project.submit(provider)

    assert cut.exit_code == ExitCode.INTERRUPTED
    assert cut.outcomes[None] >= 1
    assert whole.exit_code == ExitCode.OK
    assert whole.totals is not None
    assert cut.totals is not None
    assert whole.totals.run_id == cut.totals.run_id
    assert whole.plan.spent_nusd == spent > 0
    assert project.ask("select state, committed_nusd from runs") == [("finished", 10 * 150_000)]
    assert [event.resumed for event in project.events if isinstance(event, RunStarted)] == [False, True]


@pytest.mark.usefixtures("no_output")
def test_what_a_dead_process_left_open_is_held(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider({"text 0": [BAD_KEY]}))
    with project.opened() as opened, opened.ledger.transaction():
        opened.ledger.connection.execute(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at)"
            " values (1, 1, 'trial', 'docs/0000.txt', 'open', 5000000, 0)"
        )
        opened.ledger.connection.execute("update runs set state = 'running'")

    summary = project.submit(ScriptedProvider())

    assert summary.totals is not None
    assert (summary.totals.lost, summary.totals.held_nusd) == (1, 5_000_000)
    assert (summary.plan.committed_nusd, summary.plan.held_nusd, summary.plan.spent_nusd) == (5_000_000, 5_000_000, 0)
    assert summary.exit_code == ExitCode.OK


@pytest.mark.usefixtures("no_output")
def test_money_held_for_lost_answers_keeps_no_run_from_going_on(project: TrialProject) -> None:
    """A run that was killed a few times: nearly all of its budget is held, and next to nothing is spent."""
    project.documents(20)
    project.submit(ScriptedProvider({"text 0": [BAD_KEY]}))
    with project.opened() as opened, opened.ledger.transaction():
        cap_nusd, worst_nusd = 1_000_000_000, 1_300_000
        opened.ledger.connection.execute(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at)"
            " values (1, 1, 'trial', 'docs/0000.txt', 'unknown', ?, 0)",
            (cap_nusd - 5 * worst_nusd,),
        )

    summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 20}
    with project.opened() as opened:
        run = opened.ledger.last_run("trial")
    assert run is not None
    assert run.committed_nusd <= cap_nusd


@pytest.mark.usefixtures("no_output")
def test_a_job_file_changed_in_the_middle_begins_a_new_run(project: TrialProject) -> None:
    project.documents(4)
    project.submit(ScriptedProvider({"text 1": [interrupting]}))
    project.job(prompt='user = "Read: {{ doc.text }}"')
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert len(provider.sent) == 4
    assert summary.plan.spent_nusd == 0
    assert len(project.ask("select 1 from runs")) == 2
    assert summary.exit_code == ExitCode.OK


@pytest.mark.usefixtures("no_output")
def test_a_job_that_was_stopped_says_why_in_the_ledger(project: TrialProject) -> None:
    project.documents(2)

    summary = project.submit(ScriptedProvider(default=BAD_KEY))

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert summary.halted is not None
    assert project.ask("select state, exit_code, note from runs") == [("stopped", 5, str(summary.halted))]


@pytest.mark.parametrize("first", [answer("nonsense"), answer("", stop_reason="refusal"), status(400), status(500)])
def test_retry_sends_what_ended_badly_and_keeps_the_old_attempts(project: TrialProject, first: Step) -> None:
    project.documents(3)
    project.submit(ScriptedProvider({"text 1": [first]}))
    attempts = len(project.ask("select 1 from attempts"))
    provider = ScriptedProvider()

    summary = project.submit(
        provider, again(Outcome.INVALID, Outcome.REFUSED, Outcome.REJECTED, Outcome.ERRORED, Outcome.TRUNCATED)
    )

    assert provider.sent == ["text 1"]
    assert project.plans[-1].counts[Kind.RETRY] == 1
    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert len(project.ask("select 1 from attempts")) == attempts + 1
    assert project.rows("select count(*) from trial") == [(3,)]


@pytest.mark.usefixtures("no_output")
def test_retry_takes_only_the_asked_outcomes(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider({"text 1": [answer("nonsense")], "text 2": [status(400)]}))
    provider = ScriptedProvider()

    project.submit(provider, again(Outcome.REJECTED))

    assert provider.sent == ["text 2"]
    assert project.statuses()["0001.txt"] == "invalid"


@pytest.mark.usefixtures("no_output")
def test_a_retry_that_is_cut_short_is_continued_by_a_submit(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider(default=answer("nonsense")))
    project.submit(ScriptedProvider(default=BAD_KEY), again(Outcome.INVALID))
    provider = ScriptedProvider()

    project.submit(provider)

    assert sorted(provider.sent) == ["text 0", "text 1"]


@pytest.mark.usefixtures("no_output")
def test_a_retry_of_a_truncated_document_is_not_a_changed_job(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider(default=answer("{", stop_reason="max_tokens")))

    project.submit(ScriptedProvider(), again(Outcome.TRUNCATED))

    assert (project.plans[-1].same_text, project.plans[-1].counts[Kind.RETRY]) == (0, 1)


@pytest.mark.usefixtures("no_output")
def test_a_pending_document_that_left_the_source_does_not_keep_the_run_open(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider(default=BAD_KEY))
    (project.root / "docs/0001.txt").unlink()

    summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.OK
    assert project.statuses() == {"0000.txt": "succeeded", "0001.txt": "unreadable", "0002.txt": "succeeded"}
    assert project.ask("select state from runs") == [("finished",)]


@pytest.mark.usefixtures("no_output")
def test_a_pending_document_outside_the_selection_stays_pending(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider(default=BAD_KEY))

    project.submit(ScriptedProvider(), Selection(ids=frozenset({"docs/0000.txt"})))

    assert project.statuses() == {"0000.txt": "succeeded", "0001.txt": "pending", "0002.txt": "pending"}
    assert project.ask("select state from runs") == [("stopped",)]


@pytest.mark.usefixtures("no_output")
def test_a_retry_may_be_limited(project: TrialProject) -> None:
    project.documents(4)
    project.submit(ScriptedProvider(default=answer("nonsense")))
    provider = ScriptedProvider()

    project.submit(provider, Selection(again=frozenset({Outcome.INVALID}), limit=2))

    assert sorted(provider.sent) == ["text 0", "text 1"]
    assert sorted(project.statuses().values()) == ["invalid", "invalid", "succeeded", "succeeded"]


HOSTILE: dict[str, tuple[bytes, dict[str, str], str]] = {
    "half a character for a model": (as_body(model="\ud800"), {}, "succeeded"),
    "a request id that is no text": (
        as_body(),
        {"request-id": b"req_\xff".decode("utf-8", "surrogateescape")},
        "succeeded",
    ),
    "a stop reason that nobody knows": (as_body(stop_reason="\ud800"), {}, "invalid"),
    "a stop reason that is a list": (as_body(stop_reason=["end_turn"]), {}, "errored"),
    "no stop reason": (as_body(stop_reason=None), {}, "errored"),
    "neither content nor a stop reason": (as_body(content=[], stop_reason=None), {}, "errored"),
    "usage that no ledger can hold": (as_body(usage={"input_tokens": 2**70, "output_tokens": 1}), {}, "succeeded"),
    "a limit of thousands of digits": (as_body(), {"anthropic-ratelimit-requests-limit": "9" * 5_000}, "succeeded"),
    "a limit of twelve digits": (as_body(), {"anthropic-ratelimit-requests-limit": "9" * 12}, "succeeded"),
    "half a character in the row": (as_body(content=[{"type": "text", "text": '{"title": "\\ud800"}'}]), {}, "invalid"),
}
"""Bodies and headers of status 200, and what becomes of the document."""


@pytest.mark.parametrize("case", HOSTILE)
def test_one_odd_reply_spoils_nothing(project: TrialProject, case: str) -> None:
    body, headers, outcome = HOSTILE[case]
    project.documents(8)

    async def step(_: Request) -> Reply:
        return reply_from(body, headers)

    summary = project.submit(ScriptedProvider({"text 0": [step]}))  # the first, which also tells the limits

    assert summary.halted is None
    assert summary.unpublished is None
    assert project.statuses() == {f"{number:04}.txt": "succeeded" for number in range(1, 8)} | {"0000.txt": outcome}
    assert project.rows("select count(*) from trial") == [(7 + (outcome == "succeeded"),)]
    assert project.rows("select count(*) from batchrun.attempts where state = 'open'") == [(0,)]


@pytest.mark.usefixtures("no_output", "virtual_time")
def test_a_dead_network_fails_no_document(project: TrialProject) -> None:
    texts = project.documents(40)

    dead = project.submit(ScriptedProvider(default=lost(Cause.UNREACHABLE)))
    alive = project.submit(provider := ScriptedProvider())

    assert dead.exit_code == ExitCode.ENVIRONMENT
    assert dead.outcomes == {None: 40}
    assert dead.totals is not None
    assert (dead.totals.cost_nusd, dead.totals.held_nusd) == (0, 0)
    assert alive.exit_code == ExitCode.OK
    assert sorted(provider.sent) == sorted(texts)


@pytest.mark.usefixtures("no_output")
def test_a_bug_is_in_the_ledger_and_the_next_submit_goes_on(project: TrialProject) -> None:
    project.documents(3)

    async def odd(_: Request) -> Reply:
        raise ZeroDivisionError

    broken = project.submit(ScriptedProvider({"text 1": [odd]}))
    mended = project.submit(ScriptedProvider())

    assert broken.exit_code == ExitCode.BUG
    assert "ZeroDivisionError" in str(broken.halted)
    assert mended.exit_code == ExitCode.OK
    assert mended.outcomes == {Outcome.SUCCEEDED: 3}


@pytest.mark.usefixtures("no_output")
def test_an_unreadable_document_is_retried_when_it_can_be_read(project: TrialProject) -> None:
    project.documents(1)
    (project.root / "docs/x.txt").symlink_to(project.root / "nowhere")
    project.submit(ScriptedProvider())
    (project.root / "docs/x.txt").unlink()
    project.document("x.txt", "good now")
    provider = ScriptedProvider()

    project.submit(provider, again(Outcome.UNREADABLE))

    assert provider.sent == ["good now"]
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.usefixtures("no_output")
def test_a_retry_of_one_twin_answers_both(project: TrialProject) -> None:
    project.document("a.txt", "same")
    project.document("b.txt", "same")
    project.submit(ScriptedProvider(default=answer("nonsense")))
    provider = ScriptedProvider()

    project.submit(provider, Selection(again=frozenset({Outcome.INVALID}), ids=frozenset({"docs/b.txt"})))

    assert provider.sent == ["same"]
    assert project.statuses() == {"a.txt": "succeeded", "b.txt": "succeeded"}


@pytest.mark.usefixtures("no_output")
def test_a_job_file_that_changes_back_continues_what_was_pending(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider(default=BAD_KEY))
    project.job(prompt='user = "Read: {{ doc.text }}"')
    project.submit(ScriptedProvider())
    project.job()
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert len(provider.sent) == 3
    assert summary.outcomes == {Outcome.SUCCEEDED: 3}


@pytest.mark.usefixtures("no_output")
def test_a_full_disk_is_told_when_the_documents_are_admitted(project: TrialProject) -> None:
    project.documents(300)
    provider = ScriptedProvider()

    with project.opened() as opened:

        def fill(_: Plan) -> None:
            opened.ledger.connection.execute("pragma max_page_count = 1")

        with pytest.raises(StoreFull):
            submit(opened, Selection(), provider=provider, listener=project.events.append, show=fill)

    assert provider.sent == []


# --- selecting


@pytest.mark.usefixtures("no_output")
def test_a_chosen_document_is_sent_although_its_identical_twin_is_not_chosen(project: TrialProject) -> None:
    project.document("a.txt", "same")
    project.document("b.txt", "same")
    provider = ScriptedProvider()

    summary = project.submit(provider, Selection(where="id = 'docs/b.txt'"))

    assert provider.sent == ["same"]
    assert summary.outcomes == {Outcome.SUCCEEDED: 1}


@pytest.mark.usefixtures("no_output")
def test_a_limit_sends_the_first_ones_and_no_more_even_when_a_run_is_open(project: TrialProject) -> None:
    project.documents(10)
    project.submit(ScriptedProvider(default=BAD_KEY))  # all ten are pending in an open run
    provider = ScriptedProvider()

    summary = project.submit(provider, Selection(limit=3))

    assert sorted(provider.sent) == ["text 0", "text 1", "text 2"]
    assert summary.exit_code == ExitCode.OK
    assert list(project.statuses().values()).count("pending") == 7


@pytest.mark.usefixtures("no_output")
def test_limits_add_up_to_the_whole(project: TrialProject) -> None:
    texts = project.documents(7)
    provider = ScriptedProvider()

    for _ in range(4):
        project.submit(provider, Selection(limit=2))

    assert sorted(provider.sent) == texts


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize(
    ("selection", "sent"),
    [
        (Selection(ids=frozenset({"docs/0002.txt"})), ["text 2"]),
        (Selection(sources=("docs/000[01].txt",)), ["text 0", "text 1"]),
        (Selection(where="id like '%3.txt' or tokens > 100"), ["text 3"]),
        (Selection(where="kind = 'new'", limit=1), ["text 0"]),
        (Selection(where="kind = 'reusable'"), []),
    ],
    ids=["id", "source", "where", "where and limit", "where nothing"],
)
def test_only_the_chosen_are_sent(project: TrialProject, selection: Selection, sent: list[str]) -> None:
    project.documents(4)
    provider = ScriptedProvider()

    project.submit(provider, selection)

    assert sorted(provider.sent) == sent


# --- refusals: nothing is sent


@pytest.mark.usefixtures("no_output")
def test_an_estimate_above_the_budget_is_refused(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.002")
    project.documents(20)
    provider = ScriptedProvider()

    with pytest.raises(Refused, match=r"(?s)too much\n  would fit  --limit \d+") as refused:
        project.submit(provider)

    assert refused.value.exit_code == ExitCode.REFUSED
    assert provider.sent == []
    assert project.ask("select count(*) from runs") == [(0,)]


@pytest.mark.usefixtures("no_output")
def test_what_would_fit_really_fits(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.01")
    project.documents(50)
    fits = project.plan().affordable_count

    assert 0 < fits < 50
    with pytest.raises(Refused):
        project.submit(ScriptedProvider(), Selection(limit=fits + 1))
    assert len(project.plan(Selection(limit=fits)).problems) == 0
    project.submit(provider := ScriptedProvider(), Selection(limit=fits))
    assert provider.sent


@pytest.mark.usefixtures("no_output")
def test_a_lower_budget_of_the_command_counts(project: TrialProject) -> None:
    project.documents(20)

    with pytest.raises(Refused):
        project.submit(ScriptedProvider(), options=SubmitOptions(max_cost_nusd=1_000_000))


@pytest.mark.usefixtures("no_output")
def test_a_higher_budget_of_the_command_does_not(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.001")
    project.documents(20)

    with pytest.raises(Refused):
        project.submit(ScriptedProvider(), options=SubmitOptions(max_cost_nusd=10**9))


@pytest.mark.usefixtures("no_output")
def test_a_budget_below_one_worst_case_is_refused(project: TrialProject) -> None:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 8192', budget="max_cost_usd = 0.04")
    project.documents(3)
    provider = ScriptedProvider()
    plan = project.plan()

    with pytest.raises(Refused, match="one of the requests may cost up to") as refused:
        project.submit(provider)

    assert plan.estimate.upper_nusd < plan.cap_nusd < plan.worst_nusd
    assert plan.affordable_count == 0
    assert "max_tokens" in str(refused.value.hint)
    assert (provider.sent, project.ask("select count(*) from runs")) == ([], [(0,)])


@pytest.mark.usefixtures("no_output")
def test_what_is_held_is_told_in_a_refusal(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.006")
    project.documents(8)
    # One document is answered, answers of another are lost, and then the key is revoked.
    project.submit(ScriptedProvider({"text 0": [answer()], "text 1": [lost()], "text 2": [BAD_KEY]}))
    ((held,),) = project.ask("select sum(reserved_nusd) from attempts where state = 'unknown'")
    project.job(budget=f"max_cost_usd = {(held + 1_000_000) / 1e9}")

    with pytest.raises(Refused, match=r"spent and \$[\d.]+ held for answers that were lost") as refused:
        project.submit(ScriptedProvider())

    assert "by run " in str(refused.value)
    plan = project.plan()
    answered = list(project.statuses().values()).count("succeeded")
    assert (plan.held_nusd, plan.spent_nusd) == (held, 150_000 * answered)
    assert plan.committed_nusd == held + 150_000 * answered


@pytest.mark.usefixtures("no_output")
def test_more_documents_than_allowed_are_refused(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 1.0\nmax_documents = 3")
    project.documents(4)

    with pytest.raises(Refused, match=r"4 documents would be sent, and budget\.max_documents is 3") as refused:
        project.submit(ScriptedProvider())

    assert "--limit 3" in str(refused.value.hint)


def source(**more: str | int) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    return "\n".join(['type = "files"', 'include = ["docs/*.txt"]', *lines])


@pytest.mark.usefixtures("no_output")
def test_a_document_too_large_refuses_the_run(project: TrialProject) -> None:
    project.job(source=source(max_document_tokens=100))
    project.document("a.txt", "short")
    project.document("b.txt", LARGE)
    provider = ScriptedProvider()

    with pytest.raises(Refused, match=r"(?s)1 document is too large.*docs/b\.txt: about [\d,]+ tokens, above"):
        project.submit(provider)

    assert provider.sent == []


@pytest.mark.usefixtures("no_output")
def test_a_document_too_large_refuses_the_run_whatever_else_is_wrong(project: TrialProject) -> None:
    project.job(source=source(max_document_tokens=100, on_empty="skip"))
    for number in range(30):
        project.document(f"{number:02}.txt", "")
    project.document("large.txt", LARGE)

    with pytest.raises(Refused, match=r"docs/large\.txt"):
        project.submit(ScriptedProvider())


@pytest.mark.usefixtures("no_output")
def test_a_text_is_truncated_to_what_its_columns_leave(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute(
            "create table t as select 1 as id, repeat('word ', 3000) as text, repeat('note ', 100) as note"
        )
    project.job(
        source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"\n'
        'max_document_tokens = 500\non_oversize = "truncate"',
        prompt='user = "{{ doc.text }} {{ doc.note }}"',
    )
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert 200 < provider.sent[0].count("word") < 450
    assert provider.sent[0].count("note") == 100


@pytest.mark.usefixtures("no_output")
def test_what_is_too_large_even_when_truncated_is_a_failure_and_not_silence(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute("create table t as select 1 as id, 'text' as text, repeat('note ', 1000) as note")
    project.job(
        source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"\n'
        'max_document_tokens = 500\non_oversize = "truncate"',
        prompt='user = "{{ doc.text }} {{ doc.note }}"',
    )

    summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert project.statuses() == {"1": "unreadable"}


@pytest.mark.usefixtures("no_output")
def test_a_document_too_large_may_be_skipped(project: TrialProject) -> None:
    project.job(source=source(max_document_tokens=100, on_oversize="skip"))
    project.document("a.txt", "short")
    project.document("b.txt", LARGE)
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert provider.sent == ["short"]
    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 1, Outcome.SKIPPED: 1}
    assert project.statuses() == {"a.txt": "succeeded", "b.txt": "skipped"}


@pytest.mark.usefixtures("no_output")
def test_a_document_too_large_may_be_truncated(project: TrialProject) -> None:
    project.job(source=source(max_document_tokens=100, on_oversize="truncate"))
    project.document("b.txt", LARGE)
    provider = ScriptedProvider()

    project.submit(provider)
    project.submit(provider)

    (text,) = provider.sent
    assert LARGE.startswith(text)
    assert 70 <= text.count("word") <= 100


@pytest.mark.usefixtures("no_output")
def test_a_document_larger_than_the_context_window_is_refused(project: TrialProject) -> None:
    project.document("a.txt", "word " * 250_000)

    with pytest.raises(Refused, match="context window"):
        project.submit(ScriptedProvider())


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize(
    ("on_empty", "status", "exit_code"),
    [("skip", "skipped", ExitCode.OK), ("fail", "unreadable", ExitCode.SOME_FAILED)],
)
def test_an_empty_document(project: TrialProject, on_empty: str, status: str, exit_code: ExitCode) -> None:
    project.job(source=source(on_empty=on_empty))
    project.document("a.txt", "text")
    project.document("b.txt", " \n\t ")
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert provider.sent == ["text"]
    assert project.statuses() == {"a.txt": "succeeded", "b.txt": status}
    assert summary.exit_code == exit_code


def test_a_document_that_cannot_be_read_for_a_night_keeps_its_row(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    share = project.root / "docs/0000.txt"
    share.unlink()
    share.symlink_to(project.root / "unmounted")

    night = project.submit(ScriptedProvider())

    assert night.exit_code == ExitCode.SOME_FAILED
    assert project.statuses()["0000.txt"] == "unreadable"
    assert len(project.rows()) == 3, "it was paid for"
    share.unlink()
    project.document("0000.txt", "text 0")
    morning = ScriptedProvider()
    assert project.submit(morning).exit_code == ExitCode.OK
    assert morning.sent == []
    assert len(project.rows()) == 3


def test_a_document_set_aside_while_sending_keeps_its_row(project: TrialProject) -> None:
    project.document("a.txt", "one")
    project.submit(ScriptedProvider(default=answer({"title": "of one"})))
    project.document("a.txt", "two")
    project.execute(ScriptedProvider(), before_sending=lambda _: project.document("a.txt", "three"))

    project.submit(ScriptedProvider(default=BAD_KEY))

    assert project.rows("select title from trial") == [("of one",)]
    project.submit(ScriptedProvider(default=answer({"title": "of three"})))
    assert project.rows("select title from trial") == [("of three",)]


def test_a_document_that_becomes_empty_loses_its_row(project: TrialProject) -> None:
    project.document("a.txt", "text")
    project.document("b.txt", "more")
    project.submit(ScriptedProvider())
    project.document("b.txt", "")

    project.submit(ScriptedProvider())

    assert project.rows() == [("docs/a.txt",)]


@pytest.mark.usefixtures("no_output")
def test_a_second_job_file_of_the_same_name_is_refused(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider())
    project.job("trial", file="copy")

    with pytest.raises(UsageProblem, match=r"belongs to jobs/trial\.toml already"):
        project.submit(ScriptedProvider(), job="copy")


@pytest.mark.usefixtures("no_output")
def test_a_renamed_job_file_goes_on(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider())
    project.job("trial", file="renamed")
    (project.root / "jobs/trial.toml").unlink()
    provider = ScriptedProvider()

    project.submit(provider, job="renamed")

    assert provider.sent == []


@pytest.mark.usefixtures("no_output")
def test_a_job_that_is_being_run_is_busy(project: TrialProject) -> None:
    project.documents(1)

    with job_lock(project.ledger_path, "trial"), pytest.raises(Busy, match=f"process {os.getpid()} on") as busy:
        project.submit(ScriptedProvider())

    assert busy.value.exit_code == ExitCode.BUSY
    assert project.submit(ScriptedProvider()).exit_code == ExitCode.OK


def test_a_table_that_is_not_ours_is_refused_before_anything_is_paid(project: TrialProject) -> None:
    project.documents(1)
    project.database.parent.mkdir()
    with duckdb.connect(str(project.database)) as connection:
        connection.execute("create table trial (doc_id varchar, title varchar)")
    provider = ScriptedProvider()

    with pytest.raises(UsageProblem, match="was not made by batchrun"):
        project.submit(provider)

    assert provider.sent == []


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_paid(project: TrialProject) -> None:
    project.documents(1)
    (project.root / "results").write_text("a file where the folder should be")
    provider = ScriptedProvider()

    with pytest.raises(EnvironmentProblem, match="results"):
        project.submit(provider)

    assert provider.sent == []


def test_a_table_of_another_job_is_refused(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider())
    project.job("second", store='database = "results/out.duckdb"\ntable = "Trial"')
    provider = ScriptedProvider()

    with pytest.raises(UsageProblem, match="belongs to the job trial"):
        project.submit(provider, job="second")


@pytest.mark.usefixtures("no_output")
def test_a_prompt_that_speaks_of_no_column_is_refused(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute("create table t as select 1 as id, 'text' as text, 'x' as customer")
    project.job(
        source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"',
        prompt='user = "{{ doc.text }} {{ doc.costumer }}"',
    )

    with pytest.raises(UsageProblem, match=r"doc\.costumer") as problem:
        project.submit(ScriptedProvider())

    assert "customer" in str(problem.value.hint)


# --- sources

ODD_NAMES = ("ä b.txt", 'it\'s "q".txt', "new\nline.txt", "$x.txt", "[a].txt", "-- .txt")


def test_documents_may_have_any_name(project: TrialProject) -> None:
    for name in ODD_NAMES:
        project.document(name, name)
    provider = ScriptedProvider()

    summary = project.submit(provider)
    project.submit(provider)

    assert sorted(provider.sent) == sorted(ODD_NAMES)
    assert summary.outcomes == {Outcome.SUCCEEDED: len(ODD_NAMES)}
    assert project.rows("select count(*) from trial") == [(len(ODD_NAMES),)]


@pytest.mark.usefixtures("no_output")
def test_rows_of_a_query_are_documents(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute(
            "create table t as select i as id, 'text ' || i as text, 'n' || i as who from range(300) r(i)"
        )
    project.job(
        source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"',
        prompt='user = "{{ doc.who }}: {{ doc.text }}"',
    )
    provider = ScriptedProvider()

    summary = project.submit(provider)
    project.submit(provider)

    assert len(provider.sent) == 300
    assert "n7: text 7" in provider.sent
    assert summary.outcomes == {Outcome.SUCCEEDED: 300}


# --- rows and the ledger


def test_an_output_that_is_held_delays_rows_and_not_the_run(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)

    def held(self: Output, *, wait_s: float) -> int:
        raise HeldByAnother(Path("out.duckdb"), "a notebook (PID 1)")

    with monkeypatch.context() as patched:
        patched.setattr(Output, "publish", held)
        summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.BUSY
    assert "a notebook" in str(summary.unpublished)
    assert set(project.statuses().values()) == {"succeeded"}
    provider = ScriptedProvider()
    assert project.submit(provider).unpublished is None
    assert provider.sent == []
    assert project.rows("select count(*) from trial") == [(2,)]


@pytest.mark.usefixtures("virtual_time")
def test_rows_that_are_delayed_during_the_run_are_told_once(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(3)

    def full(self: Output, *, wait_s: float) -> int:
        if wait_s == 0:
            raise EnvironmentProblem("the disk of the output is full")
        return 0

    monkeypatch.setattr(Output, "publish", full)

    summary = project.submit(ScriptedProvider(latency_s=20))

    assert [event.why for event in project.events if isinstance(event, PublishDelayed)] == [
        "the disk of the output is full"
    ]
    assert summary.exit_code == ExitCode.OK


def test_a_deleted_output_is_rebuilt_for_nothing(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider({"text 1": [status(400)]}))
    everything = "select * from trial order by doc_id", "select * from batchrun.attempts order by attempt_no"
    before = [project.rows(query) for query in everything]
    project.database.unlink()
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []
    assert [project.rows(query) for query in everything] == before


def test_an_output_deleted_under_other_fields_is_rebuilt(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    project.job(output_fields=WITH_EXTRA)
    project.database.unlink()

    summary = project.submit(ScriptedProvider(default=EXTRA), Selection(limit=1))

    assert summary.unpublished is None
    assert project.rows("select title, extra from trial order by doc_id") == [("t", "e"), *[("a title", None)] * 2]


def test_rows_of_before_a_field_was_added_keep_nothing_back(project: TrialProject) -> None:
    project.documents(6)
    project.submit(ScriptedProvider())
    project.job(output_fields=WITH_EXTRA)

    summary = project.submit(ScriptedProvider({"text 3": [status(402, "no money")]}, default=EXTRA))

    assert summary.exit_code == ExitCode.STOPPED
    assert summary.unpublished is None
    sent = [number for number, status in enumerate(project.statuses().values()) if status == "succeeded"]
    assert sent
    assert project.rows("select doc_id, extra from trial order by 1") == [
        (f"docs/{number:04}.txt", "e" if number in sent else None) for number in range(6)
    ]


def test_a_new_table_has_no_row_of_an_answer_that_does_not_fit_it(project: TrialProject) -> None:
    project.documents(6)
    project.submit(ScriptedProvider())
    project.job(output_fields='title = "integer"')
    with pytest.raises(UsageProblem, match="BIGINT in the job file, but VARCHAR") as problem:
        project.submit(ScriptedProvider(default=answer({"title": 5})))
    assert 'table = "trial_2"' in str(problem.value.hint)
    project.job(output_fields='title = "integer"', store='database = "results/out.duckdb"\ntable = "trial_2"')

    summary = project.submit(ScriptedProvider(default=answer({"title": 5})), Selection(limit=2))

    assert summary.unpublished is None
    assert project.rows("select doc_id, title from trial_2 order by 1") == [("docs/0000.txt", 5), ("docs/0001.txt", 5)]
    assert project.rows("select count(*) from trial") == [(6,)], "the old table is left alone"


def test_a_ledger_restored_from_a_backup_brings_its_rows_again(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider())
    backup = project.ledger_path.read_bytes()  # closed, it is one file
    project.documents(20)
    project.submit(ScriptedProvider())
    for path in project.ledger_path.parent.glob("ledger.sqlite3*"):
        path.unlink()
    project.ledger_path.write_bytes(backup)
    project.document("0001.txt", "changed")
    project.document("new.txt", "new")
    chosen = Selection(ids=frozenset({"docs/0001.txt", "docs/new.txt"}))

    summary = project.submit(ScriptedProvider(default=answer({"title": "after the restore"})), chosen)

    assert summary.unpublished is None
    assert project.rows("select doc_id from trial where title = 'after the restore' order by 1") == [
        ("docs/0001.txt",),
        ("docs/new.txt",),
    ]
    assert project.rows("select count(*) from trial") == [(21,)], "rows it does not know stay"


def test_the_publisher_is_done_before_its_ledger_is_closed(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    publishing, closing, in_order = threading.Event(), threading.Event(), []
    publish, close = Output.publish, Output.close
    monkeypatch.setattr(publishing_rows, "PUBLISH_EVERY_S", 0.001)

    def slow(self: Output, *, wait_s: float) -> int:
        if wait_s == 0 and not publishing.is_set():
            publishing.set()
            closing.wait(0.1)  # long enough for whoever would not wait
            in_order.append("published")
        return publish(self, wait_s=wait_s)

    def closed(self: Output) -> None:
        closing.set()
        in_order.append("closed")
        close(self)

    monkeypatch.setattr(Output, "publish", slow)
    monkeypatch.setattr(Output, "close", closed)

    async def while_publishing(_: Request) -> Reply:
        await asyncio.to_thread(publishing.wait, 10)
        return answer()

    summary = project.submit(ScriptedProvider({"text 1": [while_publishing]}))

    assert summary.unpublished is None
    assert in_order == ["published", "closed"]
    assert len(project.rows()) == 2


def test_money_in_the_output_is_the_ledgers(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider({"text 1": [lost(), answer()]}))

    (held,) = project.ask("select reserved_nusd from attempts where state = 'unknown'")[0]
    assert project.rows("select state, exit_code, documents, to_send, round(cost_usd * 1e9) from batchrun.runs") == [
        ("finished", 0, 2, 2, 300_000 + held)
    ]
    assert project.rows("select sum(input_tokens), sum(output_tokens), count(*) from batchrun.attempts") == [
        (200, 20, 3)
    ]


def test_simulated_runs_have_a_store_of_their_own(project: TrialProject) -> None:
    from batchrun.workflow.open_job import open_job

    project.documents(2)
    project.submit(ScriptedProvider())
    provider = ScriptedProvider()
    with open_job(project.root / "jobs/trial.toml", simulated=True, to_run=True) as opened:
        summary = submit(opened, Selection(), provider=provider, listener=project.events.append, show=lambda _: None)

    assert len(provider.sent) == 2
    assert summary.simulated
    assert summary.totals is not None
    assert summary.totals.run_id.startswith("sim-")
    assert summary.database.name == "out.simulated.duckdb"
    assert (project.root / ".batchrun/ledger.simulated.sqlite3").exists()
