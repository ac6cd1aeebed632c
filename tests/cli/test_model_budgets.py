"""A cap of one model with `budget` among the reasons to fall back: the next model answers, and nobody pays twice."""

import itertools
import time
from collections import Counter

import pytest
from command_line import CommandLine, process, serving, talking_to
from scripted_batches_memory import WallClock
from scripted_models import Models
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.budget.caps import undated
from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

FIRST, SECOND = "claude-haiku-4-5", "claude-sonnet-5"
SHORT = 'max_tokens = 100\nthinking = "disabled"'
LADDER = f'name = "{FIRST}"\nfallbacks = ["{SECOND}"]\nfallback_on = ["budget"]\n{SHORT}'
SUBMIT = "submit jobs/trial.toml -q"
USD, DAY_S = 10**9, 86_400


def cap(project: TrialProject, **usd: float) -> None:
    """Give the first and the second model a cap for the day, in batchrun.toml."""
    names = {"first": FIRST, "second": SECOND}
    caps = [f'[budget.models."{names[which]}"]\nmax_cost_per_day_usd = {limit}' for which, limit in usd.items()]
    (project.root / "batchrun.toml").write_text("\n".join(caps))


def spent(project: TrialProject) -> dict[str, float]:
    """What was spent or is reserved for each model, in dollars."""
    found: Counter[str] = Counter()
    for model, nusd in project.ask("select model, coalesce(cost_nusd, reserved_nusd) from attempts"):
        found[undated(model)] += nusd
    return {model: nusd / USD for model, nusd in found.items()}


def answers(project: TrialProject) -> Counter[str]:
    """How many documents each model has answered; fails if any document was answered twice."""
    rows = project.ask("select doc_id, model from attempts where state = 'answered'")
    assert len({doc_id for doc_id, _ in rows}) == len(rows), "nothing is paid twice"
    return Counter(undated(model) for _, model in rows)


def test_the_next_model_answers_what_the_cap_of_the_first_has_no_room_for(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(model=LADDER)
    project.documents(40)
    cap(project, first=0.005)
    planned = batchrun("plan jobs/trial.toml")
    assert planned.code == ExitCode.OK
    assert f"the day's budget for {FIRST} has room for about " in planned.out
    assert f" of 40: {SECOND} answers the others\n" in planned.out
    assert "too little by" not in planned.out

    assert batchrun(SUBMIT).code == ExitCode.OK

    both = answers(project)
    assert both.total() == 40
    assert min(both[FIRST], both[SECOND]) >= 5
    assert 0.003 < spent(project)[FIRST] <= 0.005
    assert set(project.statuses().values()) == {"succeeded"}
    (estimate,) = project.ask("select estimate_nusd from runs")[0]
    assert sum(spent(project).values()) == pytest.approx(estimate / USD, rel=0.5)
    assert batchrun(SUBMIT).code == ExitCode.OK
    assert answers(project) == both, "a document that the next model has answered stays answered"


def test_a_plan_whose_first_model_has_no_money_left_is_one_of_the_next_model(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(model=LADDER, run='max_concurrency = 4\nroute = "batch"')
    project.documents(20)
    cap(project, first=0.000_001)
    told = batchrun("plan jobs/trial.toml --json").json
    assert (told["ok"], told["model"], told["route"]) == (True, SECOND, "stream")
    note = f"the day's budget for {FIRST} has no room: {SECOND} answers"
    assert (told["budget_notes"], told["route_reason"]) == ([note], note)

    ran = batchrun("submit jobs/trial.toml")

    assert ran.code == ExitCode.OK
    assert ran.words.count(note) == 1
    assert answers(project) == {SECOND: 20}
    (estimate,) = project.ask("select estimate_nusd from runs")[0]
    assert spent(project)[SECOND] == pytest.approx(estimate / USD, rel=0.5)


def test_without_the_reason_the_plan_is_refused_as_before(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(model=LADDER.replace("budget", "outage"))
    project.documents(40)
    cap(project, first=0.005)
    assert batchrun(SUBMIT).code == ExitCode.REFUSED
    assert batchrun(f"{SUBMIT} --partial").code == ExitCode.STOPPED
    assert set(answers(project)) == {FIRST}


def test_the_cap_of_the_run_and_of_the_last_model_end_the_run_as_ever(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(model=LADDER)
    project.documents(40)
    cap(project, first=0.002, second=0.006)
    ended = batchrun("submit jobs/trial.toml --partial")
    assert ended.code == ExitCode.STOPPED
    assert f"the day's budget for {SECOND} is reached" in ended.err
    once = answers(project)
    assert 0 < once.total() < 40
    cap(project, first=0.002)
    assert batchrun(f"{SUBMIT} --partial --max-cost 0.01").code == ExitCode.STOPPED
    assert once.total() < answers(project).total() < 40

    assert batchrun(f"{SUBMIT}").code == ExitCode.OK

    assert answers(project).total() == 40
    assert answers(project)[FIRST] == once[FIRST]


def test_what_no_batch_has_room_for_is_streamed_to_the_next_model(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    fast = 'poll_interval = "1s"\nmax_poll_interval = "1s"'
    project.job(model=LADDER, run='max_concurrency = 4\nroute = "batch"', batch=fast)
    project.documents(40)
    cap(project, first=0.004)

    assert batchrun(SUBMIT).code == ExitCode.OK

    both = answers(project)
    assert both.total() == 40
    batched = project.ask("select model, count(*) from attempts where batch_no is not null group by 1")
    assert [undated(model) for model, _ in batched] == [FIRST]
    assert batched[0][1] > 3
    assert both[SECOND] > 5
    assert spent(project)[FIRST] <= 0.004


def test_a_killed_run_goes_on_without_paying_twice(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(model=LADDER)
    project.documents(16)
    cap(project, first=0.002)
    with serving(latency=Latency(first_token_s=0.15, tokens_per_s=1000, spread=0.0)) as api:
        environment = talking_to(api)
        running = process(SUBMIT, cwd=project.root, environment=environment)
        while not (project.ledger_path.exists() and answered_by_next(project)):
            assert running.poll() is None
            time.sleep(0.02)
        running.kill()
        running.communicate(timeout=60)
        before = answers(project)
        again = process(SUBMIT, cwd=project.root, environment=environment)
        again.communicate(timeout=60)

    assert again.returncode == ExitCode.OK
    assert answers(project).total() == 16
    assert before <= answers(project)
    assert spent(project)[FIRST] <= 0.002


def answered_by_next(project: TrialProject) -> bool:
    tables = project.ask("select 1 from sqlite_master where name = 'attempts'")
    query = "select 1 from attempts where state = 'answered' and model = ? limit 1"
    return bool(tables and project.ask(query, SECOND))


@pytest.mark.usefixtures("no_output")
def test_a_run_that_outlasts_the_day_goes_back_to_the_first_model(project: TrialProject, clock: WallClock) -> None:
    project.job(model=LADDER, run="max_concurrency = 1")
    project.documents(200)
    cap(project, first=0.003)
    clock.skip(DAY_S - clock() % DAY_S - 250)
    provider = Models(answering=ScriptedProvider(latency_s=2.0))

    assert project.submit(provider).exit_code == ExitCode.OK

    assert set(project.statuses().values()) == {"succeeded"}
    turns = [model for model, _ in itertools.groupby(model for model, _ in provider.asked)]
    assert turns == [FIRST, SECOND, FIRST, SECOND]
    spending = project.ask("select committed_nusd from spending where model = ? order by day", FIRST)
    assert [0.001 < nusd / USD <= 0.003 for (nusd,) in spending] == [True, True]


def test_a_cascade_asks_the_costlier_model_where_the_cheap_one_has_no_money(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    cascade = f'models = ["{FIRST}", "{SECOND}"]\nescalate_on = ["invalid", "budget"]'
    project.job(model=SHORT, cascade=cascade)
    project.documents(20)
    cap(project, first=0.002)
    planned = batchrun("plan jobs/trial.toml")
    assert f"of 20: {SECOND} answers the others" in planned.out

    assert batchrun(SUBMIT).code == ExitCode.OK

    assert answers(project).total() == 20
    assert answers(project)[SECOND] > 5
    project.job(model=SHORT, cascade=cascade + '\naccept = "calibrated"')
    assert "a threshold is learned from documents that both models answer" in batchrun("plan jobs/trial.toml").err
