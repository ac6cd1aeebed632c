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


class Positions:
    """Key and value positions by path; list elements are numbered from 0.

    The text is gone through once. Every loop moves forward, so the loops end on any text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._keys: dict[KeyPath, Span] = {}
        """Tables too: their headers, or else the first key that implies the table."""
        self._values: dict[KeyPath, Span] = {}
        self._last_elements: dict[KeyPath, int] = {}
        """The number of the newest table in each array of tables."""
        self._scan()

    def key(self, path: KeyPath) -> Span:
        """Return where the key stands, or else the closest table above the key."""
        known = (path[:length] for length in range(len(path), 0, -1) if path[:length] in self._keys)
        return self._keys.get(next(known, ()), Span(0, 0))

    def value(self, path: KeyPath) -> Span:
        """Return where the value stands, or else the key of the closest table above the value."""
        return self._values.get(path) or self.key(path)

    def _scan(self) -> None:
        table: KeyPath = ()
        self._take(_BLANK)
        while self._at < len(self._text):
            before = self._at
            if self._text[before] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._at = max(self._at, before + 1)
            self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        """Move over the text that matches here, and return that text."""
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found.group()

    def _header(self) -> KeyPath:
        start = self._at
        is_array = self._text.startswith("[[", start)
        self._at += 2 if is_array else 1
        *above, last = [name for name, _ in self._key_parts()] or [""]
        self._take(_HEADER_END)
        span = Span(start, self._at)
        path: KeyPath = ()
        for name in above:
            path = self._in_last_element((*path, name))
            self._keys.setdefault(path, span)
        path = (*path, last)
        if is_array:
            self._keys.setdefault(path, span)
            self._last_elements[path] = self._last_elements.get(path, -1) + 1
            path = self._in_last_element(path)
        self._keys[path] = span
        return path

    def _in_last_element(self, path: KeyPath) -> KeyPath:
        """Step into the newest table when the path names an array of tables."""
        return (*path, self._last_elements[path]) if path in self._last_elements else path

    def _pair(self, table: KeyPath) -> None:
        path = table
        for name, span in self._key_parts():
            path = (*path, name)
            self._keys.setdefault(path, span)
        if self._take(_EQUALS) is not None:
            self._value(path)

    def _key_parts(self) -> Iterator[tuple[str, Span]]:
        self._take(_SPACES)
        start = self._at
        while (part := self._take(_KEY_PART)) is not None:
            yield _unquoted(part), Span(start, self._at)
            if self._take(_DOT) is None:
                return
            self._take(_SPACES)
            start = self._at

    def _value(self, path: KeyPath) -> None:
        start = self._at
        if self._text.startswith("[", start):
            for number in self._elements("]"):
                self._value((*path, number))
        elif self._text.startswith("{", start):
            for _ in self._elements("}"):
                self._pair(path)
        else:
            scalar = self._take(_SCALAR) or ""
            self._at = start + len(scalar.rstrip())
        self._values[path] = Span(start, self._at)
        self._keys.setdefault(path, self._values[path])

    def _elements(self, closing: str) -> Iterator[int]:
        """Stop at each element of a bracketed list, and behind its closing bracket."""
        self._at += 1
        for number in itertools.count():
            self._take(_SEPARATORS)
            before = self._at
            if before >= len(self._text):
                return
            if self._text[before] == closing:
                self._at += 1
                return
            yield number
            self._at = max(self._at, before + 1)


def offset_inside(literal: str, index: int) -> int:
    """Return the offset in a TOML string literal of character `index` of the text that the literal stands for."""
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


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    try:
        return str(tomllib.loads(f"key = {part}")["key"])
    except tomllib.TOMLDecodeError:
        return part
