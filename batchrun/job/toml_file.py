"""Reads the text of a job file as TOML, with the place of every value."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.job.credentials import find_credentials, masked, masked_unread
from batchrun.job.problems import JobFileError, Problem, TextFile
from batchrun.job.toml_positions import KeyPath, Positions, Span, offset_inside

MOST_BYTES = 10_000_000
"""The size of a job file, of the project's file, and of a prompt that a job file names."""
_PLACE = re.compile(r"(?P<what>.*?) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
_SYNTAX_HINTS = {
    "Invalid value": 'text needs quotes: key = "value"',
    "Expected '=' after a key": "a line is `key = value`, a `[table]` or a `# comment`",
    "Invalid statement": "a line is `key = value`, a `[table]` or a `# comment`",
    "Cannot overwrite a value": "this key is given twice",
    "Cannot declare": "this table is given twice",
    "Unescaped '\\' in a string": "double the backslash, or use 'single quotes' in which it means itself",
}


@dataclass(frozen=True)
class TomlText:
    """The values of a TOML file, and where each value stands."""

    file: TextFile
    values: dict[str, Any]
    positions: Positions
    credentials: tuple[KeyPath, ...]
    """Places of API keys and the like; `file` has them starred out."""

    @classmethod
    def read(cls, text: str, *, path: Path) -> "TomlText":
        """Read the text. Raises JobFileError when the text is not TOML."""
        text = text.replace("\r\n", "\n")
        try:
            values = tomllib.loads(text)
            positions = Positions(text)
            credentials = tuple(find_credentials(values))
        except (ValueError, RecursionError) as error:
            file = TextFile(path, masked_unread(text))
            raise JobFileError([_syntax_problem(error, file)], file=file) from None
        shown = masked(text, [positions.value(place) for place in credentials])
        return cls(TextFile(path, shown), values, positions, credentials)

    def at_key(self, path: KeyPath, message: str, *, hint: str | None = None) -> Problem:
        """Make the problem of a key, or of the table above the key when the file does not have the key."""
        known = path[:1] and path[0] in self.values
        return Problem(masked(message), self.file, self.positions.key(path) if known else self.file.end, hint)

    def at_value(self, path: KeyPath, message: str, *, hint: str | None = None) -> Problem:
        """Make the problem of a value."""
        return Problem(masked(message), self.file, self.positions.value(path), hint)

    def inside_value(self, path: KeyPath, span: Span) -> Span:
        """Return where a stretch of a text value stands in the file."""
        literal = self.positions.value(path)
        written = self.file.text[literal.start : literal.end]
        return Span(
            literal.start + offset_inside(written, span.start),
            literal.start + offset_inside(written, max(span.start, span.end - 1)) + 1,
        )

    def get(self, path: KeyPath) -> Any:
        """Return the value at a place. Returns None if there is no such place."""
        value: Any = self.values
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def _syntax_problem(error: Exception, file: TextFile) -> Problem:
    if isinstance(error, RecursionError):
        return Problem("nested too deeply to be read", file, Span(0, 0))
    found = _PLACE.fullmatch(str(error))
    what = found["what"] if found else str(error)
    hint = next((hint for start, hint in _SYNTAX_HINTS.items() if what.startswith(start)), None)
    message = f"this is not TOML: {what[:1].lower()}{what[1:]}"
    if not found or not found["line"]:
        return Problem(message, file, file.end, hint)
    lines = file.text.split("\n")
    start = sum(len(line) + 1 for line in lines[: int(found["line"]) - 1]) + int(found["column"]) - 1
    return Problem(message, file, Span(start, start + 1), hint)
