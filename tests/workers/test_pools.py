"""Whoever reads the documents, ids, plan and answers are the same, and the death of a reader costs only time."""

import json
import os
import pickle
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hostile_files
import pytest
from command_line import KEY, REPOSITORY
from hostile_reading import process_of, variables_of
from scripted_provider import ScriptedProvider
from trial_project import TrialProject, caller_of

from batchrun import documents
from batchrun.cli.interrupts import run_async
from batchrun.cli.views.plan_text import plan_as_text
from batchrun.cli.views.terminal import Terminal
from batchrun.documents.tables import text_table
from batchrun.errors import ExitCode
from batchrun.job.spec import WorkersSetting
from batchrun.planning.selection import Selection
from batchrun.workers import open_pool
from batchrun.workers.children import Children
from batchrun.workers.limits import Limits
from batchrun.workflow.open_job import OpenJob, SubmitOptions, open_job
from batchrun.workflow.submit import submit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_output")]
TIGHT = Limits(cpu_s=0.5)
GOOD = 39


@dataclass(frozen=True)
class Planned:
    """What a plan was, to be compared."""

    text: str
    digests: tuple[str, ...]
    rows: tuple[Any, ...]


@pytest.fixture
def folder(project: TrialProject, kind: WorkersSetting, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """Files of several formats in many shards, and among them one that ends whatever reads it."""
    monkeypatch.setattr(documents, "MAX_SHARD_DOCUMENTS", 3)
    docs = project.root / "docs"
    for number in range(30):
        project.document(f"{number:02}.txt", f"text {number}")
    for number in range(1, 9):
        (docs / f"{number * 3:02} {number}.pdf").write_bytes(hostile_files.pdf(number, 20_000))
    shutil.copy(REPOSITORY / "sample_data" / "office" / "services-agreement.docx", docs / "12 a.docx")
    if kind in {"ray", "dask"}:  # whose workers have the usual limits
        (docs / "13 hostile.html").write_bytes(hostile_files.hungry_html())
    else:
        monkeypatch.setattr(open_pool, "Children", partial(Children, limits=TIGHT))
        (docs / "13 hostile.pdf").write_bytes(hostile_files.slow_pdf())
    (docs / "14 broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    project.job(source='type = "files"\ninclude = ["docs/*"]')
    return project


@pytest.fixture
def table(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """Rows of one table in many shards."""
    monkeypatch.setattr(text_table, "SLICE", 400)
    rows = [f"{number},text {number} {'word ' * (number % 7)}" for number in range(GOOD)]
    (project.root / "rows.csv").write_text("\n".join(["id,body", *rows]))
    project.job(source='type = "table"\npath = "rows.csv"\nid = "id"\ntext = "body"')
    return project


def planned(project: TrialProject, kind: WorkersSetting, heard: Callable[[OpenJob], None]) -> Planned:
    """Plan the job, whose file names the workers; `heard` is called whenever a shard was read."""
    path = project.root / "jobs" / "trial.toml"
    path.write_text(re.sub(r"\[run\]\n(workers.*\n)?", f"[run]\nworkers = {json.dumps(kind)}\n", path.read_text()))
    options = SubmitOptions(planning=lambda *_: heard(opened))
    with open_job(path, simulated=False, to_run=False, options=options) as opened:
        planner = opened.planner(options)
        plan = run_async(planner.plan(Selection()))
        rows = opened.ledger.connection.execute("select * from planned order by planned_no").fetchall()
        text = plan_as_text(
            plan, opened, Terminal(json=False, quiet=0, verbose=0, color="never"), path, runs=True, file=None
        )
        return Planned(text, (planner.settings, planner.fingerprint), tuple(rows))


class Killer:
    """Kills what reads, by and by, amid the reading."""

    def __init__(self, kills: int = 2) -> None:
        self.kills = kills
        self.heard = 0
        self.pids: list[int] = []

    def __call__(self, opened: OpenJob) -> None:
        self.heard += 1
        if self.heard == 1:
            calls = [opened.pool.submit(process_of) for _ in range(6 * opened.pool.number)]
            self.pids = sorted({call.result() for call in calls} - {os.getpid()})
        elif self.pids and self.kills:
            os.kill(self.pids.pop(), signal.SIGKILL)
            self.kills -= 1


@pytest.mark.parametrize("source", ["folder", "table"])
def test_plans_are_the_same_although_readers_are_killed(
    source: str, kind: WorkersSetting, request: pytest.FixtureRequest
) -> None:
    project: TrialProject = request.getfixturevalue(source)
    expected = planned(project, "auto", lambda _: None)
    killer = Killer()

    found = planned(project, kind, killer)

    assert found == expected
    assert killer.kills < 2, "something was killed"
    assert len(found.rows) == GOOD + 2 * (source == "folder")


def test_answers_are_the_same_although_readers_are_killed(folder: TrialProject, kind: WorkersSetting) -> None:
    provider, killer, options = ScriptedProvider(), Killer(), SubmitOptions(workers=kind)
    path = folder.job(source='type = "files"\ninclude = ["docs/*"]\nexclude = ["docs/*hostile*"]')
    with open_job(path, simulated=False, to_run=True, options=options) as opened:
        caller = caller_of(provider, lambda _: killer(opened))
        summary = run_async(submit(opened, Selection(), caller, show=lambda _: None, options=options))

    assert summary.exit_code is ExitCode.SOME_FAILED
    assert Counter(folder.statuses().values()) == {"succeeded": GOOD, "unreadable": 1}
    assert len(provider.sent) == len(set(provider.sent)) == GOOD


def test_no_key_travels(folder: TrialProject, kind: WorkersSetting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    path, options = folder.root / "jobs" / "trial.toml", SubmitOptions(workers=kind)
    with open_job(path, simulated=False, to_run=False, options=options) as opened:
        weigher = opened.planner().workers.weigher
        packed = pickle.dumps((weigher.weigh, weigher.prepare))
        there = opened.pool.submit(variables_of).result()
    assert KEY.encode() not in packed
    assert len(packed) < 100_000
    assert there["PATH"] == os.environ["PATH"]
    assert KEY not in there.values()


def test_documents_that_only_this_machine_has_stay_here(tmp_path: Path) -> None:
    assert isinstance(open_pool.open_pool("ray", lambda: ((), None, ""), is_shared=False), Children)
