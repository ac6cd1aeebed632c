"""GitHub Actions: annotations beside the log, and how a run ended on the page of the workflow.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions: at most ten annotations of a kind are
shown for a step, and a summary above 1 MiB is dropped.
"""

from collections.abc import Callable
from pathlib import Path

from batchrun.errors import ExitCode
from batchrun.escaping import escape_control
from batchrun.events import DocumentSettled, Event
from batchrun.report.markdown_text import escaped_lines
from batchrun.report.summary_json import verdict
from batchrun.workflow.observer import Observer
from batchrun.workflow.summary import Summary

MOST = 9
"""How many documents have an annotation; one more says how many other documents failed."""
MOST_BYTES, MOST_BYTES_OF_STEP = 200_000, 1_000_000
"""The longest summary of a run, and of all that a step wrote."""
FINE = (ExitCode.OK, ExitCode.UNFINISHED)


class GithubActions(Observer):
    """Annotates documents that fail and the end of the run. `say` writes a line where GitHub reads commands."""

    def __init__(
        self, title: str, summary_file: Path | None, markdown: Callable[[Summary], str], say: Callable[[str], None]
    ) -> None:
        self._title, self._summary_file, self._markdown, self._say = title, summary_file, markdown, say
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
        """Annotate the end of the run, and write the summary of the step."""
        if self._failed > MOST:
            self._annotate("warning", f"and {self._failed - MOST:,} more documents without a row")
        how = f"stopped: {summary.halted}" if summary.halted else verdict(summary)
        self._annotate("notice" if summary.exit_code in FINE else "error", how)
        if self._summary_file:
            append(self._summary_file, self._markdown(summary))

    def failed(self, error: BaseException) -> None:
        """Annotate why a run did not begin, or broke off."""
        self._annotate("error", str(error) or type(error).__name__)

    def _annotate(self, level: str, message: str) -> None:
        self._say(f"::{level} title={in_property(self._title)}::{in_message(message)}")


def in_message(text: str) -> str:
    """Escape the message of a command, which ends with its line: no line of a document begins another command."""
    return "%0A".join(escape_control(line).replace("%", "%25") for line in text.split("\n"))


def in_property(text: str) -> str:
    """Escape the value of a property of a command."""
    return in_message(text).replace(":", "%3A").replace(",", "%2C")


def append(path: Path, markdown: str) -> None:
    """Append to the summary of the step, cut at the end of a line if there is no room for all. Raises OSError."""
    content = f"\n{markdown.rstrip()}\n".encode()
    room = min(MOST_BYTES, MOST_BYTES_OF_STEP - (path.stat().st_size if path.exists() else 0))
    if len(content) > room:
        content = content[: max(room, 0)].rpartition(b"\n")[0] + b"\n\nThe rest is cut: a step has no more room.\n"
    with path.open("ab") as file:
        file.write(content)


def summary_markdown(summary: Summary) -> str:
    """How a run ended, as markdown."""
    lines = [f"### batchrun: {summary.job}", "", f"{'**SIMULATED** ' if summary.simulated else ''}{verdict(summary)}"]
    lines += ["", escaped_lines(summary.halted)] if summary.halted else []
    lines += ["", "| outcome | documents |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {one or 'pending'} | {number:,} |" for one, number in summary.outcomes.items())])
