"""Files that take too much time or memory, among good ones: each is one named failure, and all others are answered."""

from collections import Counter
from pathlib import Path

import hostile_files
import pytest
from command_line import CommandLine
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.planning import settled_files
from batchrun.workers import open_pool
from batchrun.workers.children import Children
from batchrun.workers.limits import Limits

pytestmark = pytest.mark.slow
TIGHT = Limits(memory_bytes=1_000_000_000, cpu_s=1.5, wall_s=20.0)


@pytest.fixture
def mixed(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """Good files before and behind bad ones."""
    monkeypatch.setattr(settled_files, "TICK_NS", -(10**18))
    monkeypatch.setattr(open_pool, "Children", lambda: Children(2, TIGHT))
    project.job(source='type = "files"\ninclude = ["docs/*"]')
    docs = project.root / "docs"
    for number in (1, 2, 5, 6):
        (docs / f"{number} good.pdf").write_bytes(hostile_files.pdf(number))
        (docs / f"{number} good.html").write_text(f"<p>page {number}</p>")
        (docs / f"{number} good.txt").write_text(f"text {number}")
    (docs / "3 slow.pdf").write_bytes(hostile_files.slow_pdf())
    (docs / "4 hungry.html").write_bytes(hostile_files.hungry_html())
    return project


def test_all_others_are_answered(mixed: TrialProject) -> None:
    provider = ScriptedProvider()

    summary = mixed.submit(provider)

    assert summary.exit_code is ExitCode.SOME_FAILED
    assert Counter(mixed.statuses().values()) == {"succeeded": 12, "unreadable": 2}
    assert len(provider.sent) == 12
    reasons = dict(mixed.ask("select doc_id, reason from documents where outcome = 'unreadable'"))
    assert reasons.keys() == {"docs/3 slow.pdf", "docs/4 hungry.html"}
    assert reasons["docs/3 slow.pdf"] == "reading it took more than 1.5 seconds of processor time"
    again = ScriptedProvider()
    assert mixed.submit(again).exit_code is ExitCode.SOME_FAILED
    assert again.sent == []


def test_a_plan_in_json_stays_json_when_children_die(
    mixed: TrialProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mixed.root)

    ran = CommandLine(capsys)("plan jobs/trial.toml --json")

    assert ran.json["documents"]["unreadable"] == 2, [(one["id"], one["reason"]) for one in ran.json["problems"]]
    assert ran.json["documents"]["to_send"] == 12
    assert "Traceback" not in ran.err


def test_what_the_machine_did_is_not_remembered_of_a_document(
    mixed: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The out-of-memory killer, and a machine with much else to do, say little of a document."""
    (mixed.root / "docs/4 hungry.html").unlink()
    monkeypatch.setattr(open_pool, "Children", lambda: Children(2, TIGHT._replace(cpu_s=60.0, wall_s=0.5)))
    mixed.submit(ScriptedProvider())
    assert mixed.statuses()["3 slow.pdf"] == "unreadable"

    assert mixed.ask("select file from read_files where file like '%slow%'") == []
    assert len(mixed.ask("select file from read_files")) == 12


def test_texts_are_extracted_once_for_plan_and_submit(
    mixed: TrialProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("3 slow.pdf", "4 hungry.html"):
        (mixed.root / "docs" / name).unlink()
    mixed.plan()
    kept = sorted(path.name for path in (mixed.root / ".batchrun/texts").rglob("*") if path.is_file())
    assert len(kept) == 8
    submitted = ScriptedProvider()
    monkeypatch.setattr(open_pool, "Children", lambda: Children(2, TIGHT._replace(memory_bytes=1)))

    assert mixed.submit(submitted).exit_code is ExitCode.OK, "no child is needed, which could not even start"
    assert len(submitted.sent) == 12


def test_a_cache_that_is_off_writes_nothing(mixed: TrialProject) -> None:
    for name in ("3 slow.pdf", "4 hungry.html"):
        (mixed.root / "docs" / name).unlink()
    mixed.job(source='type = "files"\ninclude = ["docs/*"]\ntext_cache = "off"')

    assert mixed.submit(ScriptedProvider()).exit_code is ExitCode.OK
    assert not (mixed.root / ".batchrun/texts").exists()
