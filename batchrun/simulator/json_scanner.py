"""JSON read value by value from a large body, of which only a window is in memory.

The window is decoded as Latin-1, where one character is one byte: JSON's own signs are ASCII, so every value is found
where its bytes are. Texts come out garbled unless they are ASCII; who wants one reads its bytes again.
"""

import json
from collections.abc import Iterator
from typing import Any

from batchrun.simulator.spool import Spool

_WINDOW = 1024**2
_BLANKS = " \t\r\n"
_DECODER = json.JSONDecoder()


class JsonScanner:
    """Where a body has been read to. Every method raises ValueError when what comes is not the JSON it expects."""

    def __init__(self, body: Spool) -> None:
        self._body = body
        self._text = ""
        self._start = 0  # of the window
        self._at = 0  # within the window

    @property
    def offset(self) -> int:
        """How many bytes have been read."""
        return self._start + self._at

    def peek(self) -> str:
        """Skip blanks; return the character that comes, which stays, or an empty text at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANKS:
                    return self._text[self._at]
                self._at += 1
            if not self._grow():
                return ""

    def take(self, expected: str) -> str:
        """Read one of the characters expected."""
        found = self.peek()
        if not found or found not in expected:
            raise ValueError(f"Expecting {' or '.join(expected)}: char {self.offset}")
        self._at += 1
        return found

    def value(self) -> Any:
        """Read a value, whatever it is."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._grow():  # the value may go on beyond the window
                    continue
                raise ValueError(f"{error.msg}: char {self._start + error.pos}") from error
            if end < len(self._text) or not self._grow():
                self._at = end
                return value

    def members(self) -> Iterator[str]:
        """Read an object: yield each name, and go on when the value after it has been read."""
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            name = self.value()
            if not isinstance(name, str):
                raise ValueError(f"Expecting property name enclosed in double quotes: char {self.offset}")  # noqa: TRY004
            self.take(":")
            yield name
            if self.take(",}") == "}":
                return

    def elements(self) -> Iterator[int]:
        """Read an array: yield each index, and go on when the value there has been read."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        index = 0
        while True:
            yield index
            index += 1
            if self.take(",]") == "]":
                return

    def _grow(self) -> bool:
        """Drop what was read, and read as much again as is left, so that a long value is tried only a few times."""
        left = self._text[self._at :]
        piece = self._body.read(self._start + len(self._text), max(_WINDOW, len(left)))
        if not piece:
            return False
        self._text, self._start, self._at = left + piece.decode("latin-1"), self._start + self._at, 0
        return True
