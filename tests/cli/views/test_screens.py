"""What stands on a terminal: results, runs, a run that is watched, and the words before a run's first answer."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, clean_environment, on_a_terminal, submitted
from terminal_screen import Screen
from trial_project import TrialProject

from batchrun import cli
from batchrun.cli.views import progress
from batchrun.cli.views.progress import Progress
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode
from batchrun.events import DocumentSettled, RunStarted, Tick
from batchrun.outcome import Outcome
from batchrun.store.ledger.job_lock import job_lock
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import MinuteUse
from batchrun.store.ledger.run_metrics import RunMetrics

NOW = 1_770_000_000.0
STARTED = RunStarted(
    run_id="8f3c", job="contracts", model="claude-haiku-4-5", to_send=1200, route="stream", resumed=False,
    spent_nusd=0, cap_nusd=40_000_000_000,
)  # fmt: skip


# --- a bar


def watched_stderr(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Stderr as a terminal, on which bars tick fast."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "TICK_S", 0.001)
    return screen


def until(seen: Callable[[], bool]) -> None:
    """Wait for the ticker."""
    end = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_plan_says_what_it_does_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = watched_stderr(monkeypatch)
    shown = Progress(Terminal(), "auto")
    shown.planning("starting", 0)
    assert stderr.shown == ["starting  00:00"]
    for phase, documents, words in [
        ("ray", 0, "waiting for ray to read the first documents  00:00"),
        ("reading", 312, "reading documents: 312  00:00"),
        ("counting", 1200, "counting tokens: 1,200  00:00"),
        ("asking", 1200, "asking the API for counts: 1,200  00:00"),
    ]:
        shown.planning(phase, documents)
        until(lambda words=words: words in stderr.getvalue())
    shown.close()
    assert [line.rstrip() for line in stderr.shown] == [""]


def test_a_bar_ticks_before_the_first_answer_and_names_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = watched_stderr(monkeypatch)
    shown = Progress(Terminal(), "auto")
    shown(STARTED)
    assert "0/1200 00:00<?, waiting for the first answer" in stderr.shown[0]
    before = stderr.getvalue().count("\r")
    until(lambda: stderr.getvalue().count("\r") > before + 3)
    shown.limit = "input 93%"
    shown(Tick())
    shown(DocumentSettled("nda", Outcome.INVALID, "no title", 10_490_000_000))
    shown.close()
    problem, bar = stderr.shown
    assert problem.rstrip() == "  invalid   nda   no title"
    assert re.search(r"1/1200 .*, \$10\.49/\$40\.00 · 1 invalid · input 93%", bar)


@pytest.mark.parametrize("mode", ["lines", "none"])
def test_elsewhere_a_plan_says_nothing(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    stderr = watched_stderr(monkeypatch)
    Progress(Terminal(), mode).planning("reading", 312)
    assert stderr.getvalue() == ""


# --- a run that is watched


@pytest.fixture(scope="module")
def once_running(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three documents, of which one is pending, as a process that still runs would leave the ledger."""
    project = TrialProject(tmp_path_factory.mktemp("running") / "project")
    project.job()
    project.documents(3)
    assert submitted(project.root, "ok", "schema_violation") == ExitCode.SOME_FAILED
    ledger = Ledger.open(project.ledger_path)
    with ledger.transaction():
        execute = ledger.connection.execute
        execute("update runs set state = 'running', exit_code = null, run_id = '8f3c', started_at = ?", (NOW - 60,))
        execute("update attempts set started_at = ? - 62 + attempt_no, ended_at = ? - 31 + attempt_no", (NOW, NOW))
        execute("update attempts set latency_s = 1.5, first_byte_s = 0.5")
        execute("update requests set outcome = null where request_no = 3")
        execute("update attempts set outcome = null, state = 'failed', cause = 'http_529', message = ?"
                " where attempt_no = 3", ("Overloaded: " + "please wait " * 20,))  # fmt: skip
        execute("delete from minutes")
        use = MinuteUse("claude-haiku-4-5", int(NOW // 60), 54, 1_860_000, 8_000, 1_000, 2_000_000, None)
        RunMetrics(ledger).add(1, [use], [])
    ledger.close()
    return project.root


@pytest.fixture
def running(project: TrialProject, once_running: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody has the lock of the job, and it is the time at which the ledger was left."""
    shutil.copytree(once_running, project.root, dirs_exist_ok=True)
    monkeypatch.setattr("batchrun.cli.views.status_text.time.time", lambda: NOW)
    with job_lock(project.ledger_path, "trial"):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 200])
def test_a_run_is_watched_in_one_place(
    project: TrialProject, running: None, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    screen, looks = Screen(), list[list[str]]()
    monkeypatch.setattr(sys, "stdout", screen)
    for name, value in {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)

    def look(_: float) -> None:
        looks.append(screen.shown)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", look)
    assert cli.run(["status", "--watch"]) == ExitCode.INTERRUPTED
    assert looks[0] == looks[1] == looks[2] == screen.shown, "drawn over, and left as it was"
    assert all(len(line) <= columns for line in screen.shown)
    header, row, _, run, ends, spent, outcomes, limits, error, second = screen.shown
    assert header.split()[:4] == ["RUN", "JOB", "STATE", "DONE"]
    assert row.split()[:5] == ["8f3c", "trial", "running", "2/3", "66%"]
    assert ("BUDGET" in header, header.endswith("END")) == (columns == 200, True)
    assert run == "run 8f3c"
    assert re.fullmatch(r"  ends     about \d\d:\d\d UTC, in \d\d s", ends)
    assert re.fullmatch(r"  spent    \$0\.\d+ of \$1\.00 \(0%\)", spent)
    assert outcomes == "  outcomes succeeded 1 · invalid 1 · pending 1"
    assert limits == "  limits   input tokens 93% binds · requests 5%"
    assert re.match(r"  errors   \d\d:\d\d:\d\d UTC  docs/0002.txt  http_529  Overloaded: please wait", error)
    assert error.endswith("…") == (columns == 80) or columns == 200
    assert "docs/0001.txt  invalid" in second


@pytest.mark.slow
def test_through_a_pipe_nothing_is_said_twice(
    project: TrialProject, running: None, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def look(_: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", look)
    ran = batchrun("status --watch")
    assert ran.out.count("RUN ") == 1
    assert "\x1b" not in ran.out
    assert "please wait " * 19 + "please wait\n" in ran.out, "nothing is cut"
    (told,) = batchrun("status trial --json").events
    assert told["counts"] == {"succeeded": 1, "invalid": 1, "pending": 1}
    assert told["limits"] == {"requests": 0.054, "input_tokens": 0.93, "output_tokens": None}
    assert [error["doc_id"] for error in told["errors"]] == ["docs/0002.txt", "docs/0001.txt"]
    assert 0 < told["eta_s"] < 60


@pytest.mark.slow
def test_only_simulated_runs(project: TrialProject, running: None, batchrun: CommandLine) -> None:
    assert batchrun("status --simulate").out == ""
    assert batchrun("status --simulate last").code == ExitCode.USAGE


@pytest.mark.parametrize("option", ["status --interval", "sync --wait", "submit jobs/trial.toml --speed"])
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_times_are_numbers(batchrun: CommandLine, option: str, number: str) -> None:
    ran = batchrun(f"{option} {number}")
    assert ran.code == ExitCode.USAGE
    assert f"'{number}' is not a number" in ran.err


# --- on real terminals


@pytest.mark.slow
def test_results_on_a_terminal(project: TrialProject, running: None) -> None:
    shown = on_a_terminal(project.root, "results trial --status all", 80)
    assert shown[0].split() == ["doc_id", "status", "problem", "source", "title"]
    assert all(len(line) <= 80 for line in shown)
    assert any(line.startswith("3 rows · 5 more columns") for line in shown)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
def test_a_watched_run_in_tmux(project: TrialProject, running: None, tmp_path: Path) -> None:
    command = f"{sys.executable} -m batchrun status trial --watch --interval 0.2"
    tmux = ["tmux", "-S", str(tmp_path / "tmux")]
    environment, begin = (
        clean_environment(project.root) | {"TERM": "xterm"},
        ["new-session", "-d", "-x", "80", "-y", "24"],
    )

    def seen() -> str:
        return subprocess.check_output([*tmux, "capture-pane", "-p"], text=True)

    subprocess.run([*tmux, *begin, command], cwd=project.root, env=environment, check=True)
    try:
        end = time.monotonic() + 60
        while "docs/0001.txt  invalid" not in seen():
            assert time.monotonic() < end, seen()
            time.sleep(0.1)
        time.sleep(0.5)
        assert seen().count("RUN ") == 1
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
