"""Ctrl-C, SIGTERM and a kill while child processes read documents: no process is left, and nothing is unknown."""

import math
import signal
import time
from pathlib import Path
from subprocess import Popen

import hostile_files
import pytest
from command_line import process, serving, talking_to
from submits import SubmitServer
from trial_project import TrialProject

from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow
PATIENCE_S = 60
DOCUMENTS = 40
SOON_S = 8.0
"""A slow document takes 25 seconds of processor time, unless the process that reads it ends before."""
ENDINGS = {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM, signal.SIGKILL: -signal.SIGKILL}


@pytest.fixture
def slow(project: TrialProject) -> TrialProject:
    project.job(source='type = "files"\ninclude = ["docs/*"]')
    for number in range(3):
        (project.root / f"docs/{number}.pdf").write_bytes(hostile_files.pdf(2))
    for name in ("a", "b"):
        (project.root / f"docs/slow {name}.pdf").write_bytes(hostile_files.slow_pdf() + name.encode())
    return project


def children_of(running: Popen[str]) -> list[int]:
    tasks = Path(f"/proc/{running.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def is_reading(pid: int) -> bool:
    """Whether the process has used a second of processor time: more than its start takes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) > 100


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_it_reads(running: Popen[str]) -> list[int]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (pids := children_of(running)) and any(map(is_reading, pids)):
            return pids
        time.sleep(0.05)
    raise AssertionError(running.communicate())


@pytest.mark.parametrize("number", ENDINGS)
@pytest.mark.parametrize("command", ["plan jobs/trial.toml --json", "submit jobs/trial.toml"])
def test_children_end_with_the_command(slow: TrialProject, command: str, number: signal.Signals) -> None:
    with serving() as api, process(command, cwd=slow.root, environment=talking_to(api)) as running:
        pids = wait_until_it_reads(running)
        since = time.monotonic()
        running.send_signal(number)
        running.communicate(timeout=PATIENCE_S)
        assert running.returncode == ENDINGS[number]
        while any(map(is_there, pids)):
            assert time.monotonic() - since < SOON_S
            time.sleep(0.05)
        assert time.monotonic() - since < SOON_S
    assert api.books.entries == []
    if slow.ledger_path.exists():
        assert slow.ask("select count(*) from attempts") == [(0,)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_over_pdfs_that_ends_early_goes_on(
    project: TrialProject, submits: SubmitServer, number: signal.Signals
) -> None:
    """The documents come from child processes, when planning and, without a cache of texts, when sending."""
    source = 'type = "files"\ninclude = ["docs/*"]\ntext_cache = "off"'
    project.job(source=source, run="max_concurrency = 4\nworkers = 2")
    for page in range(DOCUMENTS):
        (project.root / f"docs/{page:02}.pdf").write_bytes(hostile_files.pdf(1 + page))
    with serving(latency=Latency(first_token_s=0.05, tokens_per_s=math.inf)) as api:
        first = submits.submit(project.root, talking_to(api))
        first.wait_for_requests(api, 10)
        first.signal(number)
        code, _, err = first.end()
        assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number], err
        unknown = 0 if number is not signal.SIGKILL else 4
        code, out, err = submits.submit(project.root, talking_to(api)).end()
        assert code == 0, err
        assert f"succeeded        {DOCUMENTS}  100.0%" in out
        ((lost,),) = project.ask("select count(*) from attempts where state = 'unknown'")
        assert lost <= unknown
        assert api.books.summary()["billed_twice"] <= lost
        before = len(api.books.entries)
        assert submits.submit(project.root, talking_to(api)).end()[0] == 0
        assert len(api.books.entries) == before
    assert len(project.rows()) == DOCUMENTS
