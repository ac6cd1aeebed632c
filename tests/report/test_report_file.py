"""The files that a run leaves of itself: at its end, while it goes on, and when they cannot be written."""

import errno
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.errors import EnvironmentProblem
from batchrun.events import RunStarted
from batchrun.file_system import replace_file
from batchrun.integrations.observers import observers_of
from batchrun.report.report_file import ReportFile, Target, report_files
from batchrun.workflow.open_job import open_job
from batchrun.workflow.summary import Summary

HTML = 'html = "results/{job}-{run}.html"'
WAIT_S = 60.0


@pytest.fixture
def ran(project: TrialProject, no_output: None) -> Summary:
    project.job(report=HTML)
    project.documents(2)
    return project.submit(ScriptedProvider())


def run_id(summary: Summary) -> str:
    assert summary.totals is not None
    return summary.totals.run_id


def told(project: TrialProject, summary: Summary, **files: Any) -> tuple[dict[str, Path], list[str]]:
    """Tell all observers of a job that a run has ended. Returns the files, and what was warned of."""
    said: list[str] = []
    written = dict[str, Path]()
    with project.opened() as opened:
        observers_of(opened, report_files(opened, **files), written, warn=said.append, say=said.append).ended(summary)
    return written, said


def test_a_run_leaves_the_report_that_the_job_file_names(project: TrialProject, ran: Summary) -> None:
    files, said = told(project, ran)

    path = project.root / "results" / f"trial-{run_id(ran)}.html"
    assert files == {"html": path}
    assert "text 1" in path.read_text(), "the beginning of a document"
    assert 'http-equiv="refresh"' not in path.read_text()
    assert said == []


def test_a_command_names_other_files(project: TrialProject, ran: Summary, tmp_path: Path) -> None:
    report, junit = tmp_path / "new" / "r.html", tmp_path / "j.xml"

    files, _ = told(project, ran, report=report, junit=junit)

    assert files == {"html": report, "junit": junit}
    assert junit.read_text().count("<testcase") == 2
    assert not list((project.root / "results").glob("*.html"))


def test_a_job_without_the_section_leaves_nothing(project: TrialProject, ran: Summary) -> None:
    project.job()

    assert told(project, ran) == ({}, [])


def test_nothing_is_written_of_a_command_that_had_nothing_to_run(project: TrialProject, ran: Summary) -> None:
    again = project.submit(ScriptedProvider())
    assert again.totals is None

    assert told(project, again) == ({}, [])


def test_what_the_section_says_holds(project: TrialProject, ran: Summary) -> None:
    project.job(report=f"{HTML}\ninclude_source = false")

    files, _ = told(project, ran)

    assert "text 1" not in files["html"].read_text()


def test_a_simulated_run_writes_over_no_report_of_a_real_one(project: TrialProject) -> None:
    project.documents(1)
    paths = []
    for html, is_simulated in (("r.html", False), ("r.html", True), ("{run}.html", True)):
        path = project.job(report=f'html = "{html}"')
        with open_job(path, simulated=is_simulated, to_run=False) as opened:
            (target,) = report_files(opened)
            paths.append(ReportFile(opened, target, {}, print)._path("sim-8f3c").name)

    assert paths == ["r.html", "r.simulated.html", "sim-8f3c.html"]


def test_the_report_of_a_run_is_no_document(project: TrialProject) -> None:
    project.job(source='type = "files"\ninclude = ["**/*.html", "**/*.txt"]', report='html = "out/{run}.html"')
    project.documents(1)
    for name in ("8f3c.html", "sim-8f3c.html", "index.html"):
        (project.root / "out").mkdir(exist_ok=True)
        (project.root / "out" / name).write_text("<p>words</p>")

    with project.opened() as opened:
        found = [file.source for shard in opened.source.shards() for file in shard.files]

    assert found == ["docs/0000.txt", "out/index.html"]


# --- a live report


@pytest.fixture
def live(project: TrialProject, ran: Summary) -> Iterator[tuple[ReportFile, list[str]]]:
    said: list[str] = []
    with project.opened() as opened:
        yield ReportFile(opened, Target(kind="html", is_live=True), {}, said.append), said


def started(summary: Summary) -> RunStarted:
    return RunStarted(run_id(summary), "trial", "m", to_send=2, route="stream", resumed=False, spent_nusd=0, cap_nusd=1)


def test_a_live_report_reloads_itself_until_the_end(
    project: TrialProject, ran: Summary, live: tuple[ReportFile, list[str]]
) -> None:
    file, said = live
    path = project.root / "results" / f"trial-{run_id(ran)}.html"

    file.heard(started(ran))
    until = time.monotonic() + WAIT_S
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    page = path.read_text()
    file.ended(ran)

    assert '<meta http-equiv="refresh" content="15"/>' in page
    assert 'http-equiv="refresh"' not in path.read_text()
    assert said == []


def test_a_live_report_that_fails_is_told_once_and_ends(
    project: TrialProject, ran: Summary, live: tuple[ReportFile, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, said = live
    monkeypatch.setattr("batchrun.report.formats.report_parts", lambda *_, **__: 1 / 0)

    file.heard(started(ran))
    assert file._thread is not None
    file._thread.join(WAIT_S)
    file.heard(started(ran))
    file.failed(None)

    assert said == ["the live report: ZeroDivisionError; the run goes on without"]


# --- what cannot be written


def test_a_report_that_cannot_be_written_is_told_and_harms_nothing(
    project: TrialProject, ran: Summary, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")

    for path, why in (
        (tmp_path / "folder", "cannot be written: it is a folder"),
        (tmp_path / "file" / "r.html", "cannot be written: File exists"),
        (Path("/dev/null"), "cannot be written: it is a device"),
        (tmp_path / ("x" * 300), "cannot be written: File name too long"),
    ):
        files, said = told(project, ran, report=path)
        assert files == {}
        (words,) = said
        assert why in words
    assert (tmp_path / "file").read_text() == "kept"


def test_a_full_disk_leaves_the_file_of_before(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("before")

    def parts() -> Iterator[str]:
        yield "the beginning"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(EnvironmentProblem, match="No space left on device"):
        replace_file(path, parts())
    assert [one.name for one in tmp_path.iterdir()] == ["r.html"]
    assert path.read_text() == "before"
