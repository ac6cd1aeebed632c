"""`batchrun check`, and checks after a submit: exit codes, what is shown and remembered, and that nothing is sent."""

import json
from xml.etree import ElementTree as ET

import pytest
from command_line import CommandLine, held
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow
SUBMIT, CHECK = "submit jobs/trial.toml", "check jobs/trial.toml"
FAILING = '[[check]]\nname = "no title"\nsql = "select doc_id, title from trial"\n'
PASSING = '[[check]]\nname = "titles are there"\ntype = "null_rate"\nfield = "title"\nmax = 0\n'
WARN = 'severity = "warn"\n'


def with_checks(project: TrialProject, *sections: str) -> None:
    path = project.job()
    path.write_text(path.read_text() + "".join(sections))


def test_a_check_that_fails(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(5)
    with_checks(project, FAILING, PASSING)
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.SOME_FAILED
    assert "finished with problems" in ran.out
    assert "  failed   no title: the query returned 5 rows\n           docs/0000.txt  title: " in ran.out
    assert ran.out.count("docs/000") == 3, "the rest is a command away"
    assert "  next     batchrun check jobs/trial.toml   # more failing rows\n" in ran.out

    sent = len(api.books.entries)
    shown = batchrun(CHECK)
    assert shown.code == ExitCode.SOME_FAILED
    assert shown.out.startswith("trial: 1 of 2 checks failed\n")
    assert shown.out.count("docs/000") == 5
    assert "passed   titles are there: title is null in 0% of the rows\n" in shown.out
    assert len(api.books.entries) == sent

    assert batchrun("status last --check").code == ExitCode.SOME_FAILED
    assert "  failed   no title: " in batchrun("status last").out
    (line,) = batchrun("status last --json").events
    assert [(one["name"], one["status"], one["number"]) for one in line["checks"]] == [
        ("no title", "failed", 5),
        ("titles are there", "passed", 0),
    ]
    assert project.rows("select exit_code from _batchrun.runs") == [(1,)]


def test_a_warning_and_a_check_that_is_added(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    with_checks(project, FAILING, WARN)
    ran = batchrun(f"{SUBMIT} --json")
    assert (ran.code, ran.events[-1]["checks"][0]["severity"]) == (ExitCode.OK, "warn")
    ran = batchrun(CHECK)
    assert (ran.code, ran.out.split("\n")[0]) == (ExitCode.OK, "trial: 1 of 1 check warned")

    with_checks(project, FAILING, WARN, PASSING.replace("max", "min").replace("0", "0.5"))
    sent = len(api.books.entries)
    again = batchrun(SUBMIT)
    assert "trial: nothing to send" in again.out
    assert "failed   titles are there: title is null in 0% of the rows; allowed is at least 50%" in again.out
    assert again.code == ExitCode.SOME_FAILED
    assert len(api.books.entries) == sent, "a check changes no request"

    monkeypatch.delenv("ANTHROPIC_API_KEY")
    ran = batchrun(f"{CHECK} --json --junit checks.xml")
    assert (ran.code, ran.json["exit_code"], ran.json["job"]) == (1, 1, "trial")
    suite = ET.parse(project.root / "checks.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")


def test_a_failed_document_is_told_first(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    with_checks(project, PASSING)
    api.simulator.extend_script(["refused"])
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.SOME_FAILED
    assert "  checks   1 check passed\n" in ran.out


def test_an_output_that_somebody_holds(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    with_checks(project, PASSING)
    batchrun(SUBMIT)
    project.documents(2)
    with held(project.database):
        ran = batchrun(SUBMIT)
        alone = batchrun(CHECK)
    assert ran.code == ExitCode.BUSY
    assert "  failed   titles are there: the check could not run: " in ran.out
    assert (alone.code, alone.out) == (ExitCode.BUSY, "")
    assert "is in use by" in alone.err
    assert batchrun(CHECK).code == ExitCode.OK


def test_what_cannot_be_checked(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(1)
    ran = batchrun(CHECK)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "there are no runs" in ran.err
    batchrun(SUBMIT)
    ran = batchrun(CHECK)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "has no [[check]]" in ran.err
    project.database.unlink()
    with_checks(project, PASSING)
    ran = batchrun(f"{CHECK} --junit nowhere/checks.xml")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "nowhere/checks.xml cannot be written" in ran.err
    assert json.loads(batchrun(f"{CHECK} --json").out)["checks"][0]["status"] == "passed", "the output is rebuilt"
