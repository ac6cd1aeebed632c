"""The numbers of the last run of a job as a file for the textfile collector of Prometheus' node_exporter.

https://github.com/prometheus/node_exporter#textfile-collector: a file is replaced as a whole, ends with a newline and
has no timestamps. The label is `batchrun_job`, because Prometheus overwrites a label `job`.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from batchrun.errors import ExitCode, exit_code_of
from batchrun.file_system import TooLargeError, read_bounded
from batchrun.outcome import Outcome
from batchrun.workflow.observer import Observer
from batchrun.workflow.summary import Summary

SUCCESS = "last_success_timestamp_seconds"
MOST_BYTES = 1_000_000


class Textfile(Observer):
    """Writes the file when a run ends."""

    def __init__(self, path: Path, job: str) -> None:
        self._path, self._job = path, job

    def ended(self, summary: Summary) -> None:
        """Write the numbers of a run."""
        self._write(summary.exit_code, summary)

    def failed(self, error: BaseException) -> None:
        """Write that a run did not begin, or broke off."""
        self._write(exit_code_of(error))

    def _write(self, exit_code: ExitCode, summary: Summary | None = None) -> None:
        now = time.time()
        success = now if exit_code is ExitCode.OK else earlier_success(self._path, self._job)
        text = textfile(self._job, exit_code, now=now, success=success, summary=summary)
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            new.write_text(text, encoding="utf-8")
            new.chmod(0o644)  # the exporter is another user, and the files of a command are for its owner alone
            new.replace(self._path)
        finally:
            new.unlink(missing_ok=True)


def earlier_success(path: Path, job: str) -> float | None:
    """Read from the file when a run last succeeded. Returns None if the file does not say."""
    with suppress(OSError, TooLargeError):
        text = read_bounded(path, most_bytes=MOST_BYTES).decode("utf-8", "replace")
        if found := re.search(rf'^batchrun_{SUCCESS}\{{batchrun_job="{job}"\}} (\d+(?:\.\d+)?)$', text, re.MULTILINE):
            return float(found[1])
    return None


def textfile(
    job: str, exit_code: ExitCode, *, now: float, success: float | None, summary: Summary | None = None
) -> str:
    """Return the whole file. Names and labels stay as they are; metrics may be added."""
    lines = [
        *family(job, "last_run_timestamp_seconds", "When the last run ended, in seconds since 1970.", now),
        *family(job, "last_run_exit_code", "The exit code of the last run; 0 is a success.", int(exit_code)),
    ]
    if success is not None:
        lines += family(job, SUCCESS, "When a run last ended with exit code 0, in seconds since 1970.", success)
    return "\n".join([*lines, *(of_summary(job, summary) if summary else ())]) + "\n"


def of_summary(job: str, summary: Summary) -> Iterator[str]:
    """Yield the metrics of a run that began."""
    totals, cache = summary.totals, summary.cache_use
    outcomes = {str(one or "pending"): summary.outcomes.get(one, 0) for one in (*Outcome, None)}
    read, written = (cache.read_tokens, cache.written_tokens) if cache else (0, 0)
    tokens = {
        "input": totals.input_tokens - read - written if totals else 0,
        "output": totals.output_tokens if totals else 0,
        "cache_read": read,
        "cache_write": written,
    }
    cost, estimate = (totals.cost_nusd, totals.estimate_nusd) if totals else (0, 0)
    retried = totals.retried if totals else {}
    yield from family(job, "last_run_duration_seconds", "How long the last run took.", round(summary.seconds, 3))
    yield from family(job, "last_run_documents", "Documents of the last run by status.", outcomes, "status")
    yield from family(job, "last_run_cost_usd", "The cost of the last run.", cost / 1e9)
    yield from family(job, "last_run_estimate_usd", "The estimate of the last run before it began.", estimate / 1e9)
    yield from family(job, "last_run_tokens", "Tokens of the last run by type, each in one type.", tokens, "type")
    yield from family(job, "last_run_retries", "Attempts that were made again, by reason.", retried, "reason")
    yield from family(job, "budget_usd", "The most that the last run was allowed to cost.", summary.plan.cap_nusd / 1e9)


def family(job: str, name: str, what: str, values: float | Mapping[str, float], label: str = "") -> Iterator[str]:
    """Yield the lines of one metric: one value, or a value for each value of a label."""
    yield f"# HELP batchrun_{name} {what}"
    yield f"# TYPE batchrun_{name} gauge"
    for key, value in values.items() if isinstance(values, Mapping) else [("", values)]:
        more = f",{label}={json.dumps(key, ensure_ascii=False)}" if label else ""
        yield f'batchrun_{name}{{batchrun_job="{job}"{more}}} {value!r}'
