"""`batchrun submit` in processes of their own that start at once: forked from one that has the imports behind it.

Importing the SDK takes a second of CPU, and a test that kills a dozen processes should not wait for it a dozen times.
Everything else is as if the command were typed: a process of its own, its own environment, `batchrun.cli.main`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from forked import popen

from batchrun.simulator.http.server import SimulatorServer

PATIENCE_S = 120
"""A test that waits longer has failed. A machine with much else to do is slow for a long time."""

SERVER = """
import json, os, sys
from pathlib import Path
import duckdb, batchrun.cli.run_job, batchrun.providers.anthropic.provider
from batchrun.cli import run
from batchrun.proof.process import fork

for line in sys.stdin:
    asked = json.loads(line)
    if "wait" in asked:
        print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
    else:
        streams = {name: Path(asked[name]) for name in ("out", "err")}
        args = ["submit", "jobs/trial.toml"]
        print(fork(run, args, folder=Path(asked["cwd"]), environment=asked["environment"], **streams), flush=True)
"""


@dataclass
class Submit:
    """One process."""

    server: "SubmitServer"
    pid: int
    out: Path
    err: Path

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait_until(self, come: Callable[[], bool]) -> None:
        """Return when it is so; fail with what the process said if that takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while not come():
            assert time.monotonic() < deadline, self.err.read_text("utf-8")
            time.sleep(0.001)

    def wait_until_it_says(self, words: str) -> None:
        """Return when the words are on its stderr."""
        self.wait_until(lambda: words in self.err.read_text("utf-8"))

    def wait_for_requests(self, api: SimulatorServer, count: int) -> None:
        """Return when the API has been asked so many times, by this process and others."""
        self.wait_until(lambda: len(api.books.entries) >= count)

    def end(self) -> tuple[int, str, str]:
        """Wait for its exit code (negative for a signal that killed it), stdout and stderr."""
        code = self.server.ask(wait=self.pid)
        self.server.running.discard(self.pid)
        return code, self.out.read_text("utf-8"), self.err.read_text("utf-8")


@dataclass
class SubmitServer:
    """Starts them. Nothing it started outlives it."""

    environment: Mapping[str, str]
    outputs: Path
    running: set[int] = field(default_factory=set)
    started: int = 0

    def __enter__(self) -> Self:
        self._process = popen(
            [sys.executable, "-c", SERVER],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)
        self._process.communicate(timeout=PATIENCE_S)

    def submit(self, root: Path, environment: Mapping[str, str]) -> Submit:
        """`batchrun submit jobs/trial.toml` in this folder."""
        self.started += 1
        out, err = (self.outputs / f"{self.started}.{name}" for name in ("out", "err"))
        for path in (out, err):
            path.touch()  # the process may be killed before it has opened them
        pid = self.ask(cwd=str(root), environment=dict(environment), out=str(out), err=str(err))
        self.running.add(pid)
        return Submit(self, pid, out, err)

    def ask(self, **asked: object) -> int:
        """One line each way."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())
