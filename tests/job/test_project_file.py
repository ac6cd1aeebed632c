"""batchrun.toml: what a job's tier stands for, and what a person sees when it is wrong."""

from pathlib import Path

import pytest

from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.job.project import ProjectBudget
from batchrun.planning.request_template import RequestTemplate

JOB = """\
[job]
name = "tiered"
[source]
type = "files"
include = ["*.txt"]
[model]
tier = "standard"
max_tokens = 1024
[prompt]
user = "{{ doc.text }}"
[output.fields]
title = "string"
[budget]
max_cost_usd = 5.00
"""
TIERS = """\
[tiers]
simple = ["claude-haiku-5-5"]
standard = ["claude-sonnet-5-5", "claude-haiku-4-5", "claude-opus-5"]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/job.toml").write_text(JOB)
    (tmp_path / "batchrun.toml").write_text(TIERS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(job=Path("jobs/job.toml")):
    """What a person sees: place, sentence and help of each problem."""
    with pytest.raises(JobFileError) as caught:
        load_job(job)
    found = []
    for block in caught.value.rendered.split("\n\n")[:-1]:
        lines = block.split("\n")
        hint = lines[5].partition("= help: ")[2] if len(lines) > 5 else None
        found.append((lines[1].partition("--> ")[2], lines[0].removeprefix("error: "), hint))
    return found


def test_a_tier_is_its_models(project):
    job = load_job(project / "jobs/job.toml")
    model = job.spec.model
    assert (model.tier, model.name) == ("standard", "claude-sonnet-5-5")
    assert model.fallbacks == ("claude-haiku-4-5", "claude-opus-5")
    named = project / "jobs/named.toml"
    named.write_text(JOB.replace('tier = "standard"', 'name = "claude-sonnet-5-5"'))
    assert RequestTemplate(job).fingerprint == RequestTemplate(load_job(named)).fingerprint


def test_a_tier_of_one_model_has_no_fallbacks(project):
    (project / "jobs/job.toml").write_text(JOB.replace("standard", "simple"))
    model = load_job(project / "jobs/job.toml").spec.model
    assert (model.name, model.fallbacks) == ("claude-haiku-5-5", ())


UNTIERED = JOB.replace('tier = "standard"', 'name = "x"')


def test_a_job_without_a_tier_needs_no_project_file(project):
    (project / "batchrun.toml").unlink()
    (project / "jobs/job.toml").write_text(UNTIERED)
    job = load_job(project / "jobs/job.toml")
    assert (job.spec.model.name, job.project.budget) == ("x", ProjectBudget())


def test_the_ceilings_are_those_of_every_job(project):
    (project / "batchrun.toml").write_text(f"""{TIERS}[budget]
max_cost_usd = 20
max_cost_per_document_usd = 0.1
max_cost_per_day_usd = 50.5
max_cost_per_month_usd = 500
max_tokens_per_day = 20_000_000
allowed_models = ["x", "claude-sonnet-5-5"]
denied_models = ["claude-opus-5-5"]
[budget.models."claude-opus-5-5"]
max_cost_per_day_usd = 5
max_cost_per_month_usd = 50
max_tokens_per_day = 1_000
""")
    for text in (JOB, UNTIERED):
        (project / "jobs/job.toml").write_text(text)
        budget = load_job(project / "jobs/job.toml").project.budget
        assert (budget.max_cost_nusd, budget.max_cost_per_document_nusd) == (20 * 10**9, 10**8)
        assert (budget.max_cost_per_day_nusd, budget.max_cost_per_month_nusd) == (50_500_000_000, 500 * 10**9)
        assert (budget.max_tokens_per_day, budget.allowed_models) == (20_000_000, ("x", "claude-sonnet-5-5"))
        assert budget.denied_models == ("claude-opus-5-5",)
        opus = budget.models["claude-opus-5-5"]
        assert (opus.max_cost_per_day_nusd, opus.max_cost_per_month_nusd) == (5 * 10**9, 50 * 10**9)
        assert opus.max_tokens_per_day == 1_000


SAMPLE = '["claude-sonnet-5-5", "claude-haiku-4-5"]'
CASES = {
    "no such tier": ('[tiers]\nsimple = ["x"]\n', [
        ("jobs/job.toml:7:8", '`model.tier`: there is no tier "standard" in batchrun.toml',
         f"write in batchrun.toml, below a line [tiers]: standard = {SAMPLE}"),
    ]),
    "an empty file": ("", [
        ("jobs/job.toml:7:8", '`model.tier`: there is no tier "standard" in batchrun.toml',
         f"write in batchrun.toml, below a line [tiers]: standard = {SAMPLE}"),
    ]),
    "another table": ('[tires]\nstandard = ["x"]\n', [
        ("batchrun.toml:1:1", "unknown table [tires]", "did you mean [tiers]?"),
    ]),
    "another tier": (f'{TIERS}critcal = ["x"]\nfast = ["x"]\n', [
        ("batchrun.toml:4:1", "unknown key `critcal` in [tiers]", "did you mean `critical`?"),
        ("batchrun.toml:5:1", "unknown key `fast` in [tiers]", "known here: simple, standard, complex, critical"),
    ]),
    "outside of the table": ('standard = ["x"]\n', [
        ("batchrun.toml:1:1", "unknown key `standard` outside of a table", "it belongs in [tiers]"),
    ]),
    "wrong values": ('[tiers]\nsimple = []\nstandard = ["x", "x"]\ncomplex = "x"\ncritical = [3]\n', [
        ("batchrun.toml:2:10", "`tiers.simple`: input should not be empty", None),
        ("batchrun.toml:3:12", '`tiers.standard`: "x" is there already',
         "name each once"),
        ("batchrun.toml:4:11", '`tiers.complex`: input should be a list, got "x"', None),
        ("batchrun.toml:5:13", "`tiers.critical[0]`: input should be text in quotes, got 3", "put it in quotes"),
    ]),
    "caps that are none": ("[budget]\nmax_cost_usd = 0\nmax_cost_per_day_usd = true\nmax_tokens_per_day = 1.5\n", [
        ("batchrun.toml:2:16", "`budget.max_cost_usd`: input should be an amount in US dollars above zero, such as"
         " 5.00, got 0", None),
        ("batchrun.toml:3:24", "`budget.max_cost_per_day_usd`: input should be an amount in US dollars above zero, such"
         " as 5.00, got true", None),
        ("batchrun.toml:4:22", "`budget.max_tokens_per_day`: input should be a whole number, got 1.5", None),
    ]),
    "a cap of a day under another name": ("[budget]\nmax_cost_per_dya_usd = 5\n", [
        ("batchrun.toml:2:1", "unknown key `max_cost_per_dya_usd` in [budget]", "did you mean `max_cost_per_day_usd`?"),
    ]),
    "a model's cap that only a run has": ('[budget.models."x"]\nmax_cost_usd = 5\n', [
        ("batchrun.toml:2:1", "unknown key `max_cost_usd` in `budget.models.x`", "it belongs in [budget]"),
    ]),
    "a model's cap under another name": ('[budget.models."x"]\nmax_token_per_day = 5\n', [
        ("batchrun.toml:2:1", "unknown key `max_token_per_day` in `budget.models.x`",
         "did you mean `max_tokens_per_day`?"),
    ]),
    "no model is allowed": ("[budget]\nallowed_models = []\n", [
        ("batchrun.toml:2:18", "`budget.allowed_models`: input should not be empty", None),
    ]),
    "no table": ("tiers = 3\n", [("batchrun.toml:1:9", "`tiers`: input should be a table, got 3", None)]),
    "no TOML": ("[tiers]\nstandard = x\n", [
        ("batchrun.toml:2:12", "this is not TOML: invalid value", 'text needs quotes: key = "value"'),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_problem(project, text, expected):
    (project / "batchrun.toml").write_text(text)
    assert problems() == expected


@pytest.mark.parametrize("case", sorted(set(CASES) - {"no such tier", "an empty file"}))
def test_a_job_without_a_tier_is_told_too(project, case):
    text, expected = CASES[case]
    (project / "batchrun.toml").write_text(text)
    (project / "jobs/job.toml").write_text(UNTIERED)
    assert problems() == expected


def test_problems_of_both_files_are_told_at_once(project):
    (project / "batchrun.toml").write_text("[tiers]\nstandard = []\n")
    (project / "jobs/job.toml").write_text(JOB.replace("1024", "0"))
    assert [place for place, _, _ in problems()] == ["jobs/job.toml:8:14", "batchrun.toml:2:12"]


def test_without_the_file(project):
    (project / "batchrun.toml").unlink()
    assert problems() == [
        (
            "jobs/job.toml:7:8",
            "`model.tier`: the project has no batchrun.toml",
            f"write in batchrun.toml, below a line [tiers]: standard = {SAMPLE}",
        )
    ]


def test_what_cannot_be_read(project):
    (project / "batchrun.toml").write_bytes(b"[tiers]\n# \xff\n")
    [(place, message, hint)] = problems()
    assert (place, message) == ("jobs/job.toml:7:8", "`model.tier`: batchrun.toml is not UTF-8 (byte 10)")
    assert hint == f"looked at {project}/batchrun.toml"
    (project / "batchrun.toml").unlink()
    (project / "batchrun.toml").mkdir()
    [(_, message, _)] = problems()
    assert message == "`model.tier`: batchrun.toml cannot be read: is a directory"
    (project / "batchrun.toml").rmdir()
    (project / "batchrun.toml").symlink_to("/dev/zero")
    [(_, message, _)] = problems()
    assert message == "`model.tier`: batchrun.toml cannot be read: this file is larger than 10,000,000 bytes"


def test_what_cannot_be_read_has_no_place_in_a_job_without_a_tier(project):
    (project / "jobs/job.toml").write_text(UNTIERED)
    (project / "batchrun.toml").write_bytes(b"[budget]\n# \xff\n")
    assert problems() == [
        ("batchrun.toml:1:1", "batchrun.toml is not UTF-8 (byte 11)", f"looked at {project}/batchrun.toml")
    ]


def test_a_key_is_refused_and_never_shown(project):
    (project / "batchrun.toml").write_text(f'{TIERS}[env]\napi_key = "hunter2"\n')
    with pytest.raises(JobFileError) as caught:
        load_job(project / "jobs/job.toml")
    assert "set ANTHROPIC_API_KEY" in caught.value.rendered
    assert "hunter2" not in caught.value.rendered
