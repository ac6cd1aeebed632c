"""A project is found from everywhere, and what was paid for is never left behind in a ledger elsewhere."""

import shutil
from pathlib import Path

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path, project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plain folder with documents, in which a person stands."""
    root = tmp_path / "papers"
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "letter.txt").write_text("Dear Ms Alder")
    monkeypatch.chdir(root)
    return root


def job_in(folder: Path, project: TrialProject, name: str = "trial") -> Path:
    """Bring a job file into `folder/jobs`."""
    (folder / "jobs").mkdir(exist_ok=True)
    return Path(shutil.copy(project.job(name), folder / "jobs" / f"{name}.toml"))


def test_init_makes_a_project_that_every_command_finds(
    folder: Path, project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = batchrun("init jobs/new.toml")
    assert f"project: {folder}\n" in ran.out
    assert (folder / ".batchrun" / ".gitignore").read_text() == "*\n"
    job_in(folder, project)
    assert batchrun("submit jobs/trial.toml").code == ExitCode.OK
    assert not (folder / "jobs" / ".batchrun").exists()
    for below in ("docs", "jobs", "."):
        monkeypatch.chdir(folder / below)
        assert " trial " in batchrun("status").out
        assert "trial" in batchrun("cost").out
        assert batchrun("results trial --format jsonl").code == ExitCode.OK
    (folder / ".git").mkdir()
    (folder / "pyproject.toml").touch()
    assert batchrun("plan jobs/trial.toml --json").json["documents"]["to_send"] == 0


def test_without_any_mark_it_is_told_where_it_was_looked(
    folder: Path, project: TrialProject, batchrun: CommandLine
) -> None:
    job_in(folder, project)
    looked = f"batchrun.toml, .batchrun/, .git or pyproject.toml in {folder}"
    for command in ("status", "cost", "results trial"):
        assert looked in batchrun(command).err
    assert f"nothing matches docs/*.txt below {folder}/jobs" in batchrun("plan jobs/trial.toml").err
    shutil.copytree(folder / "docs", folder / "jobs" / "docs")
    shown = batchrun("plan jobs/trial.toml")
    assert f"project  {folder}/jobs, the job file's own folder: there is no batchrun.toml" in shown.words


def test_the_old_place_of_a_ledger_stays_the_project(
    folder: Path, project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    """A job file in a plain folder had its ledger beside it; nothing that is made above may hide that ledger."""
    job_in(folder, project)
    shutil.copytree(folder / "docs", folder / "jobs" / "docs")
    assert batchrun("submit jobs/trial.toml").code == ExitCode.OK
    assert (folder / "jobs" / ".batchrun").is_dir()
    assert "there are runs in jobs" in batchrun("status").err
    (folder / ".git").mkdir()
    (folder / "batchrun.toml").touch()
    assert batchrun("plan jobs/trial.toml --json").json["documents"]["to_send"] == 0
    assert " trial " in batchrun("status jobs/trial.toml").out
    shown = batchrun("plan jobs/trial.toml").out
    assert f"which .batchrun marks: batchrun.toml in {folder} does not count" in shown, "nor do its caps"


def test_a_mark_between_a_job_file_and_its_ledger_does_not_hide_the_ledger(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    batchrun("submit jobs/trial.toml")
    (project.root / "jobs" / "batchrun.toml").touch()
    assert batchrun("plan jobs/trial.toml --json").json["documents"]["to_send"] == 0
    assert not (project.root / "jobs" / ".batchrun").exists()
    shown = batchrun("plan jobs/trial.toml").out
    said = f"whose ledger has runs of the job file: batchrun.toml in {project.root}/jobs does not count"
    assert f"project  {project.root}, {said}" in shown, "nor do its caps"


def test_a_ledger_with_another_name_is_found_too(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(store='database = "results/out.duckdb"\nledger = "money.sqlite3"')
    project.documents(2)
    batchrun("submit jobs/trial.toml")
    (project.root / "jobs" / ".batchrun").mkdir()
    assert batchrun("plan jobs/trial.toml --json").json["documents"]["to_send"] == 0


def test_what_to_type_first_is_quoted(folder: Path, project: TrialProject, batchrun: CommandLine) -> None:
    job_in(folder, project).rename(folder / "jobs" / "my trial.toml")
    assert "next: batchrun plan 'jobs/my trial.toml'\n" in batchrun("status").err
    assert "batchrun init 'jobs/no such.toml'\n" in batchrun("plan", "jobs/no such.toml").err


def test_a_job_file_outside_belongs_to_the_project_of_the_current_directory(
    folder: Path, project: TrialProject, batchrun: CommandLine, tmp_path: Path
) -> None:
    (folder / ".batchrun").mkdir()
    outside = shutil.copy(project.job(), tmp_path / "outside.toml")
    shown = batchrun(f"plan {outside}")
    assert f"project  {folder}, the project of the current directory" in shown.out
    assert "1 new" in shown.out
