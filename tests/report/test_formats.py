"""The report of a run for programs and for pull requests: JUnit XML, JSON and markdown."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from scripted_provider import ScriptedProvider, answer, status
from trial_project import TrialProject

from batchrun.report.collect import collect
from batchrun.report.documents import Wanted
from batchrun.report.formats import ReportFormat, report_parts, section_of, wanted_of
from batchrun.report.markdown import markdown
from batchrun.store.ledger.ledger import Ledger

SECRET = "the secret of @octocat | `x` <b>"
"""What an answer says that is no row, with all that markdown and XML would take for their own."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> TrialProject:
    """A run with a row, a wrong answer, a refusal, a document that the API rejects, and one that is too large."""
    trial = TrialProject(tmp_path_factory.mktemp("formats") / "project")
    source = 'type = "files"\ninclude = ["docs/*"]\nmax_document_tokens = 1000\non_oversize = "skip"'
    trial.job(source=source, output_fields='title = { type = "string?", max_length = 9 }\nday = "date?"')
    for name in ("good", "wrong", "refused", "rejected"):
        trial.document(f"{name}\n&.txt", name)
    trial.document("large.txt", "word " * 5_000)
    refusal = answer("", stop_reason="refusal", refusal=f"no, {SECRET}")
    script = {"wrong": [answer({"title": SECRET, "day": None})], "refused": [refusal], "rejected": [status(400)]}
    trial.execute(ScriptedProvider(script, default=answer({"title": "a title", "day": None})))
    return trial


def report(project: TrialProject, kind: ReportFormat, **wanted: Any) -> str:
    with Ledger.read(project.ledger_path) as ledger:
        return "".join(report_parts(ledger, 1, kind, Wanted(**wanted), root=project.root))


def cases(xml: str) -> dict[str, tuple[str, str, str]]:
    """Kind, type and message of each test case, by the name of its document."""
    (suite,) = ET.fromstring(xml)
    found = {}
    for case in suite.findall("testcase"):
        assert case.get("classname") == "trial"
        (kind,) = [(one.tag, one.get("type", ""), one.get("message", "")) for one in case] or [("", "", "")]
        found[case.get("name", "").split("/")[1].split("\\")[0]] = kind
    return found


def test_junit_has_a_case_for_each_document(project: TrialProject) -> None:
    found = cases(report(project, "junit"))

    assert found.pop("wrong")[:2] == ("failure", "invalid")
    assert found.pop("refused") == ("failure", "refused", f"refused: the model refused: no, {SECRET}")
    assert found.pop("rejected")[:2] == ("error", "rejected")
    assert found.pop("large.txt")[0] == "skipped"
    assert found == {"good": ("", "", "")}


def test_junit_counts_and_says_of_which_run(project: TrialProject) -> None:
    (suite,) = ET.fromstring(report(project, "junit"))
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}

    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "2", "1", "1"]
    assert properties["simulated"] == "false"
    assert suite.get("name") == f"trial run {properties['run_id']}"


def test_json_is_a_versioned_object_with_the_shown_documents(project: TrialProject) -> None:
    found = json.loads(report(project, "json"))

    assert found["batchrun_report"] == 1
    assert found["outcomes"] == {"succeeded": 1, "invalid": 1, "refused": 1, "rejected": 1, "skipped": 1}
    documents = found["documents"]
    assert (documents["total"], documents["problems"]) == (5, 3)
    good = next(one for one in documents["shown"] if one["outcome"] == "succeeded")
    assert good["values"] == {"title": "a title", "day": None}


def test_markdown_shows_what_others_wrote_as_it_is(project: TrialProject) -> None:
    found = report(project, "md")

    assert "1 of 5 documents" in found
    assert "@octocat" not in found
    assert "<b>" not in found
    (line,) = [line for line in found.splitlines() if "secret" in line and "invalid" in line]
    assert line.count("|") - line.count("\\|") == 5


def test_markdown_has_a_bound(project: TrialProject) -> None:
    with Ledger.read(project.ledger_path) as ledger:
        found = collect(ledger, 1, root=project.root)

    assert len(markdown(found).encode()) < 3_000
    short = markdown(found, most_bytes=400)
    assert len(short.encode()) <= 400
    assert "The rest is left out" in short


@pytest.mark.parametrize("kind", ["html", "md", "json", "junit"])
def test_without_texts_nothing_is_told_that_an_answer_says(project: TrialProject, kind: ReportFormat) -> None:
    with_texts, without = (report(project, kind, has_texts=one) for one in (True, False))

    assert "secret" in with_texts
    assert "secret" not in without
    assert "a title" not in without
    assert "title" in without, "fields are named"


def test_what_the_job_file_says_holds_for_a_past_run(project: TrialProject, tmp_path: Path) -> None:
    path = project.root / "jobs" / "trial.toml"
    assert wanted_of(section_of(path), path) == Wanted(job_path=path)
    assert wanted_of(section_of(path), path, sample=3, no_source=True) == Wanted(sample=3, has_texts=False)
    path = project.job(file="other", report="sample = 7\ninclude_source = false")
    assert wanted_of(section_of(path), path) == Wanted(sample=7, has_texts=False)
    assert not section_of(tmp_path / "gone.toml").include_source
