"""GitHub Actions: annotations beside the log, and how a run ended on the page of the workflow.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions: at most ten annotations of a kind are
shown for a step, and a summary above 1 MiB is dropped.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.escaping import escape_control
from batchrun.events import DocumentSettled, Event
from batchrun.masking import masked
from batchrun.report.summary_json import verdict
from batchrun.workflow.observer import Observer
from batchrun.workflow.summary import Summary

MOST = 9
"""How many documents have an annotation; one more says how many other documents failed."""
MOST_BYTES = 1_000_000
"""How long the summary of a step may become."""
FINE = (ExitCode.OK, ExitCode.UNFINISHED)


class GithubActions(Observer):
    """Annotates documents that fail and the end of the run. `say` writes a line where GitHub reads commands."""

    def __init__(self, title: str, say: Callable[[str], None]) -> None:
        self._title, self._say = title, say
        self._failed = 0

    def heard(self, event: Event) -> None:
        """Annotate a document that failed."""
        if isinstance(event, DocumentSettled) and event.outcome.failed:
            self._failed += 1
            if self._failed <= MOST:
                self._annotate(
                    "warning", f"{event.doc_id}: {event.outcome}{(event.reason and f', {event.reason}') or ''}"
                )

    def ended(self, summary: Summary) -> None:
        """Annotate the end of the run."""
        if self._failed > MOST:
            self._annotate("warning", f"and {self._failed - MOST:,} more documents without a row")
        how = f"stopped: {summary.halted}" if summary.halted else verdict(summary)
        self._annotate("notice" if summary.exit_code in FINE else "error", how)

    def failed(self, error: BaseException) -> None:
        """Annotate why a run did not begin, or broke off."""
        self._annotate("error", str(error) or type(error).__name__)

    def _annotate(self, level: str, message: str) -> None:
        self._say(masked(f"::{level} title={in_property(self._title)}::{in_message(message)}"))


def in_message(text: str) -> str:
    """Escape the message of a command, which ends with its line: no line of a document begins another command."""
    return "%0A".join(escape_control(line).replace("%", "%25") for line in text.split("\n"))


def in_property(text: str) -> str:
    """Escape the value of a property of a command."""
    return in_message(text).replace(":", "%3A").replace(",", "%2C")


def append(path: Path, parts: Iterable[str]) -> None:
    """Append a report to the summary of the step, if there is room for all of the report. Raises EnvironmentProblem."""
    content = f"\n{''.join(parts).rstrip()}\n".encode()
    try:
        with path.open("ab") as file:
            if file.tell() + len(content) > MOST_BYTES:
                raise EnvironmentProblem("the summary of the step has no room for the report of another run.")
            file.write(content)
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be written: {error.strerror}.") from error
