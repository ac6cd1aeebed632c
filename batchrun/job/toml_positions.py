"""Where each key and value of a TOML text stands: `tomllib` reads values and keeps no positions.

The text is meant to have been read by `tomllib` first. On any other text the positions are meaningless,
but finding them still ends without an error.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SEPARATORS = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_SPACES = re.compile(r"[ \t]*")
_DOT = re.compile(r"[ \t]*\.")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_HEADER_END = re.compile(r"[ \t]*\]{0,2}")
_KEY_PART = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[^\s.=\[\]{},#"\']+')
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|[^,\]}#\n]*",
    re.DOTALL,
)
_CHARACTER = re.compile(r"\\[ \t]*\n\s*|\\u.{4}|\\U.{8}|\\.|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the text, as offsets."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Span
    value: Span | None = None
    """None for a table that has a header, or exists only because a key below it does."""


class Positions:
    """Key and value positions by path; list elements are numbered from 0."""

    def __init__(self, text: str) -> None:
        self._entries = _Scanner(text).scan()

    def key(self, path: KeyPath) -> Span:
        """Return where the key stands, or the closest table above it."""
        return self._nearest(path).key

    def value(self, path: KeyPath) -> Span:
        """Return where the value stands, or the key of the closest table above it."""
        entry = self._nearest(path)
        return entry.value if entry.value is not None and path in self._entries else entry.key

    def _nearest(self, path: KeyPath) -> _Entry:
        for length in range(len(path), 0, -1):
            if path[:length] in self._entries:
                return self._entries[path[:length]]
        return _Entry(Span(0, 0))


def offset_inside(literal: str, index: int) -> int:
    """Return the offset in a TOML string literal of character `index` of the text it stands for."""
    quote = next((q for q in ('"""', "'''", '"', "'") if literal.startswith(q)), "")
    at = len(quote) + (len(quote) == 3 and literal[3:4] == "\n")
    if not quote.startswith('"'):
        return at + index
    while (character := _CHARACTER.match(literal, at)) is not None:
        is_continuation = re.match(r"\\[ \t]*\n", character.group()) is not None
        if index == 0 and not is_continuation:
            break
        index -= not is_continuation
        at = character.end()
    return at


class _Scanner:
    """One pass over the text. Every loop moves forward, so it ends on any input."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.entries: dict[KeyPath, _Entry] = {}
        self.last_elements: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, _Entry]:
        table: KeyPath = ()
        while self.take(_BLANK) is not None and self.at < len(self.text):
            before = self.at
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.at = max(self.at, before + 1)
        return self.entries

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Move over what matches here and return it."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def header(self) -> KeyPath:
        start = self.at
        is_array = self.text.startswith("[[", start)
        self.at += 2 if is_array else 1
        names = [name for name, _ in self.key_parts()]
        self.take(_HEADER_END)
        span = Span(start, self.at)
        path: KeyPath = ()
        for name in names[:-1]:
            path = self.in_last_element((*path, name))
            self.entries.setdefault(path, _Entry(span))
        path = (*path, *names[-1:])
        if is_array:
            self.entries.setdefault(path, _Entry(span))
            self.last_elements[path] = self.last_elements.get(path, -1) + 1
            path = self.in_last_element(path)
        self.entries[path] = _Entry(span)
        return path

    def in_last_element(self, path: KeyPath) -> KeyPath:
        """Step into the newest table when the path names an array of tables."""
        return (*path, self.last_elements[path]) if path in self.last_elements else path

    def pair(self, table: KeyPath) -> None:
        path, span = table, Span(self.at, self.at)
        for name, span in self.key_parts():
            path = (*path, name)
            self.entries.setdefault(path, _Entry(span))
        if self.take(_EQUALS) is not None:
            self.value(path, key=span)

    def key_parts(self) -> list[tuple[str, Span]]:
        parts: list[tuple[str, Span]] = []
        while True:
            self.take(_SPACES)
            start = self.at
            part = self.take(_KEY_PART)
            if part is None:
                return parts
            parts.append((_unquoted(part), Span(start, self.at)))
            if self.take(_DOT) is None:
                return parts

    def value(self, path: KeyPath, *, key: Span | None = None) -> None:
        start = self.at
        if self.text.startswith("[", start):
            self.array(path)
        elif self.text.startswith("{", start):
            self.inline_table(path)
        else:
            scalar = self.take(_SCALAR) or ""
            self.at = start + len(scalar.rstrip())
        span = Span(start, self.at)
        self.entries[path] = _Entry(key or span, span)

    def array(self, path: KeyPath) -> None:
        for number in self.elements("]"):
            self.value((*path, number))

    def inline_table(self, path: KeyPath) -> None:
        for _ in self.elements("}"):
            self.pair(path)

    def elements(self, closing: str) -> Iterator[int]:
        """Stop at each element of a bracketed list, and behind its closing bracket."""
        self.at += 1
        for number in itertools.count():
            self.take(_SEPARATORS)
            if self.at >= len(self.text):
                return
            if self.text[self.at] == closing:
                self.at += 1
                return
            before = self.at
            yield number
            self.at = max(self.at, before + 1)


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    try:
        return str(tomllib.loads(f"key = {part}")["key"])
    except tomllib.TOMLDecodeError:
        return part
