"""A run while it goes on: a bar on a terminal, lines elsewhere, nothing for programs."""

import os
import pty
import re
import termios
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from command_line import CommandLine, process, talking_to
from trial_project import TrialProject

from batchrun.cli.views import progress
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"
BAR = re.compile(r"trial +\d+%\|.*\| \d+/30 .*\$0\.\d+/\$1\.00")
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info  run=[0-9a-f]{4} ", re.MULTILINE)


def on_a_terminal(command: str, *, cwd: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a command whose stderr alone is a terminal: its exit code, stdout, and what the terminal got."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    try:
        running = process(command, cwd=cwd, environment={"TERM": "xterm", **environment}, stderr=theirs)
    finally:
        os.close(theirs)
    seen = b""
    with running, os.fdopen(ours, "rb", buffering=0) as screen:
        with suppress(OSError):  # EIO: the other side has gone
            while chunk := screen.read(65536):
                seen += chunk
        out, _ = running.communicate(timeout=120)
    return running.returncode, out, seen.decode()


def test_a_bar_when_stderr_is_a_terminal(project: TrialProject, api: SimulatorServer) -> None:
    project.documents(30)
    code, out, seen = on_a_terminal(SUBMIT, cwd=project.root, environment=talking_to(api))
    assert code == 0
    assert BAR.search(seen)
    assert not LINE.search(seen)
    assert max(len(line) for line in re.split(r"[\r\n]", seen)) <= 80
    assert "finished" in out
    assert "\x1b" not in out, "stdout is no terminal"


@pytest.mark.parametrize(("variable", "colored"), [("LANG", True), ("NO_COLOR", False)])
def test_an_error_is_red_on_a_terminal_that_wants_colour(project: TrialProject, variable: str, colored: bool) -> None:
    code, _, seen = on_a_terminal("plan jobs/nowhere.toml", cwd=project.root, environment={variable: "C.UTF-8"})
    assert code == 2
    assert ("\x1b[31m" in seen) == colored
    assert "there is no job file" in seen


def test_lines_elsewhere(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    ran = batchrun(SUBMIT)
    assert LINE.search(ran.err)
    assert "start job=trial docs=3 budget=1.00" in ran.err
    assert "%|" not in ran.err


def test_a_line_a_minute(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)  # a minute passes with every document
    project.documents(3)
    told = re.findall(r"progress done=(\d)/3 succeeded=(\d) usd=0\.\d{4}", batchrun(SUBMIT).err)
    assert told == [("1", "1"), ("2", "2"), ("3", "3")]


@pytest.mark.parametrize("option", ["--progress lines", "--progress bar"])
def test_no_more_are_done_than_there_are(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    for name in ("a.txt", "b.txt", "c.txt"):
        project.document(name, "the same text, and so the same request")
    shown = batchrun(f"{SUBMIT} {option}").err
    assert re.search(r"progress done=3/3 | 3/3 ", shown)
    assert not re.search(r"[23]/[1?]", shown)


@pytest.mark.parametrize("option", ["--progress none", "--json", "-q"])
def test_none(project: TrialProject, batchrun: CommandLine, api: SimulatorServer, option: str) -> None:
    project.documents(3)
    ran = batchrun(f"{SUBMIT} {option}")
    assert not LINE.search(ran.err)
    assert "%|" not in ran.err


def test_a_bar_that_is_asked_for(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(30)
    assert BAR.search(batchrun(f"{SUBMIT} --progress bar").err)


def test_after_twenty_failures_of_a_kind_they_are_counted(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(run="max_failure_rate = 1")
    project.documents(30)
    api.simulator.extend_script(["schema_violation"] * 25)
    ran = batchrun(SUBMIT)
    assert len(re.findall(r"invalid +docs/", ran.err)) == 20
    assert ran.err.count("more documents are invalid") == 1
    assert "invalid          25" in ran.out
