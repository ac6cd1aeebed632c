"""The files that a run leaves of itself: its report, which may be live, and its documents as JUnit XML."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.errors import UsageProblem
from batchrun.events import Event, RunStarted
from batchrun.file_system import replace_file
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.paths import simulated_twin
from batchrun.workflow.observer import Observer, reason
from batchrun.workflow.open_job import OpenJob
from batchrun.workflow.summary import Summary

if TYPE_CHECKING:
    from batchrun.report.formats import ReportFormat

EVERY_S = 15
"""How often a live report is written, and loads itself again."""

REST = 15
"""How much longer than its writing the pause behind a live report is: the report of a large run takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A file, and what is written into the file."""

    kind: "ReportFormat"
    path: Path | None = None
    """The path is None for the file that [report] names."""
    is_live: bool = False
    write: Callable[[Path, Iterable[str]], None] = replace_file
    """What writes the file, part by part. Raises EnvironmentProblem."""


class ReportFile(Observer):
    """Writes the report of a run when the run ends, and while it goes on if the report is live.

    A live report is written by a thread that reads the ledger by itself, and shows no text of documents before the end:
    reading documents takes time that the run needs.
    """

    def __init__(self, opened: OpenJob, target: Target, written: dict[str, Path], warn: Callable[[str], None]):
        """Note the path in `written`, by its kind, when the last report is written. `warn` hears of a live one."""
        self._opened, self._target, self._written, self._warn = opened, target, written, warn
        self._run_id = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def heard(self, event: Event) -> None:
        """Begin to write the live report when the run begins."""
        if isinstance(event, RunStarted):
            self._run_id = event.run_id
            if self._target.is_live and self._thread is None:
                self._thread = threading.Thread(target=self._live, daemon=True)
                self._thread.start()

    def ended(self, summary: Summary) -> None:
        """Write the last report. A command that had nothing to run leaves the file as it is."""
        self.failed(None)
        if summary.totals:
            self._written[self._target.kind] = self._write(self._opened.ledger, summary.totals.run_id)

    def failed(self, error: BaseException | None) -> None:  # noqa: ARG002
        """End the live report."""
        self._over.set()
        if self._thread:
            self._thread.join()

    def _live(self) -> None:
        try:
            with Ledger.read(self._opened.paths.ledger) as ledger:
                while not self._over.is_set():
                    begun_at = time.monotonic()
                    self._write(ledger, self._run_id, refresh_s=EVERY_S)
                    self._over.wait(max(EVERY_S, REST * (time.monotonic() - begun_at)))
        except Exception as error:  # noqa: BLE001 - whatever becomes of a picture of the run, the run goes on
            self._warn(f"the live report: {reason(error)}; the run goes on without")

    def _write(self, ledger: Ledger, run_id: str, *, refresh_s: int | None = None) -> Path:
        """Write the report, and return its path. Raises EnvironmentProblem."""
        from batchrun.report.formats import report_parts, wanted_of

        (run_no,) = ledger.connection.execute("select run_no from runs where run_id = ?", (run_id,)).fetchone()
        job, path = self._opened.job, self._path(run_id)
        wanted = wanted_of(job.spec.report, job.path, reads=refresh_s is None)
        parts = report_parts(ledger, run_no, self._target.kind, wanted, root=job.root, refresh_s=refresh_s)
        self._target.write(path, parts)
        return path

    def _path(self, run_id: str) -> Path:
        """Name the file. A simulated run never writes over the report of a real one."""
        job = self._opened.job
        section = job.spec.report
        if self._target.path:
            return self._target.path
        path = job.resolve(section.path(run=run_id, job=self._opened.name) or "")
        return simulated_twin(path) if self._opened.simulated and "{run}" not in (section.html or "") else path


def report_files(
    opened: OpenJob, *, report: Path | None = None, junit: Path | None = None, is_live: bool = False
) -> list[Target]:
    """List the files that the job file and a command want of a run.

    Raises UsageProblem for a live report without a file, and for a page with a name that means another format.
    """
    is_wanted = report or opened.job.spec.report.html
    if is_live and not is_wanted:
        raise UsageProblem(
            "--live needs a report to write.", hint="add --report FILE, or [report] html to the job file"
        )
    if report:
        from batchrun.report.formats import format_of

        if format_of(report) != "html":
            raise UsageProblem(
                f"--report writes a page, and {report.name} is no name of a page.",
                hint="name it with .html; for other formats: batchrun report -o FILE",
            )
    page = [Target(kind="html", path=report, is_live=is_live)] if is_wanted else []
    return page + ([Target(kind="junit", path=junit)] if junit else [])
