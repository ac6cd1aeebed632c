"""[notify]: a webhook or a program is told that a run ended or stopped, or may miss its deadline."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from batchrun.errors import BatchrunError, EnvironmentProblem, ExitCode, UsageProblem, exit_code_of
from batchrun.events import Event
from batchrun.integrations.deadline import DeadlineWatch
from batchrun.integrations.webhook import post, usable_host
from batchrun.job.telling_sections import NotifySection, Why
from batchrun.masking import masked, without_keys
from batchrun.report.summary_json import summary_fields, verdict
from batchrun.wording import event_fields, iso
from batchrun.workflow.observer import Observer, reason
from batchrun.workflow.open_job import OpenJob
from batchrun.workflow.summary import Summary

COMMAND_S = 30.0
"""How long the program may take."""
ENDS = (ExitCode.OK, ExitCode.SOME_FAILED)
"""The exit codes of runs that came to their ends."""
Send = Callable[[bytes], None]


class Notify(Observer):
    """Sends JSON in a thread of its own, in order: a slow receiver keeps neither the run nor its caller waiting.

    A process waits at its end for what is being sent, which takes a bounded time. Raises UsageProblem when nobody can
    be told.
    """

    def __init__(self, opened: OpenJob, warn: Callable[[str], None]) -> None:
        self._job, self._simulated, self._on = opened.name, opened.simulated, opened.job.notify.on
        self._senders, self._warn = senders(opened.job.notify, opened.job.root), warn
        self._thread = ThreadPoolExecutor(1, "batchrun-notify")
        self._deadline = DeadlineWatch()
        self._has_told_deadline = False

    def heard(self, event: Event) -> None:
        """Tell once that the deadline is in danger."""
        is_late, run = self._deadline.heard(event), self._deadline.run
        if is_late and run and run.deadline_at and not self._has_told_deadline:
            self._has_told_deadline = True
            ends_at, by = self._deadline.ends_at(), iso(run.deadline_at)
            done, total = self._deadline.settled, run.to_send
            text = f"run {run.run_id} may miss its deadline of {by}: {done:,} of {total:,} documents are done"
            fields = {"done": done, "total": total, "deadline": by, "expected_end": iso(ends_at) if ends_at else None}
            self._tell("deadline", "deadline", text, fields)

    def ended(self, summary: Summary) -> None:
        """Tell how the run ended. Batches in progress are no end, and a run that had nothing to do is no news."""
        code = summary.exit_code
        if code is not ExitCode.UNFINISHED and (code is not ExitCode.OK or summary.totals):
            self._tell("end" if code in ENDS else "stop", "run_end", verdict(summary), summary_fields(summary))
        self._thread.shutdown(wait=False)

    def failed(self, error: BaseException) -> None:
        """Tell that a run did not begin, or broke off."""
        code = int(exit_code_of(error))
        message = str(error) if isinstance(error, BatchrunError) else ""  # of a bug, which may quote a document
        fields = {"code": type(error).__name__, "exit_code": code, "message": message}
        self._tell("stop", "error", f"stopped with exit code {code}", fields)
        self._thread.shutdown(wait=False)

    def _tell(self, why: Why, event: str, text: str, fields: Mapping[str, Any]) -> None:
        """Send an event. `text` is for people, and has no word that a document or the API has chosen."""
        if why not in self._on:
            return
        run = self._deadline.run.run_id if self._deadline.run else None
        text = f"{'SIMULATED ' if self._simulated else ''}{self._job}: {text}"
        told = {"run": run, "job": self._job, "simulated": self._simulated, "why": why, "text": text}
        body = masked(json.dumps(event_fields(event, **{**told, **fields})), headers=True).encode()
        for name, send in self._senders.items():
            self._thread.submit(self._send, name, send, body)

    def _send(self, name: str, send: Send, body: bytes) -> None:
        try:
            send(body)
        except Exception as error:  # noqa: BLE001 - a thread has nobody else to tell
            self._warn(f"[notify] {name}: {reason(error)}; nobody was told")


def senders(notify: NotifySection, folder: Path) -> dict[str, Send]:
    """Return whom [notify] tells, by key. `folder` is where the program starts. Raises UsageProblem."""
    found: dict[str, Send] = {}
    if (name := notify.webhook_env) is not None:
        address = os.environ.get(name, "").strip()
        if not address:
            raise UsageProblem(f"webhook_env: the environment has no {name}, so nobody will be told")
        usable_host(address)
        found["webhook_env"] = partial(post, address)
    if notify.command is not None:
        found["command"] = partial(run_program, notify.command, folder)
    return found


def run_program(command: tuple[str, ...], folder: Path, body: bytes) -> None:
    """Run a program with the JSON on stdin and without the keys of the API. Its errors are shown, its output is not.

    Raises OSError, and EnvironmentProblem if the program fails or takes too long.
    """
    environment, nothing = without_keys(), subprocess.DEVNULL
    try:
        done = subprocess.run(  # noqa: S603 - only batchrun.toml names programs
            command, input=body, stdout=nothing, cwd=folder, env=environment, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentProblem(f"{command[0]} took longer than {COMMAND_S:.0f} s") from None
    if done.returncode:
        raise EnvironmentProblem(f"{command[0]} ended with exit code {done.returncode}")
