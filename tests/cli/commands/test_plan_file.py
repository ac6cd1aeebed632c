"""`plan -o FILE`, and `submit --plan FILE`: exactly that plan, or nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.cli import plan_file
from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

PLAN = "plan jobs/trial.toml -o plan.json"
SUBMIT = "submit --plan plan.json"


def test_a_submit_does_exactly_the_plan(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(9)
    ran = batchrun(f"{PLAN} --limit 5 --source 'docs/*' --max-cost 0.5 --deadline 2h --route stream")
    assert ran.out.endswith("To run this:  batchrun submit --plan=plan.json\n")
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.OK
    assert sorted(project.statuses().values()) == ["succeeded"] * 5
    assert "of $0.5000" in ran.out, "the budget of the plan"
    [again] = [batchrun(f"{SUBMIT} jobs/trial.toml --progress none")]
    assert (again.code, len(api.books.entries)) == (ExitCode.REFUSED, 5), "the documents are answered meanwhile"
    assert "the plan plan.json is stale: 0 documents to send, and there were 5" in again.err


def more_documents(project: TrialProject) -> None:
    project.document("more.txt", "new")


def another_document(project: TrialProject) -> None:
    project.document("0001.txt", "changed")


def another_prompt(project: TrialProject) -> None:
    project.job(prompt='user = "Other: {{ doc.text }}"')


def another_model(project: TrialProject) -> None:
    project.job(model='name = "claude-sonnet-4-6"\nmax_tokens = 100')


def another_budget(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 2.0")


def another_name(project: TrialProject) -> None:
    (project.root / "jobs" / "trial.toml").write_text(project.job("other").read_text())


def another_route(project: TrialProject) -> None:
    project.job(run='route = "batch"')


CHANGES: dict[str, tuple[Callable[[TrialProject], None], list[str]]] = {
    "documents": (more_documents, ["4 documents to send, and there were 3", "the documents to send are others"]),
    "a document": (another_document, ["the documents to send are others"]),
    "the prompt": (another_prompt, ["the prompt, the model's settings or the output changed"]),
    "the model": (another_model, ["the model is claude-sonnet-4-6, and was claude-haiku-4-5"]),
    "the budget": (another_budget, ["the budget is $2.00, and was $1.00"]),
    "the name": (another_name, ["the job is other, and was trial"]),
    "the route": (another_route, ["the route is batch, and was stream"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_of_what_has_changed_is_stale(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, change: str
) -> None:
    project.documents(3)
    assert batchrun(PLAN).code == ExitCode.OK
    changes, said = CHANGES[change]
    changes(project)
    ran = batchrun(SUBMIT)
    assert (ran.code, len(api.books.entries)) == (ExitCode.REFUSED, 0)
    for words in said:
        assert words in ran.err
    assert "next: plan again: batchrun plan jobs/trial.toml --output=plan.json" in ran.err


def test_an_option_that_is_typed_besides_is_another_plan(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(3)
    batchrun(f"{PLAN} --limit 2")
    ran = batchrun(f"{SUBMIT} --limit 3")
    assert (ran.code, len(api.books.entries)) == (ExitCode.REFUSED, 0)
    assert "3 documents to send, and there were 2" in ran.err


@pytest.mark.parametrize("mode", ["json_schema", "tool"])
def test_requests_in_groups_are_counted_with_one_of_the_groups(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, mode: str
) -> None:
    fields = "\n".join(f'f{number} = "string?"' for number in range(40))
    project.job(
        model='name = "claude-haiku-4-5"\nmax_tokens = 4_000',
        prompt='user = "Read {{ doc.text }}"',
        output=f'groups = "auto"\nmode = "{mode}"',
        output_fields=fields,
    )
    project.documents(60)

    guessed, counted = batchrun(f"{PLAN} --json").json, batchrun(f"{PLAN} --online 20 --json").json

    assert (counted["evidence"]["online_counts"], counted["evidence"]["online_problem"]) == (21, None)
    before, after = (plan["tokens"]["input"] for plan in (guessed, counted))
    assert after["high"] - after["low"] < (before["high"] - before["low"]) / 2
    ran = batchrun(f"{SUBMIT} --json --speed 50")
    assert ran.code == ExitCode.OK, ran.err
    (end,) = [event for event in ran.events if event["event"] == "run_end"]
    assert end["input_tokens"] == pytest.approx(after["mean"], rel=0.02)


def test_a_plan_that_the_api_has_counted_for(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(60)
    counted = batchrun(f"{PLAN} --online 20 --json").json
    assert counted["evidence"]["online_counts"] == 20
    ran = batchrun(f"{SUBMIT} --json --speed 5")
    assert ran.code == ExitCode.OK, ran.err
    (end,) = [event for event in ran.events if event["event"] == "run_end"]
    assert end["estimate_high_usd"] == pytest.approx(counted["estimate_usd"]["high"], abs=1e-6)


def test_a_stale_plan_is_made_again_with_the_options_of_a_plan(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(3)
    batchrun(f"{PLAN} --limit 2")
    another_prompt(project)
    ran = batchrun(f"{SUBMIT} --speed 1000 --progress none")
    assert ran.err.endswith("plan again: batchrun plan jobs/trial.toml --limit=2 --output=plan.json\n")


def test_a_refused_plan_is_refused(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(budget="max_cost_usd = 0.00001")
    project.documents(3)
    ran = batchrun(PLAN)
    assert "To run this" not in ran.out
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.REFUSED
    assert "the estimate is above the budget" in ran.err


FILES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no options": lambda plan: plan.pop("options"),
    "options that are none": lambda plan: plan.update(options=["--pay-again"]),
    "options of another type": lambda plan: plan.update(options=[5]),
    "no job": lambda plan: plan.pop("job_file"),
    "a job that is no path": lambda plan: plan.update(job_file="a\0b"),
    "another form": lambda plan: plan.update(v=2),
}


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_no_plan(project: TrialProject, batchrun: CommandLine, api: SimulatorServer, file: str) -> None:
    project.documents(3)
    batchrun(PLAN)
    plan = json.loads(Path("plan.json").read_text())
    FILES[file](plan)
    Path("plan.json").write_text(json.dumps(plan))
    ran = batchrun(SUBMIT)
    assert (ran.code, len(api.books.entries)) == (ExitCode.USAGE, 0)
    assert "plan.json is " in ran.err


@pytest.mark.parametrize("place", [("estimate_usd",), ("documents",), ("prices",), ("budget_usd",)])
@pytest.mark.parametrize("value", [None, [], "many\x1b[2J", 10**400, {"to_send": "x", "high": "y"}])
def test_a_plan_with_other_values_is_stale(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, place: tuple[str], value: object
) -> None:
    project.documents(1)
    batchrun(PLAN)
    plan = json.loads(Path("plan.json").read_text())
    plan[place[0]] = value
    Path("plan.json").write_text(json.dumps(plan))
    ran = batchrun(SUBMIT)
    assert (ran.code, len(api.books.entries)) == (ExitCode.REFUSED, 0)
    assert "is stale" in ran.err
    assert "\x1b" not in ran.err


def test_files_that_cannot_be_read_or_written(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    assert batchrun(SUBMIT).code == ExitCode.USAGE
    assert batchrun("submit").code == ExitCode.USAGE
    assert batchrun("plan jobs/trial.toml -o nowhere/plan.json").code == ExitCode.ENVIRONMENT
    batchrun(PLAN)
    monkeypatch.setattr(plan_file, "MOST_BYTES", 100)
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.USAGE
    assert "cannot be read: this file is larger than 100 bytes" in ran.err
