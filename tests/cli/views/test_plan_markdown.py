"""`plan --format md`: a comment for a pull request, in which no document can write."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject


@pytest.fixture
def project_of_a_stranger(project: TrialProject) -> TrialProject:
    project.documents(3)
    project.document("@octocat [x](y) | <b> #12.txt", "")
    return project


@pytest.mark.slow
def test_a_plan_as_a_comment(project_of_a_stranger: TrialProject, batchrun: CommandLine) -> None:
    ran = batchrun("plan jobs/trial.toml --format md")
    lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert lines[:2] == ["<!-- batchrun plan trial -->", "### batchrun plan: trial"]
    assert lines[3].startswith("**3 documents to send for about $")
    assert "| **stream** (chosen) |" in ran.out
    assert r"docs/@&#8203;octocat \[x\](y) \| &lt;b&gt; #&#8203;12.txt: the document is empty" in ran.out
    simulated = batchrun("plan jobs/trial.toml --format md --simulate").out
    assert simulated.splitlines()[3].startswith("**SIMULATED** ")


@pytest.mark.slow
def test_a_plan_that_is_refused(project_of_a_stranger: TrialProject, batchrun: CommandLine) -> None:
    ran = batchrun("plan jobs/trial.toml --format md --check --max-cost 0.0000001")
    assert ran.code == 3
    assert ran.out.splitlines()[3].startswith("**Refused**: the estimate is above the budget. Nothing was sent.<br>")
