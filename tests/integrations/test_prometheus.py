"""The file for Prometheus: what it keeps of earlier runs, and what it says of a run that did not begin."""

from pathlib import Path

import pytest
from heard_run import run_with_observers
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.errors import ExitCode, Refused
from batchrun.integrations.prometheus import Textfile, earlier_success, textfile

SUCCESS = 'batchrun_last_success_timestamp_seconds{batchrun_job="trial"} '


def value_of(text: str, name: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(f"batchrun_{name}{{")]
    return line.rsplit(" ", 1)[1]


def test_the_last_success_outlives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "trial.prom"
    path.write_text(textfile("trial", ExitCode.OK, now=1_000.5, success=1_000.5))
    Textfile(path, "trial").failed(Refused("too expensive"))
    text = path.read_text("utf-8")
    assert value_of(text, "last_run_exit_code") == "3"
    assert value_of(text, "last_success_timestamp_seconds") == "1000.5"
    assert float(value_of(text, "last_run_timestamp_seconds")) > 1_000.5


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", SUCCESS.encode() + b"NaN\n", SUCCESS.replace("trial", "other").encode() + b"1\n"]
)
def test_a_file_that_says_nothing_of_the_job_is_no_success(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trial.prom"
    assert earlier_success(path, "trial") is None
    path.write_bytes(content)
    assert earlier_success(path, "trial") is None


def test_a_folder_that_is_missing_is_told_once_and_costs_no_run(project: TrialProject) -> None:
    project.documents(1)
    path = project.job()
    path.write_text(path.read_text() + '[metrics]\nprometheus_textfile = "nowhere/x.prom"\n')
    heard = run_with_observers(project, ScriptedProvider())
    assert heard.summary.exit_code is ExitCode.OK
    (said,) = heard.said
    assert said.startswith("Textfile: No such file or directory: ")
    assert "nowhere/.x.prom" in said
