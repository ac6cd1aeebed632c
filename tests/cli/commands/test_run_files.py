"""What `submit` and `retry` leave beside rows: the report, named in the summary and for programs, and JUnit XML."""

import pytest
from command_line import CommandLine, Ran
from trial_project import TrialProject

from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow


@pytest.fixture
def ran(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> Ran:
    project.documents(2)
    project.job(report='html = "results/{run}.html"')
    return batchrun("submit jobs/trial.toml --live --junit out/j.xml")


def test_a_run_leaves_its_report_and_says_where(project: TrialProject, ran: Ran, batchrun: CommandLine) -> None:
    (page,) = (project.root / "results").glob("*.html")
    assert f"  report   results/{page.name}\n" in ran.out
    assert (project.root / "out" / "j.xml").read_text().count("<testcase") == 2

    assert batchrun("report trial -o again.html").out == "again.html\n"
    assert (project.root / "again.html").read_bytes() == page.read_bytes(), "the same report, whoever writes it"

    assert batchrun("report trial --format md").out.startswith("## trial run ")
    assert batchrun("report trial --format junit -o j.xml").out == "j.xml\n"
    assert (project.root / "j.xml").read_bytes() == (project.root / "out" / "j.xml").read_bytes()

    project.document("0002.txt", "text 2")
    *_, end = batchrun("submit jobs/trial.toml --json --report r.html").events
    assert (end["event"], end["report"]) == ("run_end", "r.html")


def test_a_live_report_needs_a_file(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(1)

    ran = batchrun("submit jobs/trial.toml --live")

    assert ran.code == 2
    assert "--live needs a report to write" in ran.err
    assert "--report FILE" in ran.err
