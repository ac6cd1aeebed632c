"""`batchrun init`: a job file that works as it is, and never one in the place of another."""

from pathlib import Path

import duckdb
import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode


@pytest.fixture
def documents(project: TrialProject) -> None:
    """What the scaffold's sources name."""
    (project.root / "documents").mkdir()
    (project.root / "documents" / "letter.txt").write_text("Dear Ms Alder, we met on 3 May 2026.")
    with duckdb.connect(str(project.root / "inbox.duckdb")) as inbox:
        inbox.execute("create table tickets as select 7 as ticket_id, 'It does not start.' as body")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["files", "duckdb"])
@pytest.mark.usefixtures("documents")
def test_what_it_writes_can_be_planned(batchrun: CommandLine, source: str) -> None:
    ran = batchrun(f"init jobs/invoices.toml --source {source}")
    assert ran.code == ExitCode.OK
    assert ran.out.startswith("wrote jobs/invoices.toml\n")
    assert "batchrun plan jobs/invoices.toml" in ran.out
    plan = batchrun("plan jobs/invoices.toml --json").json
    assert (plan["job"], plan["documents"]["new"], plan["ok"]) == ("invoices", 1, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Q3 Invoices (new).toml", "q3-invoices--new"),
        ("rechnungen_müller.toml", "rechnungen-m-ller"),
        ("§.toml", "job"),
    ],
)
@pytest.mark.usefixtures("documents")
def test_any_file_name_makes_a_valid_job_name(batchrun: CommandLine, file: str, name: str) -> None:
    assert batchrun("init", file).code == ExitCode.OK
    assert batchrun("plan --json", file).json["job"] == name


def test_it_overwrites_nothing_unasked(project: TrialProject, batchrun: CommandLine) -> None:
    path = project.root / "jobs" / "trial.toml"
    before = path.read_text()
    ran = batchrun("init jobs/trial.toml")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "--force" in ran.err
    assert path.read_text() == before
    assert batchrun("init jobs/trial.toml --force").code == ExitCode.OK
    assert path.read_text() != before


def test_a_place_that_cannot_be_written(project: TrialProject, batchrun: CommandLine) -> None:
    Path("file").touch()
    ran = batchrun("init file/new.toml")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "file/new.toml cannot be written" in ran.err
