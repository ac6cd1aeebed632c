"""[review] of the job file: what is read, and what a person sees of a mistake."""

from pathlib import Path

import pytest

from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.planning.request_template import RequestTemplate

JOB = """\
[job]
name = "reviewed"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-4-5"
max_tokens = 1024
[prompt]
user = "{{ doc.text }}"
[output.fields]
title = "string"
day = "date?"
[budget]
max_cost_usd = 5.00
"""


def job(folder: Path, more: str) -> Path:
    path = folder / "job.toml"
    path.write_text(JOB + more)
    return path


def test_a_job_without_the_section_is_not_reviewed(tmp_path: Path) -> None:
    assert load_job(job(tmp_path, "")).spec.review is None


def test_a_section_says_what_is_promised(tmp_path: Path) -> None:
    review = load_job(job(tmp_path, "[review]\nmax_error = 0.01")).spec.review
    assert review is not None
    assert review.max_error == 0.01


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "max_error"),
        ("max_error = 0.0009", "at least 0.001"),
        ("max_error = 0.21", "at most 0.2"),
        ("max_error = nan", "finite"),
        ("max_error = 0.1\nrate = 1", "unknown key"),
    ],
    ids=map(str, range(5)),
)
def test_a_mistake_is_told(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(JobFileError) as caught:
        load_job(job(tmp_path, f"[review]\n{lines}\n"))
    assert said in str(caught.value)


def test_no_request_depends_on_the_section(tmp_path: Path) -> None:
    without = RequestTemplate(load_job(job(tmp_path, ""))).fingerprint
    assert RequestTemplate(load_job(job(tmp_path, "[review]\nmax_error = 0.01"))).fingerprint == without
