"""Commands as a person types them, run in this process, and the API they talk to: a simulator in a thread."""

import contextlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from forked import popen

from batchrun import cli
from batchrun.simulator.batches.life import ServiceTerms
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT, Latency
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits

KEY = "sk-ant-api03-do-not-tell-anyone-3141592653"
AT_ONCE = ServiceTerms(median_s=0, per_request_s=0)
"""Batches end as soon as they are created."""
UNLIMITED = Limits(10_000_000, 10_000_000_000, 10_000_000_000)
REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, when it is one JSON value and nothing else."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Stdout, when each of its lines is a JSON object."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def words(self) -> str:
        """Everything that was said."""
        return self.out + self.err


@contextlib.contextmanager
def held(database: Path) -> Iterator[None]:
    """Another process has the file open for writing, and commands that end do not wait for the file."""
    holding = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holding, str(database)]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder,
    ):
        patch.setattr("batchrun.workflow.batch_recovery.FINAL_WAIT_S", 0.0)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("", timeout=120)


class CommandLine:
    """Runs commands in this process: `batchrun("plan jobs/trial.toml --json")`."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, command: str, *more: str) -> Ran:
        self._capsys.readouterr()
        code = cli.run([*shlex.split(command), *more])
        out, err = self._capsys.readouterr()
        return Ran(int(code), out, err)


@contextlib.contextmanager
def serving(*script: str, latency: Latency = INSTANT) -> Iterator[SimulatorServer]:
    """An API without limits whose first answers follow the script."""
    simulator = Simulator(PROFILES["calm"], limits=UNLIMITED, latency=latency, script=script, terms=AT_ONCE)
    server = SimulatorServer(simulator)
    server.start_in_thread()
    try:
        yield server
    finally:
        server.stop()


def submitted(root: Path, *script: str) -> int:
    """Run the job of a project to its end, outside of any test's fixtures; the API follows the script."""
    with serving(*script) as api, pytest.MonkeyPatch.context() as patch:
        for name, value in talking_to(api).items():
            patch.setenv(name, value)
        return cli.run(["submit", "-q", str(root / "jobs" / "trial.toml")])


def clean_environment(home: Path) -> dict[str, str]:
    """The environment without anything that the commands or the SDK listen to."""
    clouds = ("AWS_", "GOOGLE_", "CLOUD_ML_", "AZURE_", "OPENAI_")
    spoken = (*clouds, "ANTHROPIC_", "BATCHRUN_", "_BATCHRUN", "NO_COLOR", "FORCE_COLOR", "TQDM_", "PYTHONIOENCODING")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(spoken) and not name.lower().endswith("_proxy")
    }
    return kept | {"HOME": str(home), "PYTHONPATH": str(REPOSITORY)}


def talking_to(server: SimulatorServer) -> dict[str, str]:
    """Environment variables that lead the SDKs to the server."""
    openai = {"OPENAI_BASE_URL": f"{server.base_url}/v1", "OPENAI_API_KEY": KEY}
    return {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": KEY, **openai}


def process(
    command: str,
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    start: "Callable[..., subprocess.Popen[str]]" = popen,
    **options: Any,
) -> "subprocess.Popen[str]":
    """The command in a process of its own, with pipes; the process is forked unless another `start` starts it."""
    return start(
        [sys.executable, "-m", "batchrun", *shlex.split(command)],
        cwd=cwd,
        env=clean_environment(cwd) | dict(environment or {}),
        text=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options),
    )


def on_a_terminal(folder: Path, command: str, columns: int) -> list[str]:
    """The lines that a command writes on a terminal of so many columns."""
    reading, writing = pty.openpty()
    environment = clean_environment(folder) | {"COLUMNS": str(columns), "TERM": "dumb"}
    line = [sys.executable, "-m", "batchrun", *shlex.split(command)]
    with popen(line, cwd=folder, env=environment, stdout=writing, stderr=writing) as running:
        os.close(writing)
        written = b""
        try:
            while part := os.read(reading, 65_536):
                written += part
        except OSError:  # the terminal is closed
            pass
        finally:
            os.close(reading)
        assert running.wait(60) == 0, (running.returncode, written)
    return written.decode("utf-8").splitlines()


def as_said_here(said: str) -> str:
    """What another process said, which names itself as it was called, as this process would have said it."""
    return re.sub(r"\S+ -m batchrun", "batchrun", said)
