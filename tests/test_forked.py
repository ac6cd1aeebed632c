"""A process that is forked is no other than one that is started."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import REPOSITORY, clean_environment
from forked import popen

pytestmark = pytest.mark.slow

STARTS = [popen, subprocess.Popen]
PROBE = """
import json, os, signal, sys, threading

def told(one):
    return one.encoding, one.errors, one.line_buffering, one.write_through, one.seekable(), one.isatty(), one.newlines

handlers = [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP)]
print(json.dumps({
    "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "environment": dict(os.environ),
    "read": sys.stdin.read(), "handlers": [one.partition(" at ")[0] for one in handlers],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "descriptors": sorted(os.listdir("/proc/self/fd")),
    "streams": [told(one) for one in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)],
    "leads": os.getpgrp() == os.getpid(), "main": __name__, "threads": threading.active_count(),
    "umask": os.umask(0), "alarm": signal.getitimer(signal.ITIMER_REAL),
}))
os.write(int(sys.argv[1]), b"given")
sys.exit("a word")
"""


def probed(start: Callable[..., Any], folder: Path) -> tuple[Any, ...]:
    reading, writing = os.pipe()
    running = start(
        [sys.executable, "-c", PROBE, str(writing)],
        cwd=folder,
        env=clean_environment(folder) | {"ANTHROPIC_API_KEY": "a key"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[writing],
        start_new_session=True,
    )
    os.close(writing)
    out, err = running.communicate("what is read", timeout=120)
    with os.fdopen(reading) as given:
        return json.loads(out), err, running.returncode, given.read()


def test_a_process_finds_the_same(tmp_path: Path) -> None:
    forked, started = (probed(start, tmp_path) for start in STARTS)
    assert forked == started
    assert forked[0]["read"] == "what is read"
    assert forked[1:] == ("a word\n", 1, "given")


def test_a_process_on_a_terminal_finds_the_same(tmp_path: Path) -> None:
    seen = []
    for start in STARTS:
        ours, theirs = pty.openpty()
        code = "import sys; print(sys.stdout.line_buffering, sys.stdout.isatty(), sys.stdout.newlines, flush=True);"
        code += "sys.stdout.reconfigure(errors='replace'); sys.stderr.reconfigure(errors='replace'); print('ended')"
        with start([sys.executable, "-c", code], cwd=tmp_path, stdout=theirs, stderr=theirs) as running:
            assert running.wait(120) == 0
        seen.append(os.read(ours, 1_000))
        os.close(ours)
        os.close(theirs)
    assert seen[0] == seen[1]
    assert seen[0].endswith(b"ended\r\n")


@pytest.mark.parametrize("start", STARTS, ids=["forked", "started"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_is_killed(start: Callable[..., Any], number: signal.Signals) -> None:
    with start([sys.executable, "-c", "print('on', flush=True); input()"], stdin=-1, stdout=-1) as running:
        assert running.stdout.readline() == b"on\n"
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.01)
        assert running.poll() is None
        running.send_signal(number)
        assert running.wait(120) == -number
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)


@pytest.mark.parametrize("start", STARTS, ids=["forked", "started"])
def test_a_process_that_raises(start: Callable[..., Any]) -> None:
    running = start([sys.executable, "-c", "1 / 0"], stderr=subprocess.PIPE, text=True)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 1
    assert err.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("start", STARTS, ids=["forked", "started"])
def test_a_module_is_run_as_it_is_called(start: Callable[..., Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "batchrun", "plan", "nowhere.toml"]
    running = start(command, cwd=tmp_path, env=clean_environment(tmp_path), stdout=-1, stderr=-1, text=True)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (2, "")
    assert "there is no job file nowhere.toml" in err
    assert "python -m batchrun init nowhere.toml" in err.replace(Path(sys.executable).name, "python")


def test_what_the_interpreter_listens_to_needs_an_interpreter() -> None:
    environment = clean_environment(REPOSITORY) | {"PYTHONIOENCODING": "latin-1"}
    encoding = [sys.executable, "-c", "import sys; print(sys.stdout.encoding)"]
    assert popen(encoding, env=environment, stdout=-1).communicate()[0] == b"iso8859-1\n"
