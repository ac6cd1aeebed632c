"""A setting written into a job file: everything else stays as a person wrote it."""

from difflib import unified_diff
from pathlib import Path

import pytest

from batchrun.job.load import load_job
from batchrun.quality.tune.job_text import written
from batchrun.quality.tune.settings import Setting

REST = """
[job]
name = "trial"   # a name

[source]
type = "files"
include = ["docs/*.txt"]

[output.fields]
title = "string"

[budget]
max_cost_usd = 1.0
"""
PROMPT = '[prompt]\nuser = """\n{{ doc.text }}"""   # the question\n'
OWN = '# the model\n[model]\nname = "claude-opus-4-6"   # dear\neffort = "high"\nmax_tokens = 100  # enough\n\n'
CHEAP = Setting("claude-haiku-4-5", None, None)


def changed(tmp_path: Path, text: str, setting: Setting) -> str:
    path = tmp_path / "trial.toml"
    path.write_bytes(text.encode())
    return written(text, load_job(path), setting)


def test_comments_and_order_stay(tmp_path):
    text = OWN + PROMPT + REST
    after = changed(tmp_path, text, Setting("claude-sonnet-4-6", "low", "disabled"))
    changes = unified_diff(text.splitlines(), after.splitlines(), lineterm="", n=2)
    assert list(changes)[3:] == [
        " # the model",
        " [model]",
        '-name = "claude-opus-4-6"   # dear',
        '-effort = "high"',
        '+name = "claude-sonnet-4-6"   # dear',
        '+effort = "low"',
        " max_tokens = 100  # enough",
        '+thinking = "disabled"',
        " ",
        " [prompt]",
    ]


def test_what_the_job_has_already_changes_nothing(tmp_path):
    text = OWN + PROMPT + REST
    assert changed(tmp_path, text, Setting("claude-opus-4-6", "high", None)) == text


def test_a_prompt_in_a_file_takes_the_place_of_the_prompt_in_the_job_file(tmp_path):
    after = changed(tmp_path, OWN + PROMPT + REST, Setting("claude-opus-4-6", "high", None, "b.md"))
    assert '[prompt]\nuser_file = "b.md"\n' in after
    assert "doc.text" not in after


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ('[model]\nname = "claude-opus-4-6"\nfallbacks = ["claude-haiku-4-5", "claude-sonnet-4-6"]\nmax_tokens = 9',
         '[model]\nname = "claude-haiku-4-5"\nfallbacks = ["claude-sonnet-4-6"]\nmax_tokens = 9'),
        ('[model]\nmax_tokens = 9\n\n[cascade]\nmodels = ["claude-haiku-4-5", "claude-sonnet-4-6"]',
         '[model]\nmax_tokens = 9\nname = "claude-haiku-4-5"'),
        ('[model]\nname = "claude-opus-4-5"\nthinking = "enabled"\nbudget_tokens = 1024\nmax_tokens = 2000',
         '[model]\nname = "claude-haiku-4-5"\nmax_tokens = 2000'),
    ],
    ids=["fallbacks", "cascade", "thinking"],
)  # fmt: skip
def test_no_other_model_stands_in_the_way(tmp_path, model, expected):
    after = changed(tmp_path, f"{PROMPT}{REST}\n{model}\n", CHEAP)
    assert after.rstrip().endswith(expected)
    path = tmp_path / "trial.toml"
    path.write_text(after)
    assert load_job(path).spec.model.name == "claude-haiku-4-5"


def test_a_tier_gives_way_to_the_name_of_a_model(tmp_path):
    (tmp_path / "batchrun.toml").write_text('[tiers]\nsimple = ["claude-opus-4-6", "claude-haiku-4-5"]\n')
    after = changed(tmp_path, f'[model]\ntier = "simple"\nmax_tokens = 9\n{PROMPT}{REST}', CHEAP)
    assert after.startswith('[model]\nmax_tokens = 9\nname = "claude-haiku-4-5"\n')


def test_lines_end_as_they_did(tmp_path):
    text = (OWN + PROMPT + REST).replace("\n", "\r\n")
    after = changed(tmp_path, text, CHEAP)
    assert after.count("\n") == after.count("\r\n") == text.count("\r\n") - 1


def test_keys_in_one_line(tmp_path):
    text = 'model = { name = "claude-opus-4-6", max_tokens = 9 }\nprompt.user = "{{ doc.text }}"\n' + REST
    after = changed(tmp_path, text, Setting("claude-opus-4-6", "low", None, "b.md"))
    assert after.startswith(
        'model = { name = "claude-opus-4-6", max_tokens = 9, effort = "low"}\nprompt.user_file = "b.md"\n'
    )
