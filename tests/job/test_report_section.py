"""[report] of the job file: what is read, and what a person sees of a mistake."""

from pathlib import Path

import pytest
from small_job import HEAD

from batchrun.job.decisive_keys import decisive_keys
from batchrun.job.load import JobFile, load_job
from batchrun.job.problems import JobFileError
from batchrun.job.report_section import ReportSection
from batchrun.planning.request_template import RequestTemplate

JOB = HEAD + '[output.fields]\ntitle = "string"\n[budget]\nmax_cost_usd = 1\n'
WHOLE = '[report]\nhtml = "results/{job}/{run}.html"\nsample = 5\ninclude_source = false\n'


def job(folder: Path, more: str) -> JobFile:
    path = folder / "job.toml"
    path.write_text(JOB + more)
    return load_job(path)


def test_a_job_without_the_section_leaves_no_report(tmp_path: Path) -> None:
    section = job(tmp_path, "").spec.report

    assert section == ReportSection()
    assert section.path(run="8f3c", job="x") is None
    assert (section.sample, section.include_source) == (60, True)


def test_a_path_names_the_run_and_the_job(tmp_path: Path) -> None:
    section = job(tmp_path, WHOLE).spec.report

    assert section.path(run="8f3c", job="x") == "results/x/8f3c.html"
    assert (section.sample, section.include_source) == (5, False)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('html = "results/{date}.html"', '"{date}" stands for nothing'),
        ('html = "results/{run.html"', "stands for nothing"),
        ('html = "results/run}.html"', '"}" stands for nothing'),
        ('html = "results/{}.html"', '"{}" stands for nothing'),
        ('html = "jobs/x.toml"', "ends in .html"),
        ('html = " "', "some text"),
        ('html = "a\\u0000.html"', "ends in .html"),
        ("sample = -1", "at least 0"),
        ("sample = 201", "at most 200"),
        ('include_source = "no"', "true or false"),
        ("rows = 1", "unknown key"),
    ],
    ids=range(11),
)
def test_a_mistake_is_told(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(JobFileError) as caught:
        job(tmp_path, f"[report]\n{lines}\n")
    assert said in str(caught.value)
    assert "job.toml:" in str(caught.value)


def test_nothing_of_a_request_or_a_comparison_depends_on_the_section(tmp_path: Path) -> None:
    without, with_report = job(tmp_path, ""), job(tmp_path, WHOLE)

    assert RequestTemplate(without).fingerprint == RequestTemplate(with_report).fingerprint
    assert decisive_keys(without) == decisive_keys(with_report)
