"""Where words go: stdout for what was asked, stderr for the rest; colour only on a terminal that wants it."""

import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TextIO

import click

from batchrun.errors import BatchrunError, Busy, ExitCode
from batchrun.escaping import escape_control

QUIET = re.compile("-q+")
VERSION = 1
"""Of the JSON objects: fields and events may be added, none is renamed."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """How this call of the program speaks."""

    json: bool = False
    quiet: int = 0
    verbose: int = 0
    color: str = "auto"

    @classmethod
    def of(cls, args: Sequence[str]) -> "Terminal":
        """Enough for an error message, whatever else is wrong with the arguments."""
        color = os.environ.get("BATCHRUN_COLOR", "auto")
        for word, following in pairwise([*args, ""]):
            if word.partition("=")[0] == "--color":
                color = word.partition("=")[2] or following
        return cls(
            json="--json" in args or os.environ.get("BATCHRUN_JSON", "0") not in {"", "0"},
            quiet=sum(arg == "--quiet" or bool(QUIET.fullmatch(arg)) for arg in args),
            color=color,
        )

    def say(self, text: str) -> None:
        """Words beside the result."""
        self._write(text + "\n", sys.stderr)

    def result(self, text: str) -> None:
        """What was asked for."""
        self._write(text + "\n", sys.stdout)

    def exact(self, text: str) -> None:
        """Data that was asked for: every character as it is, except on a terminal, which it must not command."""
        if sys.stdout.isatty():
            text = "\n".join(escape_control(line) for line in text.split("\n"))
        self._write(text, sys.stdout)

    def _write(self, text: str, stream: TextIO) -> None:
        """Write; a reader that has gone, or a log on a full disk, must not end the work that is going on."""
        try:
            click.echo(text, file=stream, nl=False, color=True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def event(self, event: str, **fields: Any) -> None:
        """One JSON object on a line of stdout."""
        line = {"v": VERSION, "ts": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "event": event, **fields}
        self.result(json.dumps(line))

    def problem(self, error: BatchrunError) -> None:
        """An error for a person: what, where, why, and what to type next. Cron need not hear that a job still runs."""
        if self.quiet and isinstance(error, Busy):
            return
        if error.exit_code is ExitCode.BUG and error.__cause__:
            self.say("".join(traceback.format_exception(error.__cause__)).rstrip())
        self.say(self.problem_text(error, sys.stderr))
        self.event_error(type(error).__name__, error.exit_code, str(error))

    def problem_text(self, error: BatchrunError, stream: TextIO) -> str:
        """An error as a person reads it on a stream."""
        word = self.styled(f"{error.word}:", stream, fg="red", bold=True)
        lines = [escape_control(line) for line in str(error).split("\n")]
        hint = [f"{self.styled('next:', stream, bold=True)} {escape_control(error.hint)}"] if error.hint else []
        return "\n".join([f"{word} {lines[0]}", *lines[1:], *hint])

    def event_error(self, code: str, exit_code: ExitCode, message: str) -> None:
        """The last line of a machine's output when something went wrong."""
        if self.json:
            self.event("error", code=code, exit_code=int(exit_code), message=message)

    def styled(self, text: str, stream: TextIO, **style: Any) -> str:
        """The text in colour where the stream shows it."""
        return click.style(text, **style) if self.colors(stream) else text

    def colors(self, stream: TextIO) -> bool:
        """Whether this stream gets colour: as asked, else as NO_COLOR, FORCE_COLOR and the terminal say."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")

    def width(self) -> int | None:
        """Columns of stdout's terminal; None when it is none."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
