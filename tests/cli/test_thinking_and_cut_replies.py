"""What commands say of thinking, and of replies that will be cut off, in words and as JSON."""

import json

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

SUBMIT, PLAN = "submit jobs/trial.toml", "plan jobs/trial.toml"
ROOMY = 'name = "claude-sonnet-5-5"\nmax_tokens = 4000'
NARROW = 'name = "claude-sonnet-5-5"\nmax_tokens = 400'


def test_thinking_is_told_before_and_after(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(model=ROOMY)
    project.documents(2)
    planned = batchrun(PLAN).out
    api.simulator.extend_script(["thinking_first", "thinking_first"])

    finished = batchrun(SUBMIT).out

    assert "thinking is about 97% of the output" in planned, "a guess"
    ((thinking, output),) = project.ask("select sum(thinking_tokens), sum(output_tokens) from attempts")
    share = f"about {thinking / output:.0%}"
    assert 0 < thinking < output
    assert f"  thinking {share} of the output tokens\n" in finished
    assert project.rows("select sum(thinking_tokens), sum(output_tokens) from _batchrun.attempts") == [
        (thinking, output)
    ]
    cost = batchrun("cost trial").out
    assert cost.splitlines()[0].endswith("  OUTPUT  THINKING")
    assert cost.splitlines()[2].endswith(f"  {thinking}")
    assert f"THINKING: the part of the OUTPUT tokens that is thinking, {share} of them." in cost
    assert json.loads(batchrun("cost trial --json").out)["total"]["thinking_tokens"] == thinking
    project.document("new.txt", "text")
    assert f"thinking is {share} of the output" in batchrun(PLAN).out, "as the answers of the job show"
    api.simulator.extend_script(["thinking_first"])
    run_end = json.loads(batchrun(f"{SUBMIT} --json").out.splitlines()[-1])
    ((later,),) = project.ask("select thinking_tokens from attempts order by attempt_no desc limit 1")
    assert run_end["thinking_tokens"] == later > 0


def test_a_model_that_does_not_think_is_not_said_to(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)

    said = batchrun(PLAN).out + batchrun(SUBMIT).out + batchrun("cost trial").out

    assert "thinking" not in said.lower()


def test_a_plan_says_what_will_be_cut_off_and_what_to_set(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(model=NARROW)
    project.documents(2)

    ran, checked = batchrun(PLAN), batchrun(f"{PLAN} --check --json")

    assert "\nwarning  most replies will be cut off: about 77% at max_tokens = 400" in ran.out
    assert 'set max_tokens = 2560, or effort = "medium" in [model]\n' in ran.out
    assert "To run this:" not in ran.out
    assert (ran.code, checked.code) == (ExitCode.OK, ExitCode.REFUSED)
    plan = json.loads(checked.out)
    assert plan["refused"].startswith("most replies will be cut off")
    assert plan["replies"] == {
        "max_tokens": 400, "cut_share": 0.768, "thinking_share": 0.972, "past_replies": 0,
        "remedies": ["max_tokens = 2560", 'effort = "medium"'],
    }  # fmt: skip
    assert plan["tokens"]["output"]["high"] == 800


def test_the_line_to_type_has_the_option(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(model=NARROW)
    project.documents(2)
    assert batchrun(SUBMIT).code == ExitCode.REFUSED

    planned = batchrun(f"{PLAN} --partial-answers")

    assert "warning  most replies will be cut off" in planned.out
    assert planned.out.endswith(f"To run this:  batchrun {SUBMIT} --partial-answers\n")
    ran = batchrun(f"{SUBMIT} --partial-answers")
    assert ran.code == ExitCode.OK
    assert "warning: most replies will be cut off" in ran.err


def test_a_plan_in_a_file_has_the_option(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(model=NARROW)
    project.documents(2)
    batchrun(f"{PLAN} --partial-answers -o plan.json")

    assert batchrun("submit --plan plan.json").code == ExitCode.OK
    assert sorted(project.statuses().values()) == ["succeeded"] * 2
