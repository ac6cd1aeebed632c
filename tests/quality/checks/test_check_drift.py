"""Drift: few alarms where nothing has changed, and one where something has."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.job.load import load_job
from batchrun.quality.checks.drift import compared, drift
from batchrun.quality.checks.result import CheckResult, CheckStatus
from batchrun.quality.distribution import Distribution
from batchrun.statistics.drift import DriftLevel
from batchrun.store.ledger.ledger import Ledger

Draw = Callable[[random.Random], Any]
FIELDS: dict[str, tuple[str, Draw]] = {
    **{f"category {n}": ("enum", lambda draw: draw.choice("abcdefgh")) for n in range(6)},
    **{f"name {n}": ("string", lambda draw: f"name {int(draw.paretovariate(1))}") for n in range(3)},
    **{f"flag {n}": ("boolean", lambda draw: draw.random() < 0.3) for n in range(3)},
    **{f"number {n}": ("number", lambda draw: draw.gauss(0, 1)) for n in range(4)},
    **{f"day {n}": ("date", lambda draw: f"2024-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}") for n in range(2)},
    **{f"list {n}": ("array", lambda draw: [1] * draw.randint(0, 9)) for n in range(2)},
}


def sampled(draw: random.Random, answers: int) -> dict[str, Distribution]:
    """The answers of a run over twenty fields, a tenth of them null."""
    samples = {name: Distribution(kind) for name, (kind, _) in FIELDS.items()}
    for name, (_, value) in FIELDS.items():
        for _ in range(answers):
            samples[name].add(None if draw.random() < 0.1 else value(draw))
    return samples


def alarms(old: dict[str, Distribution], new: dict[str, Distribution]) -> set[str]:
    return {f"{row['field']} {row['compared']}" for row, level in compared(old, new) if level is DriftLevel.ALARM}


def test_twenty_fields_that_did_not_change_seldom_give_an_alarm() -> None:
    """At most 5% of runs may, which is 3 of 60; the benchmark of the statistics has more draws."""
    draw = random.Random(17)
    runs = [sampled(draw, 100) for _ in range(61)]
    assert len(FIELDS) == 20
    assert sum(bool(alarms(runs[0], run)) for run in runs[1:]) <= 3


CHANGED: dict[str, tuple[str, Draw]] = {
    "category 0 values": ("category 0", lambda draw: draw.choice("aaaaaaabcdefgh")),
    "number 0 values": ("number 0", lambda draw: draw.gauss(1, 1)),
    "day 0 values": ("day 0", lambda draw: f"2025-{draw.randint(1, 12):02}-01"),
    "flag 0 values": ("flag 0", lambda draw: draw.random() < 0.7),
    "list 0 values": ("list 0", lambda draw: [1] * draw.randint(5, 20)),
    "name 0 nulls": ("name 0", lambda draw: f"name {int(draw.paretovariate(1))}" if draw.random() < 0.5 else None),
}


@pytest.mark.parametrize(("alarm", "change"), CHANGED.items(), ids=CHANGED)
def test_a_field_that_changed_gives_an_alarm(alarm: str, change: tuple[str, Draw]) -> None:
    draw = random.Random(18)
    old, new = sampled(draw, 200), sampled(draw, 200)
    name, value = change
    new[name] = Distribution(new[name].kind)
    for _ in range(200):
        new[name].add(value(draw))
    assert alarm in alarms(old, new)


def test_values_of_another_type_are_left_out() -> None:
    number, day = Distribution("number"), Distribution("date")
    for value in ("12 months", 10**400, [1], {}, None, 1):
        number.add(value)
        day.add(value)
    assert ([*number.numbers], [*day.numbers], number.nulls, number.not_null) == ([1.0], [], 1, 5)
    words = Distribution("string")
    words.add(["no", "text"])
    assert words.categories.total() == 1


# --- over the answers of two runs

CHECK = '[[check]]\nname = "as before"\ntype = "drift"\n'


def submitted(project: TrialProject, values: list[Any], prompt: str = "Say: {{ doc.text }}") -> None:
    """Run the job over as many documents, with these values in turn."""
    project.job(output_fields='title = "string"\nterm = "integer?"', prompt=f'user = "{prompt}"')
    texts = project.documents(len(values))
    script = {prompt.replace("{{ doc.text }}", text): [answer({"title": text, "term": value})]
              for text, value in zip(texts, values, strict=True)}  # fmt: skip
    assert project.execute(ScriptedProvider(dict(script))) is None


def drifted(project: TrialProject, run_no: int) -> CheckResult:
    path = project.root / "jobs" / "trial.toml"
    path.write_text(path.read_text() + CHECK)
    job = load_job(path)
    with Ledger.read(project.ledger_path) as ledger:
        return drift(job.spec.check[0], job, ledger, run_no=run_no)


def test_there_may_be_no_run_before(project: TrialProject) -> None:
    submitted(project, [1, 2])
    result = drifted(project, 1)
    assert (result.status, result.sentence) == (CheckStatus.PASSED, "there is no finished run before this one")


@pytest.mark.slow
def test_a_changed_prompt_that_changes_answers_is_found(project: TrialProject) -> None:
    submitted(project, [number % 7 for number in range(60)])
    submitted(project, [number % 7 + 5 for number in range(60)], prompt="Again: {{ doc.text }}")
    result = drifted(project, 2)
    assert (result.status, result.severity, result.number) == (CheckStatus.FAILED, "error", 1)
    assert [row["field"] for row in result.rows] == ["term"], "each title is another text, which is no category"
    assert result.sentence.startswith("drift from run ")
    assert result.sentence.endswith(": term (values)")


@pytest.mark.slow
def test_answers_that_a_run_has_from_the_run_before_hide_no_change(project: TrialProject) -> None:
    submitted(project, [number % 7 for number in range(100)])
    submitted(project, [number % 7 for number in range(100)] + [20] * 30)
    result = drifted(project, 2)
    assert (result.status, result.number) == (CheckStatus.FAILED, 1)
