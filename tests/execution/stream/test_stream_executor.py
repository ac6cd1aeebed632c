"""The streaming executor: what becomes of every document when a scripted API answers, fails, or goes away."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from scripted_provider import (
    BAD_KEY,
    OVERLOADED,
    TURNED_AWAY,
    ScriptedProvider,
    Step,
    answer,
    lost,
    status,
)
from stream_run import MALFORMED, TIMEOUT, UNREACHABLE, attempts, signalled
from trial_project import TrialProject

from batchrun.errors import EnvironmentProblem, ExitCode, Stopped
from batchrun.events import DocumentSettled, Paused
from batchrun.execution.stream.rate_limiter import Charge, RateLimiter
from batchrun.reply import Cause
from batchrun.store.ledger.sqlite_errors import StoreFull
from batchrun.workflow.open_job import OpenJob

WIDE = "max_concurrency = 32"


# --- all goes well


@pytest.mark.slow
def test_every_document_is_sent_once_and_succeeds(project: TrialProject) -> None:
    texts = project.documents(150)  # more than two pages of the producer
    provider = ScriptedProvider()

    assert project.execute(provider) is None

    assert sorted(provider.sent) == sorted(texts)
    assert set(project.statuses().values()) == {"succeeded"}
    assert project.settled == [f"{number:04}.txt succeeded" for number in range(150)]
    assert provider.closed


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_the_first_request_goes_alone_and_then_as_many_as_allowed(project: TrialProject) -> None:
    project.documents(20)
    provider = ScriptedProvider(latency_s=10)

    project.execute(provider)

    first, second, *_ = provider.sent_at
    assert second - first == pytest.approx(10, abs=0.01)
    assert provider.most_in_flight == 4


def test_identical_documents_are_sent_once_and_all_answered(project: TrialProject) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        project.document(name, "the same text")
    provider = ScriptedProvider()

    project.execute(provider)

    assert provider.sent == ["the same text"]
    assert project.settled == ["a.txt succeeded", "b.txt succeeded", "c.txt succeeded"]
    costs = [event.cost_nusd for event in project.events if isinstance(event, DocumentSettled)]
    assert costs[0] > 0
    assert costs[1:] == [0, 0], "the progress adds the costs up"


# --- what can come back


OUTCOMES: dict[str, tuple[list[Step], str, int]] = {
    "an answer": ([answer()], "succeeded", 1),
    "400": ([status(400)], "rejected", 1),
    "413": ([status(413)], "rejected", 1),
    "422": ([status(422)], "rejected", 1),
    "408 every time": ([status(408)], "errored", 3),
    "409 every time": ([status(409)], "errored", 3),
    "500 every time": ([status(500)], "errored", 3),
    "502 with a page of HTML": ([status(502)], "errored", 3),
    "529 every time": ([OVERLOADED], "errored", 3),
    "overloaded inside a stream of status 200": ([status(200, error_type="overloaded_error")], "errored", 3),
    "a timeout every time": ([TIMEOUT], "errored", 3),
    "a broken connection every time": ([lost()], "errored", 3),
    "no connection twice": ([UNREACHABLE, UNREACHABLE, answer()], "succeeded", 3),
    "200 that is no message": ([MALFORMED], "errored", 3),
    "500 once": ([status(500), answer()], "succeeded", 2),
    "one failure of each kind, within the attempts": ([TIMEOUT, OVERLOADED, answer()], "succeeded", 3),
    "429 more often than attempts are allowed": ([*[TURNED_AWAY] * 5, answer()], "succeeded", 6),
    "429 does not use up attempts": ([status(500), *[TURNED_AWAY] * 4, status(500), answer()], "succeeded", 7),
    "a ramp limit": ([status(429, error_code="ramp_limit_exceeded"), answer()], "succeeded", 2),
    "a refusal": ([answer("", stop_reason="refusal")], "refused", 1),
    "max_tokens": ([answer('{"tit', stop_reason="max_tokens")], "truncated", 1),
    "a full context window": ([answer("", stop_reason="model_context_window_exceeded")], "truncated", 1),
    "pause_turn": ([answer(stop_reason="pause_turn")], "invalid", 1),
    "no stop reason": ([answer(stop_reason=None)], "invalid", 1),
    "no text": ([answer("")], "invalid", 1),
    "no JSON": ([answer("Here is the title")], "invalid", 1),
    "JSON of another form": ([answer({"name": "x"})], "invalid", 1),
}


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("case", OUTCOMES)
def test_what_becomes_of_a_document(project: TrialProject, case: str) -> None:
    steps, outcome, sent = OUTCOMES[case]
    project.document("a.txt", "a")
    project.document("b.txt", "b")
    provider = ScriptedProvider({"b": list(steps)})

    assert project.execute(provider) is None

    assert project.statuses() == {"a.txt": "succeeded", "b.txt": outcome}
    assert provider.sent.count("b") == sent
    assert len(attempts(project)) == sent + 1


@pytest.mark.slow
def test_a_failure_says_what_the_api_said(project: TrialProject) -> None:
    project.document("a.txt", "a")
    project.document("b.txt", "b")
    failure = status(500, "Internal server error", error_type="api_error")
    project.execute(ScriptedProvider({"b": [failure]}))

    assert project.ask("select reason from document_status where reason is not null") == [
        ("500 api_error: Internal server error (3 attempts)",)
    ]
    assert project.ask("select cause, status, error_type, message from attempts where state = 'failed' limit 1") == [
        ("http_500", 500, "api_error", "Internal server error")
    ]


# --- what stops the job


FATAL: dict[str, tuple[Step, ExitCode, str]] = {
    "the key is wrong": (BAD_KEY, ExitCode.ENVIRONMENT, "ANTHROPIC_API_KEY"),
    "the key may not": (status(403, error_type="permission_error"), ExitCode.ENVIRONMENT, "rights"),
    "no such model": (status(404, "model: x", error_type="not_found_error"), ExitCode.ENVIRONMENT, "[model]"),
    "no key at all": (lost(Cause.CREDENTIALS), ExitCode.ENVIRONMENT, "--simulate"),
    "spend limit by code": (
        status(429, error_code="enforced_spend_limit_reached"),
        ExitCode.STOPPED,
        "settle the bill",
    ),
    "contract's spend limit": (
        status(429, error_code="contract_spend_limit_reached"),
        ExitCode.STOPPED,
        "settle the bill",
    ),
    "payment required": (status(402), ExitCode.STOPPED, "settle the bill"),
    "spend limit by message": (
        status(400, "You have reached your specified API usage limits."),
        ExitCode.STOPPED,
        "settle the bill",
    ),
    "workspace's spend limit by message": (
        status(400, "You have reached your specified workspace API usage limits."),
        ExitCode.STOPPED,
        "settle the bill",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FATAL)
def test_what_no_document_can_get_past_costs_one_request(project: TrialProject, case: str) -> None:
    step, exit_code, hint = FATAL[case]
    project.job(run=WIDE)
    project.documents(100)
    provider = ScriptedProvider(default=step)

    halted = project.execute(provider)

    assert halted is not None
    assert halted.exit_code == exit_code
    assert hint in str(halted.hint)
    assert len(provider.sent) == 1
    assert set(project.statuses().values()) == {"pending"}


@pytest.mark.slow
def test_a_fatal_answer_in_the_middle_lets_the_others_finish(project: TrialProject) -> None:
    project.documents(40)
    provider = ScriptedProvider({"text 20": [BAD_KEY]}, latency_s=0.001)

    halted = project.execute(provider)

    assert isinstance(halted, EnvironmentProblem)
    assert len(provider.sent) < 40
    answered = [state for state, _ in attempts(project) if state == "answered"]
    assert len(answered) == len(provider.sent) - 1, "whatever was in flight is in the ledger"


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("failure", [OVERLOADED, TIMEOUT, lost(), UNREACHABLE, status(502)])
def test_an_api_that_answers_nobody_stops_the_job_and_fails_no_document(project: TrialProject, failure: Step) -> None:
    project.job(run=WIDE)
    project.documents(100)
    provider = ScriptedProvider(default=failure)

    halted = project.execute(provider)

    assert isinstance(halted, EnvironmentProblem)
    words, most = ("cannot be reached", 1) if failure is UNREACHABLE else ("does not answer", 100)
    assert words in str(halted)
    assert len(provider.sent) <= most
    assert set(project.statuses().values()) == {"pending"}


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_an_api_that_goes_away_later_fails_few_documents(project: TrialProject) -> None:
    project.documents(300)
    failing = {f"text {number}": [OVERLOADED] for number in range(20, 300)}

    halted = project.execute(ScriptedProvider({key: list(steps) for key, steps in failing.items()}))

    assert isinstance(halted, EnvironmentProblem)
    found = list(project.statuses().values())
    assert found.count("succeeded") == 20
    assert found.count("errored") <= 50
    assert found.count("pending") > 200


@pytest.mark.slow
def test_five_equal_rejections_at_the_start_stop_the_job_and_reject_no_document(project: TrialProject) -> None:
    project.documents(40)

    def step(number: int) -> Step:
        return status(400, f"messages.{number}: the schema is wrong")

    provider = ScriptedProvider({f"text {number}": [step(number)] for number in range(40)})

    halted = project.execute(provider)

    assert isinstance(halted, Stopped)
    assert "the first 5 documents" in str(halted)
    assert len(provider.sent) <= 5 + 4
    assert set(project.statuses().values()) == {"pending"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "script"),
    [
        ("something was answered before", {"text 0": [answer()]}),
        ("they are not the same", {f"text {n}": [status(400, f"reason {'abcdefgh'[n]}")] for n in range(8)}),
    ],
)
def test_rejections_do_not_stop_the_job_when(project: TrialProject, case: str, script: dict[str, list[Step]]) -> None:
    project.documents(8)

    assert project.execute(ScriptedProvider(script, default=status(400, "the same"))) is None

    assert "pending" not in project.statuses().values()


# --- waiting


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_a_429_holds_everyone_for_as_long_as_it_says(project: TrialProject) -> None:
    project.documents(40)
    turned_away = status(429, "later", retry_after_s=30.0)
    provider = ScriptedProvider({"text 10": [turned_away, answer()]}, latency_s=0.5)

    assert project.execute(provider) is None

    told = provider.sent_at[provider.sent.index("text 10")] + 0.5
    assert not [moment for moment in provider.sent_at if told + 0.01 < moment < told + 30]
    assert len(provider.sent) == 41
    assert [event for event in project.events if isinstance(event, Paused)]


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_a_retry_waits_longer_each_time_and_holds_nobody_else(project: TrialProject) -> None:
    project.job(retry='max_attempts = 4\ninitial_delay = "10s"\nmax_delay = "15s"')
    project.documents(30)
    provider = ScriptedProvider({"text 1": [OVERLOADED]}, latency_s=0.1)

    project.execute(provider)

    sent = [moment for moment, text in zip(provider.sent_at, provider.sent, strict=True) if text == "text 1"]
    waits = [later - earlier - 0.1 for earlier, later in pairwise(sent)]
    assert all(wait <= ceiling + 0.01 for wait, ceiling in zip(waits, [10, 15, 15], strict=True))
    others = [at for at, text in zip(provider.sent_at, provider.sent, strict=True) if text != "text 1"]
    assert max(others) < 5


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_a_429_pauses_everyone_before_it_is_recorded(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project.documents(2)
    at_the_pause = []
    pause = RateLimiter.pause

    def watched(self: RateLimiter, seconds: float) -> bool:
        at_the_pause.extend(project.ask("select state from attempts where state <> 'answered'"))
        return pause(self, seconds)

    monkeypatch.setattr(RateLimiter, "pause", watched)

    assert project.execute(ScriptedProvider({"text 1": [TURNED_AWAY, answer()]})) is None

    assert at_the_pause == [("open",)], "a commit may take long, and others are about to be sent"


# --- beside another run


@pytest.mark.usefixtures("virtual_time")
def test_the_request_of_a_job_that_died_meanwhile_is_taken_over(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    admitted, admit = [], RateLimiter.admit

    async def counted(self: RateLimiter, **tokens: float) -> Charge:
        admitted.append(tokens)
        assert len(admitted) < 40, "it would be waited for without an end"
        return await admit(self, **tokens)

    monkeypatch.setattr(RateLimiter, "admit", counted)

    def die(opened: OpenJob) -> None:
        with opened.ledger.transaction():
            ledger = opened.ledger.connection
            ledger.execute("create temp table other as select * from runs")
            ledger.execute("update other set run_no = 99, run_id = 'dead', job = 'other', committed_nusd = 0")
            ledger.execute("insert into runs select * from other")
            ledger.execute(
                "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at)"
                " values (1, 99, 'other', 'x', 'open', 7, 0)"
            )

    provider = ScriptedProvider()

    assert project.execute(provider, before_sending=die) is None

    assert sorted(provider.sent) == ["text 0", "text 1"]
    assert project.ask("select state, cause, cost_nusd from attempts where run_no = 99") == [
        ("unknown", "process died", None)
    ]
    assert project.ask("select state, committed_nusd from runs where run_no = 99") == [("interrupted", 7)]


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_a_request_that_another_run_is_sending_is_waited_for(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    admitted = []
    admit = RateLimiter.admit

    async def counted(self: RateLimiter, **charged: Any) -> Charge:
        admitted.append(asyncio.get_running_loop().time())
        if admitted[-1] > 30:
            project.ask("update attempts set state = 'failed' where job = 'another'", commit=True)
        return await admit(self, **charged)

    def take(opened: OpenJob) -> None:
        opened.ledger.connection.execute(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at)"
            " values (1, 1, 'another', 'x', 'open', 0, 0)"
        )

    monkeypatch.setattr(RateLimiter, "admit", counted)

    assert project.execute(provider := ScriptedProvider(), before_sending=take) is None

    assert sorted(provider.sent) == ["text 0", "text 1"]
    assert len(admitted) < 40


# --- the store


@pytest.mark.slow
def test_nothing_is_sent_that_cannot_be_recorded(project: TrialProject) -> None:
    project.documents(20)

    def fill_the_disk(opened: OpenJob) -> None:
        connection = opened.ledger.connection
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.execute("pragma max_page_count = 1")  # SQLite makes it the pages there are

    provider = ScriptedProvider(default=answer(raw="x" * 20_000))

    halted = project.execute(provider, before_sending=fill_the_disk)

    assert isinstance(halted, StoreFull)
    assert len(provider.sent) <= 1
    assert "pending" in project.statuses().values()


@pytest.mark.slow
def test_the_run_after_an_interrupted_one_sends_only_the_rest(project: TrialProject) -> None:
    texts = project.documents(30)
    first = ScriptedProvider({"text 7": [signalled(then_s=0.01)]})
    project.execute(first)
    second = ScriptedProvider()

    assert project.execute(second) is None

    assert sorted(first.sent + second.sent) == sorted(texts)
    assert set(project.statuses().values()) == {"succeeded"}
    assert len(project.ask("select 1 from runs")) == 1
