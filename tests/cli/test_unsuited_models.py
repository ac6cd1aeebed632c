"""What a model of a job refuses is told with the place in the job file."""

import re
from datetime import date

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow


def test_what_a_model_does_not_take_is_told_with_its_place(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(1)
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 100_000\neffort = "low"')
    ran = batchrun("plan jobs/trial.toml")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    places = re.findall(r"--> (\S+)\n.*\n\d+ \| (.*)", ran.err)
    assert [(place.split(":")[0], line) for place, line in places] == [
        ("jobs/trial.toml", "max_tokens = 100_000"), ("jobs/trial.toml", 'effort = "low"'),
    ]  # fmt: skip
    assert "claude-haiku-4-5 takes no effort; leave the key out" in ran.err
    assert "2 problems in jobs/trial.toml; nothing was sent" in ran.err


@pytest.mark.parametrize(
    ("name", "tiers", "shown"),
    [
        ("claude-haiku-4-5", "", 'fallbacks = ["claude-sonnet-4-5"]'),
        (None, 'simple = ["claude-sonnet-4-5"]', "tier = "),
    ],
    ids=["a fallback", "a tier"],
)
def test_a_retired_model_is_told_where_it_is_named(
    project: TrialProject,
    batchrun: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
    tiers: str,
    shown: str,
) -> None:
    monkeypatch.setattr("batchrun.workflow.open_job.utc_today", lambda: date(2026, 12, 24))
    (project.root / "batchrun.toml").write_text(f"[tiers]\n{tiers}\n")
    model = 'tier = "simple"' if name is None else f'name = "{name}"\n{shown}'
    project.documents(1)
    project.job(model=f"{model}\nmax_tokens = 100")
    ran = batchrun("plan jobs/trial.toml")
    assert ran.code == ExitCode.USAGE
    assert f"| {shown}" in ran.err
    assert "claude-sonnet-4-5 was retired on 2026-11-30" in ran.err
    assert ('the tier "simple" stands in batchrun.toml' in ran.err) is (name is None)


def test_a_retired_model_of_a_cascade_is_told_in_the_cascade(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.workflow.open_job.utc_today", lambda: date(2026, 12, 24))
    project.documents(1)
    models = 'models = ["claude-haiku-4-5", "claude-sonnet-4-5"]'
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 100', cascade=models)
    ran = batchrun("plan jobs/trial.toml")
    assert ran.code == ExitCode.USAGE
    assert f"| {models}" in ran.err
    assert "claude-sonnet-4-5 was retired on 2026-11-30" in ran.err
