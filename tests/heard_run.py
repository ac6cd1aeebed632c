"""A run with everybody who hears of it, and what they heard."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.cli.interrupts import run_async
from batchrun.integrations.observers import observers_of
from batchrun.planning.selection import Selection
from batchrun.report.report_file import report_files
from batchrun.workflow.run import run_job
from batchrun.workflow.summary import Summary


@dataclass
class Heard:
    """What came of a run, and what its observers said."""

    project: TrialProject
    summary: Summary
    said: list[str] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        """What the program of [notify] was told."""
        told: dict[str, Any] = json.loads((self.project.root / "told.json").read_text("utf-8"))
        return told

    @property
    def metrics(self) -> str:
        """What node_exporter reads."""
        return (self.project.root / "metrics" / "trial.prom").read_text("utf-8")


def run_with_observers(project: TrialProject, provider: ScriptedProvider, *, job: str = "trial") -> Heard:
    """Run the job of a project with the observers that its files and the environment ask for."""
    said: list[str] = []
    with project.opened(job) as opened:
        observers = observers_of(opened, report_files(opened), {}, warn=said.append, say=said.append)
        summary = run_async(run_job(opened, Selection(), provider, observers, counts=False))  # type: ignore[arg-type]
    return Heard(project, summary, said)


def wait_for_senders() -> None:
    """Wait until nobody is being told any more."""
    for thread in threading.enumerate():
        if thread.name.startswith("batchrun-notify"):
            thread.join(10)
