"""Caps in whole runs: of days, months and tokens across jobs, of documents, soft ones, and what operators set."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from command_line import process, serving, talking_to
from scripted_provider import OVERLOADED, ScriptedProvider, Step, answer, lost
from trial_project import TrialProject

from batchrun.budget.caps import Per
from batchrun.errors import ExitCode, Refused, UsageProblem
from batchrun.execution.failure_messages import BudgetReached
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply, Usage
from batchrun.request import Request
from batchrun.strategy.plan import Kind
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.usefixtures("no_output")
DAY_S = 86_400
EACH = 150_000
"""What an answer of the scripted API costs."""
OPUS = 'name = "claude-opus-5"\nmax_tokens = 100\nthinking = "disabled"'


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes the wall clock of all that follows so many seconds later; it begins on a day that is not over soon."""
    real, morning = time.time, (time.time() // DAY_S) * DAY_S + 3600
    offset = morning - real()

    def later(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    monkeypatch.setattr("time.time", lambda: real() + offset)
    return later


def ceilings(project: TrialProject, *lines: str, more: str = "") -> None:
    """Write batchrun.toml."""
    (project.root / "batchrun.toml").write_text("[budget]\n" + "\n".join(lines) + f"\n{more}\n")


def jobs(project: TrialProject, *names: str, budget: str = "max_cost_usd = 1.0\npartial = true", **more: str) -> None:
    """Jobs over the same documents, each with a prompt of its own."""
    for name in names:
        project.job(name, budget=budget, prompt=f'user = "{name}: {{{{ doc.text }}}}"', **more)


def committed(project: TrialProject) -> int:
    return int(project.ask("select sum(coalesce(cost_nusd, reserved_nusd)) from attempts")[0][0])


def stopped(summary: Summary) -> BudgetReached:
    """Why a run stopped that reached a cap."""
    assert summary.exit_code == ExitCode.STOPPED
    assert isinstance(summary.halted, BudgetReached)
    return summary.halted


def priced(input_tokens: int, output_tokens: int = 10) -> Reply:
    return answer(usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens))


# --- days, months, tokens, across jobs


@pytest.mark.slow
def test_the_cap_of_a_day_holds_across_three_jobs(project: TrialProject, today: Callable[[float], None]) -> None:
    ceilings(project, "max_cost_per_day_usd = 0.02")
    jobs(project, "first", "second", "third")
    project.documents(60)

    summaries = [project.submit(ScriptedProvider(), job=name) for name in ("first", "second", "third")]

    assert [one.exit_code for one in summaries] == [ExitCode.OK, ExitCode.OK, ExitCode.STOPPED]
    assert 18_000_000 < committed(project) <= 20_000_000
    halted = stopped(summaries[2])
    assert "the day's budget is reached: $0.01" in str(halted)
    assert "of $0.0200 (budget.max_cost_per_day_usd of batchrun.toml)" in str(halted)
    assert str(halted.hint).startswith("submit again after 00:00 UTC, or raise budget.max_cost_per_day_usd in batchrun")

    today(DAY_S)
    rest = project.submit(ScriptedProvider(), job="third")

    assert rest.exit_code == ExitCode.OK
    assert committed(project) == 3 * 60 * EACH, "nothing was paid twice"


@pytest.mark.slow
def test_a_job_that_the_day_has_no_room_for_is_refused_and_told_why(
    project: TrialProject, today: Callable[[float], None]
) -> None:
    ceilings(project, "max_cost_per_day_usd = 0.02")
    jobs(project, "first", "second", budget="max_cost_usd = 1.0")
    project.documents(40)
    project.submit(ScriptedProvider(), job="first")
    room = project.plan(job="second").cap_usages[1]
    assert (room.cap.per, room.used, room.remaining) == (Per.DAY, 40 * EACH, 20_000_000 - 40 * EACH)
    project.documents(50)

    with pytest.raises(Refused) as refused:
        project.submit(provider := ScriptedProvider(), job="second")

    said = str(refused.value)
    assert "the estimate is above the day's budget" in said
    assert (
        "budget     $0.0200 (budget.max_cost_per_day_usd of batchrun.toml), of which $0.0060 is spent or reserved"
        in said
    )
    assert "would fit  --limit" in said
    assert "submit it after 00:00 UTC, or raise budget.max_cost_per_day_usd in batchrun.toml to" in str(
        refused.value.hint
    )
    assert "--partial" in str(refused.value.hint)
    assert provider.sent == []
    today(DAY_S)
    assert project.plan(job="second").cap_usages[1].used == 0


@pytest.mark.slow
def test_the_cap_of_a_month_outlasts_the_day(project: TrialProject, today: Callable[[float], None]) -> None:
    ceilings(project, "max_cost_per_month_usd = 0.012")
    jobs(project, "first", "second")
    project.documents(60)
    start = time.gmtime(time.time() + DAY_S).tm_mday == 1  # the last day of a month: begin on the first of the next
    today(DAY_S if start else 0)
    project.submit(ScriptedProvider(), job="first")
    today(DAY_S)

    halted = stopped(project.submit(ScriptedProvider(), job="second"))

    assert "the month's budget is reached" in str(halted)
    assert "after the end of the month" in str(halted.hint)
    assert committed(project) <= 12_000_000
    today(31 * DAY_S)
    assert project.submit(ScriptedProvider(), job="second").exit_code == ExitCode.OK


@pytest.mark.slow
def test_tokens_of_a_day_hold_like_money(project: TrialProject, today: Callable[[float], None]) -> None:
    ceilings(project, "max_tokens_per_day = 10_000")
    jobs(project, "first", "second")
    project.documents(60)
    project.submit(ScriptedProvider(), job="first")  # 110 tokens each

    halted = stopped(project.submit(ScriptedProvider(), job="second"))

    (used,) = project.ask("select sum(tokens) from spending")[0]
    assert 9_000 < used <= 10_000
    assert f"the day's budget of tokens is reached: {used:,} tokens of 10,000 tokens" in str(halted)
    assert "the next request may use up to" in str(halted)


@pytest.mark.slow
def test_a_models_cap_is_held_for_that_model_alone(project: TrialProject, today: Callable[[float], None]) -> None:
    ceilings(project, more='[budget.models."claude-opus-5"]\nmax_cost_per_day_usd = 0.02')
    jobs(project, "cheap")
    jobs(project, "dear", model=OPUS)
    project.documents(40)
    dear = priced(100, 50)  # $0.00175 at Opus

    halted = stopped(project.submit(ScriptedProvider(default=dear), job="dear"))
    assert project.submit(ScriptedProvider(), job="cheap").exit_code == ExitCode.OK

    assert "the day's budget for claude-opus-5 is reached" in str(halted)
    assert 'budget.models."claude-opus-5".max_cost_per_day_usd of batchrun.toml' in str(halted)
    (spent,) = project.ask("select committed_nusd from spending where model = 'claude-opus-5'")[0]
    assert 10_000_000 < spent <= 20_000_000


@pytest.mark.slow
def test_jobs_that_run_at_once_share_the_cap_of_the_day(project: TrialProject) -> None:
    jobs(project, "first", "second", "third")
    project.documents(80)
    with serving() as api:
        (sample,) = [project.plan(job="first").estimate.cost_nusd]
        cap_nusd = int(sample.mean * 0.6)  # less than one of them takes, however late the others begin
        ceilings(project, f"max_cost_per_day_usd = {cap_nusd / 1e9:.9f}")
        running = [
            process(f"submit jobs/{name}.toml", cwd=project.root, environment=talking_to(api))
            for name in ("first", "second", "third")
        ]
        said = [one.communicate(timeout=120) for one in running]
        entries = api.books.entries

    assert [one.returncode for one in running] == [ExitCode.STOPPED] * 3, said
    bill = sum(1_000 * entry.input_tokens + 5_000 * entry.output_tokens for entry in entries if entry.billed)
    days = project.ask("select committed_nusd from spending")
    assert bill == sum(nusd for (nusd,) in days), "nothing was lost"
    assert all(nusd <= cap_nusd for (nusd,) in days)
    if len(days) == 1:  # midnight was not in between
        assert bill >= 0.9 * cap_nusd


# --- of the run, begun although it is not enough


def by_length(per_character: float) -> Callable[[Request], Any]:
    """Answers whose usage follows from the prompt's length."""

    async def step(request: Request) -> Reply:
        prompt = json.loads(request.body)["messages"][0]["content"]
        return priced(100 + int(per_character * len(prompt)), 60)

    return step


@pytest.mark.slow
def test_a_hard_cap_is_used_to_nine_tenths_and_not_passed(project: TrialProject) -> None:
    for number in range(150):  # one in ten is large
        project.document(f"{number:04}.txt", f"{number} " + "word " * (900 if number % 10 == 3 else 20))
    project.job(budget="max_cost_usd = 0.05\npartial = true")
    provider = ScriptedProvider(default=by_length(0.25))

    summary = project.submit(provider)

    assert "the budget is reached" in str(stopped(summary))
    assert 45_000_000 <= committed(project) <= 50_000_000
    assert len(provider.sent) == len(set(provider.sent))


@pytest.mark.slow
def test_a_document_that_does_not_fit_keeps_no_smaller_one_from_being_sent(project: TrialProject) -> None:
    project.document("0000.txt", "word " * 4_000)
    for number in range(1, 9):
        project.document(f"{number:04}.txt", f"text {number}")
    project.job(budget="max_cost_usd = 0.006\npartial = true")  # the large one may cost about $0.01

    summary = project.submit(provider := ScriptedProvider())

    assert "the next request may cost up to" in str(stopped(summary))
    assert len(provider.sent) == 8
    assert summary.outcomes == {Outcome.SUCCEEDED: 8, None: 1}
    assert summary.remaining is not None
    assert summary.remaining.documents == 1
    assert 0 < summary.remaining.cost_nusd.low < summary.remaining.cost_nusd.mean < summary.remaining.upper_nusd


@pytest.mark.slow
def test_after_fifty_that_do_not_fit_the_run_stops(project: TrialProject) -> None:
    for number in range(120):
        project.document(f"{number:04}.txt", f"{number} " + "word " * 4_000)
    project.document("9999.txt", "small")
    project.job(budget="max_cost_usd = 0.006\npartial = true")

    summary = project.submit(provider := ScriptedProvider())

    stopped(summary)
    assert provider.sent == []


def test_a_partial_run_that_was_enough_ends_like_any_other(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 1.0\npartial = true")
    project.documents(5)

    assert project.submit(ScriptedProvider()).exit_code == ExitCode.OK


@pytest.mark.slow
def test_what_is_not_enough_is_refused_unless_the_command_says_partial(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.004")
    project.documents(40)

    with pytest.raises(Refused, match="the estimate is above the budget") as refused:
        project.submit(ScriptedProvider())
    summary = project.submit(ScriptedProvider(), options=SubmitOptions(partial=True))

    assert "or begin it anyway and stop at the cap: --partial" in str(refused.value.hint)
    stopped(summary)
    assert 0 < committed(project) <= 4_000_000
    before = committed(project)
    stopped(project.submit(ScriptedProvider()))
    assert committed(project) == before, "the same command goes on, and finds that there is no more room"


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_where_the_cap_will_bind_a_kill_can_waste_little(project: TrialProject) -> None:
    project.documents(200)
    wide = "max_concurrency = 64"
    project.job("enough", run=wide, budget="max_cost_usd = 0.2\npartial = true")
    project.job("scarce", run=wide, budget="max_cost_usd = 0.02\npartial = true", prompt='user = "{{ doc.text }}?"')
    enough, scarce = ScriptedProvider(latency_s=1.0), ScriptedProvider(latency_s=1.0)

    assert project.submit(enough, job="enough").exit_code == ExitCode.OK
    stopped(project.submit(scarce, job="scarce"))

    assert enough.most_in_flight > 16
    assert scarce.most_in_flight == 1, "a second one at its worst would be more than 2% of the cap"
    assert len(scarce.sent) * EACH >= 0.9 * 20_000_000


# --- soft


@pytest.mark.slow
def test_a_soft_cap_is_sent_up_to_and_a_hard_one_is_not_passed(project: TrialProject) -> None:
    project.documents(60)
    # What is expected of an answer is less than this one costs, and its worst case is more.
    dear = priced(500, 100)
    spent = {}
    for cutoff in ("hard", "soft"):
        budget = f'max_cost_usd = 0.008\npartial = true\ncutoff = "{cutoff}"'
        project.job(cutoff, budget=budget, prompt=f'user = "{cutoff} {{{{ doc.text }}}}"')
        provider = ScriptedProvider(default=dear)
        stopped(project.submit(provider, job=cutoff))
        spent[cutoff] = len(provider.sent) * 1_000_000

    assert spent["hard"] <= 8_000_000 - 1_000_000, "another one at its worst would have passed it"
    assert 8_000_000 <= spent["soft"] <= 9_000_000


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_a_soft_cap_lets_more_be_under_way(project: TrialProject) -> None:
    project.documents(20)
    flying = {}
    for cutoff in ("hard", "soft"):
        budget = f'max_cost_usd = 0.01\ncutoff = "{cutoff}"'
        run = "max_concurrency = 40"
        project.job(cutoff, budget=budget, run=run, prompt=f'user = "{cutoff} {{{{ doc.text }}}}"')
        provider = ScriptedProvider(latency_s=1.0)
        assert project.submit(provider, job=cutoff).exit_code == ExitCode.OK
        flying[cutoff] = provider.most_in_flight

    assert flying["soft"] > 1.5 * flying["hard"]


# --- of a document

OF_DOCUMENT = "max_cost_usd = 1.0\nmax_cost_per_document_usd = 0.004"


def test_a_document_that_may_cost_too_much_is_too_large(project: TrialProject) -> None:
    project.job(budget=OF_DOCUMENT)
    project.documents(3)
    project.document("large.txt", "word " * 4_000)

    plan = project.plan()
    with pytest.raises(Refused) as refused:
        project.submit(provider := ScriptedProvider())

    assert plan.counts[Kind.TOO_LARGE] == 1
    (problem,) = plan.problems
    assert problem.doc_id == "docs/large.txt"
    assert problem.reason.startswith("may cost up to $0.00")
    assert problem.reason.endswith("above budget.max_cost_per_document_usd of the job file of $0.0040")
    assert problem.reason in str(refused.value)
    assert provider.sent == []


@pytest.mark.parametrize("on_oversize", ["skip", "truncate"])
def test_a_document_that_may_cost_too_much_may_be_skipped(project: TrialProject, on_oversize: str) -> None:
    source = f'type = "files"\ninclude = ["docs/*.txt"]\non_oversize = "{on_oversize}"'
    project.job(budget=OF_DOCUMENT, source=source)
    project.documents(3)
    project.document("large.txt", "word " * 4_000)

    summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.OK
    assert project.statuses()["large.txt"] == "skipped"


@pytest.mark.slow
def test_a_document_is_tried_again_only_within_its_cap(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 1.0\nmax_cost_per_document_usd = 0.002")  # one at its worst, not two
    project.documents(3)
    script: dict[str, list[Step]] = {"text 0": [lost(), answer()], "text 1": [OVERLOADED, answer()]}

    summary = project.submit(provider := ScriptedProvider(script))

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert project.statuses() == {"0000.txt": "errored", "0001.txt": "succeeded", "0002.txt": "succeeded"}
    assert provider.sent.count("text 0") == 1
    ((reason,),) = project.ask("select reason from document_status where status = 'errored'")
    assert reason.startswith("another attempt may cost up to $0.00")
    assert "of $0.0020 (budget.max_cost_per_document_usd of the job file) is spent or reserved for it" in reason
    assert "0000.txt errored" in project.settled
    assert project.submit(again := ScriptedProvider()).outcomes[Outcome.ERRORED] == 1
    assert again.sent == [], "it is left alone until retry"


@pytest.mark.slow
def test_what_was_cut_short_before_counts_for_the_document_too(project: TrialProject) -> None:
    """A retry with more room is another request, and here the same run: it was stopped before its end."""
    model, run = 'name = "claude-haiku-4-5"\nmax_tokens = 400', "max_concurrency = 1\nfail_fast = true"
    project.job(model=model, run=run, budget="max_cost_usd = 1.0\nmax_cost_per_document_usd = 0.0055")
    project.documents(3)
    cut = answer('{"tit', stop_reason="max_tokens", usage=Usage(input_tokens=100, output_tokens=400))
    project.submit(ScriptedProvider({"text 0": [cut]}))
    provider = ScriptedProvider()

    summary = project.submit(provider, Selection(again=frozenset({Outcome.TRUNCATED})))

    assert provider.sent == []
    assert summary.outcomes == {Outcome.ERRORED: 1}
    assert project.ask("select count(*), sum(committed_nusd) from runs") == [(1, 2_100_000)]


@pytest.mark.slow
def test_a_fallback_counts_for_the_document_too(project: TrialProject) -> None:
    project.job(
        budget="max_cost_usd = 1.0\nmax_cost_per_document_usd = 0.004",
        model='name = "claude-haiku-4-5"\nmax_tokens = 100\nfallbacks = ["claude-sonnet-4-6"]',
    )
    project.documents(1)
    refused = answer("", stop_reason="refusal", usage=Usage(input_tokens=100, output_tokens=10))
    project.submit(provider := ScriptedProvider({"text 0": [refused, answer()]}))
    (worst,) = project.ask(
        "select reserved_nusd from attempts join requests using (request_no) where requests.model like '%sonnet%'"
    )[0]
    assert len(provider.sent) == 2

    project.job(
        "tight",
        budget=f"max_cost_usd = 1.0\nmax_cost_per_document_usd = {(worst + EACH - 1) / 1e9:.9f}",
        model='name = "claude-haiku-4-5"\nmax_tokens = 100\nfallbacks = ["claude-sonnet-4-6"]',
        prompt='user = "{{ doc.text }} "',
    )
    project.submit(provider := ScriptedProvider({"text 0 ": [refused, answer()]}), job="tight")

    assert len(provider.sent) == 1
    assert project.statuses("tight") == {"0000.txt": "errored"}


# --- who may say what


def caps_of(project: TrialProject, **options: Any) -> tuple[int, str]:
    """The cap of the run, and where it is from."""
    with project.opened() as opened:
        cap = opened.planner(SubmitOptions(**options)).caps.run
    return cap.limit, cap.name


@pytest.mark.slow
def test_the_least_of_all_caps_counts_and_remembers_where_it_is_from(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert caps_of(project) == (10**9, "budget.max_cost_usd of the job file")
    assert caps_of(project, max_cost_nusd=2 * 10**9) == (10**9, "budget.max_cost_usd of the job file")
    assert caps_of(project, max_cost_nusd=9 * 10**8) == (9 * 10**8, "--max-cost of the command")
    ceilings(project, "max_cost_usd = 0.8")
    assert caps_of(project, max_cost_nusd=9 * 10**8) == (8 * 10**8, "budget.max_cost_usd of batchrun.toml")
    monkeypatch.setenv("BATCHRUN_MAX_COST", "0.7")
    assert caps_of(project) == (7 * 10**8, "BATCHRUN_MAX_COST of the environment")
    assert caps_of(project, max_cost_nusd=6 * 10**8) == (6 * 10**8, "--max-cost of the command")


def test_every_variable_of_the_environment_is_a_cap(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHRUN_MAX_COST_PER_DOCUMENT", "0.1")
    monkeypatch.setenv("BATCHRUN_MAX_COST_PER_DAY", "2")
    monkeypatch.setenv("BATCHRUN_MAX_COST_PER_MONTH", "30")
    monkeypatch.setenv("BATCHRUN_MAX_TOKENS_PER_DAY", "1_000_000")
    with project.opened() as opened:
        caps = opened.planner().caps

    assert caps.document is not None
    assert (caps.document.limit, caps.document.key) == (10**8, "BATCHRUN_MAX_COST_PER_DOCUMENT")
    assert {cap.key: cap.limit for cap in caps.shared} == {
        "BATCHRUN_MAX_COST_PER_DAY": 2 * 10**9,
        "BATCHRUN_MAX_COST_PER_MONTH": 30 * 10**9,
        "BATCHRUN_MAX_TOKENS_PER_DAY": 10**6,
    }


UNREADABLE = {
    "no amount": ("BATCHRUN_MAX_COST", "much"),
    "nothing": ("BATCHRUN_MAX_COST", ""),
    "zero": ("BATCHRUN_MAX_COST_PER_DAY", "0"),
    "less than nothing": ("BATCHRUN_MAX_COST_PER_MONTH", "-5"),
    "with a sign": ("BATCHRUN_MAX_COST_PER_DOCUMENT", "$5"),
    "half a token": ("BATCHRUN_MAX_TOKENS_PER_DAY", "10.5"),
    "without an end": ("BATCHRUN_MAX_COST", "inf"),
    "no model": ("BATCHRUN_ALLOWED_MODELS", ""),
    "a model too few": ("BATCHRUN_DENIED_MODELS", "claude-opus-5,"),
}


@pytest.mark.parametrize(("name", "value"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_variable_that_cannot_be_read_is_never_ignored(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    project.documents(1)
    monkeypatch.setenv(name, value)

    with pytest.raises(UsageProblem, match=f"the environment variable {name} should be"):
        project.submit(provider := ScriptedProvider())

    assert provider.sent == []


def test_a_key_in_the_wrong_variable_is_not_shown(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project.documents(1)
    monkeypatch.setenv("BATCHRUN_MAX_COST", "sk-ant-api03-secret")

    with pytest.raises(UsageProblem) as refused:
        project.submit(ScriptedProvider())

    assert "secret" not in str(refused.value)


@pytest.mark.slow
def test_an_operators_cap_stays_hard_whatever_the_job_file_says(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHRUN_MAX_COST", "0.008")
    project.job(budget='max_cost_usd = 1.0\npartial = true\ncutoff = "soft"')
    project.documents(60)

    halted = stopped(project.submit(ScriptedProvider(default=priced(500, 100))))

    assert committed(project) <= 8_000_000
    assert "(BATCHRUN_MAX_COST of the environment)" in str(halted)
    assert "ask whoever set BATCHRUN_MAX_COST" in str(halted.hint)


FORBIDDEN = {
    "not allowed by the project": (['allowed_models = ["claude-sonnet-5-5", "claude-opus-5"]'], {}, "",
                                   "budget.allowed_models of batchrun.toml", "claude-sonnet-5-5, claude-opus-5"),
    "denied by the project": (['denied_models = ["claude-haiku-4-5-20251001"]'], {}, "",
                              "budget.denied_models of batchrun.toml", "name another one"),
    "a fallback": (['denied_models = ["claude-opus-5"]'], {}, 'fallbacks = ["claude-opus-5"]',
                   "budget.denied_models of batchrun.toml", "fallbacks"),
    "not allowed by the operator": (["max_cost_usd = 5"], {"BATCHRUN_ALLOWED_MODELS": "claude-opus-5, claude-opus-5-5"},
                                    "", "BATCHRUN_ALLOWED_MODELS of the environment", "claude-opus-5, claude-opus-5-5"),
    "denied by the operator, allowed by the project": (['allowed_models = ["claude-haiku-4-5"]'],
        {"BATCHRUN_DENIED_MODELS": "claude-haiku-4-5"}, "", "BATCHRUN_DENIED_MODELS of the environment", "another one"),
}  # fmt: skip


@pytest.mark.parametrize("case", FORBIDDEN)
def test_a_model_that_is_not_allowed_is_refused(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    lines, environment, keys, who, hint = FORBIDDEN[case]
    ceilings(project, *lines)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    project.job(model=f'name = "claude-haiku-4-5"\nmax_tokens = 100\n{keys}')
    project.documents(1)

    for act in (project.plan, lambda: project.submit(ScriptedProvider())):
        with pytest.raises(Refused, match="is not allowed") as refused:
            act()
        assert who in str(refused.value)
        assert hint in str(refused.value.hint)


def test_a_model_that_is_allowed_runs(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    ceilings(project, 'allowed_models = ["claude-haiku-4-5"]', 'denied_models = ["claude-opus-5"]')
    monkeypatch.setenv("BATCHRUN_ALLOWED_MODELS", "claude-haiku-4-5-20251001")
    project.documents(1)

    assert project.submit(ScriptedProvider()).exit_code == ExitCode.OK
