"""The log of a run's attempts: one JSON line for each attempt, without any text of documents or replies."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from batchrun.cli.views.format import key_fields
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control, readable_json
from batchrun.events import AttemptEnded, Event, RunStarted
from batchrun.reply import Failure

SHOWN_CHARACTERS = 200
"""The most characters of an error message that are logged: the message may quote the document."""


class Log:
    """The listener that writes the log: to a file if the command names one, and to stdout with `--json -vv`.

    A file that cannot be opened is a mistake of the command. A file that cannot be written later is reported once, and
    the run goes on.
    """

    def __init__(self, path: Path | None, terminal: Terminal) -> None:
        self._path = path
        self._terminal = terminal
        self._run_id: str | None = None
        self._tags: dict[str, str] = {}
        self._has_warned = self._torn = False
        try:
            # Without a buffer a line is one write: the line is whole in the file even if the process is killed, and is
            # not mixed with the lines of other processes that append to the file.
            self._file = path.open("ab", buffering=0) if path else None
        except OSError as error:
            raise UsageProblem(
                f"the log {path} cannot be opened: {error.strerror}.", hint="name another file: --log FILE"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            with contextlib.suppress(OSError):  # a disk on the network may report only now that the disk is full
                self._file.close()

    def __call__(self, event: Event) -> None:
        """Log the event if an attempt has ended."""
        if isinstance(event, RunStarted):
            self._run_id, self._tags = event.run_id, dict(event.tags)
        elif isinstance(event, AttemptEnded):
            self._attempt(event)

    def _attempt(self, event: AttemptEnded) -> None:
        shown = self._terminal.json and self._terminal.verbose > 1
        if not (self._file or shown):
            return
        fields = attempt_fields(event, run_id=self._run_id, at=datetime.now(UTC))
        if self._tags:
            fields["tags"] = self._tags
        if self._file:
            self._write(fields, self._file)
        if shown:
            self._terminal.event("attempt", **fields)

    def _write(self, fields: dict[str, object], file: BinaryIO) -> None:
        line = (("\n" if self._torn else "") + readable_json(fields) + "\n").encode()
        try:
            written = file.write(line)
        except OSError as error:
            self._trouble(error.strerror or str(error))
        else:
            self._torn = written != len(line)
            if self._torn:
                self._trouble("a line was cut off")

    def _trouble(self, why: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._terminal.say(f"the log {self._path} cannot be written: {why}; the run goes on without it")


def attempt_fields(event: AttemptEnded, *, run_id: str | None, at: datetime) -> dict[str, object]:
    """The fields of an attempt for programs. Fields may be added, and none is renamed."""
    usage = event.usage
    return {
        "ts": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "run": run_id,
        "attempt": event.attempt_no,
        **key_fields(event.doc_id),
        "request": event.request_id,
        "model": event.model,
        "state": event.state,
        "outcome": event.outcome,
        "latency_s": round(event.latency_s, 3),
        "first_byte_s": None if event.first_byte_s is None else round(event.first_byte_s, 3),
        "input_tokens": usage and usage.input_tokens,
        "cache_read_tokens": usage and usage.cache_read_tokens,
        "cache_write_tokens": usage and usage.cache_write_tokens,
        "output_tokens": usage and usage.output_tokens,
        "cost_usd": None if event.cost_nusd is None else event.cost_nusd / 1e9,
        "stop_reason": event.stop_reason,
        "error": event.failure and error_fields(event.failure),
        "request_id": event.api_request_id,
    }


def error_fields(failure: Failure) -> dict[str, object]:
    """The reason why there is no reply, for programs."""
    return {
        "cause": failure.name,
        "type": failure.error_type,
        "code": failure.error_code,
        "status": failure.status,
        "message": escape_control(failure.message[:SHOWN_CHARACTERS]),
    }
