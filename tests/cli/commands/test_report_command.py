"""`batchrun report`: the page of a run, written to a file."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
WIDTH_TOLD = "document.title = `${document.documentElement.scrollWidth} of ${innerWidth}`;"


@pytest.fixture
def ran(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> str:
    """A run of three documents, one of them with a hostile answer; its id."""
    project.documents(3)
    project.job()
    assert batchrun("submit jobs/trial.toml -q").code == 0
    return str(project.ask("select run_id from runs")[0][0])


def test_a_report_has_a_place_of_its_own_in_the_project(batchrun, project, ran, monkeypatch):
    found = batchrun("report")
    assert (found.code, found.out) == (0, f"results/trial-{ran}.html\n")
    page = (project.root / "results" / f"trial-{ran}.html").read_bytes()
    monkeypatch.chdir(project.root / "docs")
    again = batchrun("report trial --json")
    assert again.json["path"] == str(project.root / "results" / f"trial-{ran}.html")
    assert Path(again.json["path"]).read_bytes() == page, "the same run has the same bytes"
    assert sorted(path.name for path in (project.root / "results").glob("*.html*")) == [f"trial-{ran}.html"]


def test_a_report_goes_where_a_person_says(batchrun, project, ran):
    assert batchrun(f"report {ran[:3]} -o new/place/page.html -q").out == ""
    assert "3 of 3 documents have a valid row" in (project.root / "new/place/page.html").read_text("utf-8")
    refused = batchrun("report -o docs")
    assert (refused.code, refused.err) == (
        5,
        "error: docs cannot be written: it is a folder.\nnext: name another file\n",
    )
    below_a_file = batchrun("report -o docs/0000.txt/page.html")
    assert (below_a_file.code, "cannot be written" in below_a_file.err) == (5, True)
    falsely_named = batchrun("report -o page.pdf")
    assert (falsely_named.code, "endings: .html, .htm, .md, .json, .xml" in falsely_named.err) == (2, True)
    of_a_submit = batchrun("submit jobs/trial.toml --report page.md")
    assert (of_a_submit.code, "name it with .html" in of_a_submit.err) == (2, True)
    unknown = batchrun("report nothing")
    assert (unknown.code, "there is no run nothing" in unknown.err) == (2, True)


def test_a_simulated_run_says_so(batchrun, project):
    project.document("a.txt", "text")
    project.job()
    assert batchrun("submit jobs/trial.toml --simulate -q").code == 0
    found = batchrun("report trial --simulate --json").json
    assert found["simulated"]
    assert "<title>SIMULATED trial run sim-" in Path(found["path"]).read_text("utf-8")


def browsed(page: Path, folder: Path) -> tuple[str, list[str]]:
    """The page as a browser has it in a narrow window, and what the browser's console says."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--enable-logging=stderr", "--window-size=390,800", f"--user-data-dir={folder}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return found.stdout, [line for line in found.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_has_nothing_to_complain_about_and_nothing_to_scroll(ran, project, tmp_path, monkeypatch):
    """What a page may not load or run is told on the console: the second page shows that it would be."""
    from batchrun.report import page as page_module
    from batchrun.report.collect import collect
    from batchrun.report.markup import Markup
    from batchrun.report.page import html_page
    from batchrun.store.ledger.ledger import Ledger

    with Ledger.read(project.ledger_path) as ledger:
        report = collect(ledger, 1, root=project.root)
    page = tmp_path / "page.html"
    monkeypatch.setattr(page_module, "SCRIPT", WIDTH_TOLD)
    page.write_text(html_page(report, Markup()), "utf-8")
    shown, said = browsed(page, tmp_path / "profile")
    assert said == []
    wide, of = map(int, re.findall(r"<title>(\d+) of (\d+)</title>", shown)[0])
    assert wide <= of

    page.write_text(html_page(report, Markup('<img src="http://127.0.0.1:9/x.png" onerror="alert(1)">')), "utf-8")
    _, said = browsed(page, tmp_path / "profile")
    assert any("Content Security Policy" in line for line in said), json.dumps(said)
