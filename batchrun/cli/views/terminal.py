"""The streams of a command: stdout for the result, stderr for the rest; colour only on a terminal that wants colour."""

import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TextIO

import click

from batchrun.cli.next_command import COMMAND, as_called
from batchrun.errors import BatchrunError, Busy, ExitCode
from batchrun.escaping import escape_control, readable_json
from batchrun.masking import masked
from batchrun.wording import event_fields

QUIET = re.compile("-q+")
LABEL = re.compile(r" *[^ ]{1,11} {2,}|[>] [^ ]+ +")
"""The word at the beginning of a line that says what the line is about, and the space behind."""
UNIT = re.compile(r"(?<=[0-9]) (?=(?:ms|s|min|h|each|input|output|tokens?|documents?)\b)")
"""The space between a number and its unit."""
EXCERPT = re.compile(r" *[0-9]* \|")
"""The beginning of a line of a file that is shown with its number."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """How this call of the program writes to stdout and stderr."""

    json: bool = False
    quiet: int = 0
    verbose: int = 0
    color: str = "auto"

    @classmethod
    def of(cls, args: Sequence[str]) -> "Terminal":
        """Read enough for an error message from arguments that may be wrong."""
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
        """Write words beside the result."""
        self._write(self._fitted(masked(text), sys.stderr) + "\n", sys.stderr)

    def result(self, text: str) -> None:
        """Write the result."""
        self._write(self._fitted(masked(text), sys.stdout) + "\n", sys.stdout)

    def _fitted(self, text: str, stream: TextIO) -> str:
        """Break lines between words where a terminal would break them within words; JSON stays as it is."""
        if self.json or not stream.isatty():
            return text
        width = shutil.get_terminal_size().columns
        return "\n".join(wrapped(line, width) for line in text.split("\n"))

    def exact(self, text: str) -> None:
        """Write data as the result, unchanged except on a terminal, which the data must not command."""
        if sys.stdout.isatty():
            text = "\n".join(escape_control(line) for line in text.split("\n"))
        self._write(text, sys.stdout)

    def _write(self, text: str, stream: TextIO) -> None:
        """Write. A reader that has gone, or a log on a full disk, must not end the work in progress."""
        try:
            click.echo(text, file=stream, nl=False, color=True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def event(self, event: str, **fields: Any) -> None:
        """Write one JSON object on a line of stdout."""
        self.result(readable_json(event_fields(event, **fields)))

    def problem(self, error: BatchrunError, *, hint: bool = True) -> None:
        """Show an error, and what to type next. With -q a command says nothing of a job that still runs."""
        if self.quiet and isinstance(error, Busy):
            return
        if error.exit_code is ExitCode.BUG and error.__cause__:
            self.traceback(error.__cause__)
        self.say(self.problem_text(error, sys.stderr, hint=hint))
        self.event_error(type(error).__name__, error.exit_code, str(error))

    def traceback(self, error: BaseException) -> None:
        """Show where a bug is, without the secrets that an error may repeat."""
        self.say(masked("".join(traceback.format_exception(error)).rstrip(), headers=True))

    def problem_text(self, error: BatchrunError, stream: TextIO, *, hint: bool = True) -> str:
        """The text of an error for people, styled for the stream."""
        word = self.styled(f"{error.word}:", stream, fg="red", bold=True)
        lines = [escape_control(line) for line in str(error).split("\n")]
        typed = escape_control(as_called(error.hint or "")) if hint else ""
        after = [f"{self.styled('next:', stream, bold=True)} {typed}"] if typed else []
        return "\n".join([f"{word} {lines[0]}", *lines[1:], *after])

    def event_error(self, code: str, exit_code: ExitCode, message: str) -> None:
        """Write the last JSON line of a command that failed."""
        if self.json:
            self.event("error", code=code, exit_code=int(exit_code), message=message)

    def styled(self, text: str, stream: TextIO, **style: Any) -> str:
        """The text, in colour if the stream gets colour."""
        return click.style(text, **style) if self._colors(stream) else text

    def simulated_stamp(self, simulated: bool) -> str:
        """The word before the first line of a simulated result; nothing before a real result."""
        return self.styled("SIMULATED  ", sys.stdout, fg="yellow") if simulated else ""

    def _colors(self, stream: TextIO) -> bool:
        """Whether the stream gets colour: by the option, else by NO_COLOR, FORCE_COLOR and the terminal."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")

    def width(self) -> int | None:
        """The columns of the terminal; None if stdout is no terminal."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(line: str, width: int) -> str:
    """Break a line between words, with the rest below the words after its label.

    A command to be typed stays whole, and so does an excerpt of a file, below which a caret points at a place.
    """
    if len(click.unstyle(line)) <= width or EXCERPT.match(line):
        return line
    label = LABEL.match(line)
    if COMMAND.search(line):
        typed, _, said = line.rpartition("   ")
        return f"{typed.rstrip()}\n{' ' * len(label[0])}{said}" if label and typed.strip() else line
    indent = " " * (len(label[0]) if label else len(line) - len(line.lstrip()) + 2)
    kept = UNIT.sub("\N{NO-BREAK SPACE}", line)  # at which textwrap does not break a line
    parts = textwrap.wrap(kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(parts).replace("\N{NO-BREAK SPACE}", " ")
