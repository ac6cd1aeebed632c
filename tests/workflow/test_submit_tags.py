"""Tags in whole runs: caps that the jobs of a team share, and runs that keep their tags."""

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.budget.caps import Per
from batchrun.errors import ExitCode, Refused
from batchrun.events import RunStarted
from batchrun.execution.failure_messages import BudgetReached
from batchrun.outcome import Outcome
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.usefixtures("no_output")
EACH = 150_000
"""What an answer of the scripted API costs, in nano-USD."""
PARTIAL = "max_cost_usd = 1.0\npartial = true"
LEGAL = '[budget.tags."team=legal"]'


def tagged(project: TrialProject, name: str, tags: str = "", *, budget: str = PARTIAL, **more: str) -> None:
    """Write a job with a prompt of its own, so that no job finds its answers made."""
    path = project.job(name, budget=budget, prompt=f'user = "{name}: {{{{ doc.text }}}}"', **more)
    path.write_text(path.read_text().replace(f'name = "{name}"\n', f'name = "{name}"\ntags = {{ {tags} }}\n', 1))


def ceilings(project: TrialProject, text: str) -> None:
    (project.root / "batchrun.toml").write_text(text)


def by_tag(project: TrialProject) -> dict[str, tuple[int, int]]:
    rows = project.ask("select tag || '=' || value, sum(committed_nusd), sum(tokens) from tag_spending group by 1")
    return {pair: (nusd, tokens) for pair, nusd, tokens in rows}


def stopped(summary: Summary) -> BudgetReached:
    assert summary.exit_code == ExitCode.STOPPED
    assert isinstance(summary.halted, BudgetReached)
    return summary.halted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("max_cost_per_day_usd = 0.01", "the day's budget for team=legal"),
        ("max_cost_per_month_usd = 0.01", "the month's budget for team=legal"),
        ("max_tokens_per_day = 7_300", "the day's budget of tokens for team=legal"),
    ],
)
def test_a_cap_of_a_tag_that_two_jobs_share_stops_the_second(project: TrialProject, key: str, name: str) -> None:
    ceilings(project, f"{LEGAL}\n{key}\n")
    tagged(project, "first", 'team = "legal", matter = "4711"')
    tagged(project, "second", 'team = "legal"')
    tagged(project, "third", 'team = "sales"')
    tagged(project, "fourth")
    project.documents(40)

    assert project.submit(ScriptedProvider(), job="first").exit_code == ExitCode.OK
    halted = stopped(project.submit(ScriptedProvider(), job="second"))
    others = [project.submit(ScriptedProvider(), job=job).exit_code for job in ("third", "fourth")]

    assert f"{name} is reached: " in str(halted)
    assert f'(budget.tags."team=legal".{key.partition(" ")[0]} of batchrun.toml)' in str(halted)
    assert others == [ExitCode.OK, ExitCode.OK]
    spent, tokens = by_tag(project)["team=legal"]
    assert 8_000_000 < spent <= 10_000_000
    assert tokens == spent // EACH * 110 <= 7_300
    assert by_tag(project)["matter=4711"] == (40 * EACH, 40 * 110)
    assert by_tag(project)["team=sales"] == (40 * EACH, 40 * 110)


@pytest.mark.slow
def test_a_job_that_its_tag_has_no_room_for_is_refused_and_told_why(project: TrialProject) -> None:
    ceilings(project, f"{LEGAL}\nmax_cost_per_day_usd = 0.012\n")
    for name, tags in (("first", 'team = "legal"'), ("second", 'team = "legal"'), ("third", 'team = "sales"')):
        tagged(project, name, tags, budget="max_cost_usd = 1.0")
    project.documents(30)
    project.submit(ScriptedProvider(), job="first")
    (room,) = [one for one in project.plan(job="second").cap_usages if one.cap.per is Per.DAY]
    assert (room.cap.tag, room.used, room.remaining) == ("team=legal", 30 * EACH, 12_000_000 - 30 * EACH)
    assert [one.cap.per for one in project.plan(job="third").cap_usages] == [Per.RUN]

    with pytest.raises(Refused, match="the estimate is above the day's budget for team=legal") as refused:
        project.submit(provider := ScriptedProvider(), job="second")

    said = 'budget     $0.0120 (budget.tags."team=legal".max_cost_per_day_usd of batchrun.toml), of which $0.0045 is'
    assert said in str(refused.value)
    assert 'raise budget.tags."team=legal".max_cost_per_day_usd in batchrun.toml to' in str(refused.value.hint)
    assert provider.sent == []


def test_tags_make_no_document_new_work(project: TrialProject) -> None:
    tagged(project, "trial")
    project.documents(3)
    project.submit(ScriptedProvider())

    tagged(project, "trial", 'team = "legal"')
    summary = project.submit(provider := ScriptedProvider())

    assert (provider.sent, summary.outcomes) == ([], {Outcome.SUCCEEDED: 3})
    assert summary.plan.tags == {"team": "legal"}


def test_a_run_that_is_continued_keeps_its_tags_and_their_caps_and_says_so(project: TrialProject) -> None:
    ceilings(project, f'{LEGAL}\nmax_cost_per_day_usd = 1\n[budget.tags."team=sales"]\nmax_cost_per_day_usd = 0.0001\n')
    fail_fast = "max_concurrency = 1\nmax_failure_rate = 0.5"
    tagged(project, "trial", 'team = "legal"', budget="max_cost_usd = 0.003\npartial = true", run=fail_fast)
    project.documents(30)
    stopped(project.submit(ScriptedProvider()))
    spent = by_tag(project)["team=legal"][0]

    tagged(project, "trial", 'team = "sales"', run=fail_fast)
    plan = project.plan()
    summary = project.submit(ScriptedProvider())

    assert plan.tags == {"team": "legal"}
    (notice,) = plan.notices
    assert notice.startswith(f"run {plan.continues} keeps the tags that it began with (team=legal); those of the job")
    assert [one.cap.tag for one in plan.cap_usages] == [None, "team=legal"]
    assert (summary.exit_code, 0 < spent < 30 * EACH) == (ExitCode.OK, True)
    assert by_tag(project) == {"team=legal": (30 * EACH, 30 * 110)}
    assert [event.tags for event in project.events if isinstance(event, RunStarted)] == [{"team": "legal"}] * 2

    project.document("more.txt", "more")
    assert (project.plan().tags, project.plan().notices) == ({"team": "sales"}, ())
    tagged(project, "trial", 'team = "sales"', budget="max_cost_usd = 1.0")
    with pytest.raises(Refused, match="the day's budget for team=sales"):
        project.submit(ScriptedProvider())


def test_a_run_of_an_earlier_version_has_no_tags(project: TrialProject) -> None:
    tagged(project, "trial", budget="max_cost_usd = 0.003\npartial = true")
    project.documents(30)
    stopped(project.submit(ScriptedProvider()))

    tagged(project, "trial", 'team = "legal"')

    (notice,) = project.plan().notices
    assert "keeps the tags that it began with (none)" in notice
