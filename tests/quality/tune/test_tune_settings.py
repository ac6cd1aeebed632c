"""The settings of [tune]: which there are, what is told of them, and that they ask what a real run would ask."""

from datetime import date
from pathlib import Path

import pytest
from trial_project import TrialProject

from batchrun.catalog.price_table import load_prices
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.planning.request_template import RequestTemplate
from batchrun.quality.tune.settings import Setting, read_settings, variant

TODAY = date(2026, 12, 1)


@pytest.fixture
def project(tmp_path: Path) -> TrialProject:
    return TrialProject(tmp_path)


def settings(path: Path):
    job = load_job(path)
    return job, read_settings(job, load_prices(today=TODAY), today=TODAY)


def problems(path: Path) -> list[tuple[int, str]]:
    with pytest.raises(JobFileError) as caught:
        settings(path)
    text = path.read_text()
    return [(text.count("\n", 0, one.span.start) + 1, one.message) for one in caught.value.problems]


def test_every_setting_once_in_the_order_of_the_job_file(project):
    (project.root / "b.md").write_text("{{ doc.text }} again")
    path = project.job(
        tune='models = ["claude-haiku-4-5", "claude-opus-4-6"]\nefforts = ["low", "max"]\nprompts = ["b.md"]'
    )
    _, found = settings(path)
    assert [one.words for one in found] == [
        "claude-haiku-4-5, b.md",  # which takes no effort, and is asked once
        "claude-opus-4-6, effort low, b.md",
        "claude-opus-4-6, effort max, b.md",
    ]


def test_without_keys_the_only_setting_is_the_job_s_own(project):
    path = project.job(model='name = "claude-opus-4-6"\nmax_tokens = 100\neffort = "high"\nthinking = "disabled"')
    _, found = settings(path)
    assert found == (Setting("claude-opus-4-6", "high", "disabled"),)


def test_what_the_job_s_own_model_takes_is_left_out_where_another_does_not(project):
    model = 'name = "claude-opus-4-6"\nmax_tokens = 100\neffort = "max"\nthinking = "adaptive"'
    _, found = settings(project.job(model=model, tune='models = ["claude-haiku-4-5", "claude-opus-4-6"]'))
    assert found == (
        Setting("claude-haiku-4-5", None, None),
        Setting("claude-opus-4-6", "max", "adaptive"),
    )


def test_all_problems_are_told_at_once_with_their_places(project):
    path = project.job(
        tune='models = ["claude-haiku-9", "claude-opus-4-6"]\nefforts = ["low", "xhigh"]\n'
        'thinking = ["between_tools"]\nprompts = ["none.md", "bare.md"]'
    )
    (project.root / "bare.md").write_text("no document")
    first = path.read_text().split("\n").index("[tune]") + 2
    assert sorted(problems(path)) == [
        (first, 'unknown model "claude-haiku-9"'),
        (first + 1, 'claude-opus-4-6 does not take effort = "xhigh"; it takes "low" or "medium" or "high" or "max"'),
        (
            first + 2,
            'claude-opus-4-6 does not take thinking = "between_tools"; it takes "adaptive" or "disabled" or "enabled"',
        ),
        (first + 3, "`tune.prompts.0`: no such file or directory"),
        (first + 3, "`tune.prompts.1` does not contain the document"),
    ]


def test_thinking_within_a_budget_needs_the_budget(project):
    path = project.job(tune='thinking = ["disabled", "enabled"]')
    assert [message for _, message in problems(path)] == ["enabled thinking needs `budget_tokens` in [model]"]


@pytest.mark.parametrize(
    ("tune", "said"),
    [
        ("models = []", "should not be empty"),
        ("target = 1.0", "should be less than 1"),
        ('efforts = ["low", "low"]', '"low" is there already'),
        ('efforts = ["tiny"]', "tiny"),
        ("documents = 0", "should be at least 1"),
        ("max_cost_usd = 0", "above zero"),
        ("models = [" + ", ".join(f'"m{n}"' for n in range(65)) + "]", "65 settings, and a tune may try 64"),
        ('model = "claude-haiku-4-5"', "unknown key `model` in [tune]"),
    ],
)
def test_the_section_is_checked_when_the_job_file_is_read(project, tune, said):
    with pytest.raises(JobFileError, match=said.replace("[", r"\[")):
        load_job(project.job(tune=tune))


def test_a_setting_asks_what_the_job_would_ask_with_it(project):
    (project.root / "b.md").write_text("{{ doc.text }} again")
    cascade = 'models = ["claude-haiku-4-5", "claude-opus-4-6"]'
    job, found = settings(
        project.job(
            cascade=cascade, tune='models = ["claude-opus-4-6"]\nefforts = ["low"]\nprompts = ["b.md"]\ntarget = 0.9'
        )
    )
    own = load_job(
        project.job(
            file="other",
            model='name = "claude-opus-4-6"\nmax_tokens = 100\neffort = "low"',
            prompt='user_file = "b.md"',
        )
    )
    asked = variant(job, found[0])
    assert RequestTemplate(asked).fingerprint == RequestTemplate(own).fingerprint
    assert asked.spec.cascade is None
    assert asked.spec.model.fallbacks == ()


def test_nothing_that_the_job_asks_depends_on_the_section(project):
    path = project.job()
    before = RequestTemplate(load_job(path)).fingerprint
    assert RequestTemplate(load_job(project.job(tune='models = ["claude-opus-4-6"]'))).fingerprint == before
