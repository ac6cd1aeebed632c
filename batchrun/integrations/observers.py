"""Who hears of a run besides whoever started the run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from batchrun.report.report_file import ReportFile, report_files
from batchrun.workflow.observer import HarmlessObservers, Observer
from batchrun.workflow.open_job import OpenJob


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """The files that a command wants of its run, beside those that the job file names."""

    report: Path | None = None
    """The HTML report."""
    is_live: bool = False
    """Whether the report is written again and again while the run goes on."""
    junit: Path | None = None
    """The outcomes as JUnit XML."""
    written: dict[str, Path] = field(default_factory=dict)
    """The files that were written, by kind: `html` and `junit`. Empty before the end of the run."""


def observers_of(opened: OpenJob, files: RunFiles, warn: Callable[[str], None]) -> list[Observer]:
    """List the observers that the job file, the environment and the command ask for.

    `warn` tells a person what an observer could not do. No run fails because of an observer.
    """
    targets = report_files(opened, report=files.report, junit=files.junit, is_live=files.is_live)
    found = [ReportFile(opened, target, files.written.__setitem__, warn) for target in targets]
    return [HarmlessObservers(found, warn)]
