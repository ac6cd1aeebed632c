"""Reads a file of any format, and the files attached to it; the one place where failures of readers get a reason."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from batchrun.documents import NeedsChild
from batchrun.documents.bounds import MAX_BYTES, too_large
from batchrun.documents.formats import (
    FORMATS,
    IMAGE,
    Attached,
    Format,
    Found,
    Part,
    ReadOptions,
    Unusable,
    UnusablePart,
)
from batchrun.documents.formats.magic import is_picture
from batchrun.documents.formats.recognition import recognise
from batchrun.escaping import escape_control

T = TypeVar("T")
ReadOne = Callable[[Format, bytes, ReadOptions], list[Found]]
"""What reads the bytes of one file by one format. A caller may put a cache around `read_one`."""

MAX_DEPTH = 5
MAX_ATTACHED = 2_000
MAX_ATTACHED_BYTES = 256_000_000
_REASON_LENGTH = 200
_MOST_BYTES = 4
"""The most bytes that a character has in UTF-8."""
_SHOWN = {"text": "text", "sheets": "sheet", "eml": "mail"}


@dataclass(frozen=True, slots=True)
class ReadPart:
    """A part with its text, and what it was read from."""

    part: Part
    """The part. Its name is the whole way from the outer file, such as "fwd.eml#terms.pdf"."""
    format: Format
    bytes_sha: str
    """SHA-256 of the bytes that the reader got: those of the attached file for a part of an attached file."""


def read_one(one: Format, data: bytes, options: ReadOptions) -> list[Found]:
    """Read the bytes of one file by one format."""
    return list(one.read(data, options))


def read_file(
    data: bytes, name: str, wanted: str, options: ReadOptions, read_one: ReadOne = read_one
) -> Iterator[ReadPart | UnusablePart]:
    """Read a file and what is attached to the file, by the format `wanted`, or by each file's own if that is "auto".

    Raises Unusable if the file itself cannot be read. An attached file that cannot be read is an UnusablePart.
    """
    one = format_of(data, name, options) if wanted == "auto" else FORMATS[wanted]
    yield from _Reading(options, read_one).read(data, one)


def format_of(data: bytes, name: str, options: ReadOptions) -> Format:
    """Return the format of a file, by its content and name. Raises Unusable for what has no text."""
    return IMAGE if options.pdf != "text" and is_picture(data) else FORMATS[recognise(data, name)]


class _Reading:
    """The reading of one outer file, and how much was attached to the file so far."""

    def __init__(self, options: ReadOptions, read_one: ReadOne) -> None:
        self._options = options
        self._read_one = read_one
        self._attached = self._attached_bytes = 0
        self._names: set[str] = set()

    def read(self, data: bytes, one: Format, prefix: str = "", depth: int = 0) -> Iterator[ReadPart | UnusablePart]:
        """Read a file whose parts have names that begin with the prefix."""
        sha = hashlib.sha256(data).hexdigest()
        for found in with_reasons(one, lambda: self._read_one(one, data, self._options)):
            name = f"{prefix}#{found.name}" if prefix and found.name else prefix or found.name
            if isinstance(found, Attached):
                yield from self._attachment(found, name, depth + 1)
            elif isinstance(found, UnusablePart):
                yield UnusablePart(self._unique(name), found.reason)
            else:
                yield _bounded(ReadPart(replace(found, name=self._unique(name)), one, sha))

    def _attachment(self, found: Attached, name: str, depth: int) -> Iterator[ReadPart | UnusablePart]:
        if self._attached > MAX_ATTACHED:
            return
        self._attached += 1
        self._attached_bytes += len(found.data)
        try:
            self._require_bounds(depth)
            yield from self.read(found.data, format_of(found.data, found.name, self._options), name, depth)
        except Unusable as reason:
            yield UnusablePart(self._unique(name), str(reason))

    def _require_bounds(self, depth: int) -> None:
        if self._attached > MAX_ATTACHED:
            raise Unusable(f"more than {MAX_ATTACHED:,} files are attached; this one and all after it are not read")
        if self._attached_bytes > MAX_ATTACHED_BYTES:
            raise Unusable(f"more than {MAX_ATTACHED_BYTES / 1e6:.0f} MB are attached; this file is not read")
        if depth > MAX_DEPTH:
            raise Unusable(f"a file in a file, more than {MAX_DEPTH} deep; take it out of the outer files")

    def _unique(self, name: str) -> str:
        """Return the name, or the name with a number if a part has the name already: two documents need two ids."""
        numbered, number = name, 1
        while numbered in self._names:
            number += 1
            numbered = f"{name} ({number})"
        self._names.add(numbered)
        return numbered


def with_reasons(one: Format, read: Callable[[], T]) -> T:
    """Read one file of a format. Whatever goes wrong in a reader is Unusable, with a reason."""
    try:
        return read()
    except (Unusable, NeedsChild):
        raise
    except MemoryError as error:
        raise Unusable("needs too much memory to be read; split it first") from error
    except RecursionError as error:
        raise Unusable("what it holds is nested too deeply to be read; save it again in another format") from error
    except Exception as error:
        # Hostile bytes go into foreign libraries: any error is possible, and none is the end of a run.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_REASON_LENGTH]
        raise Unusable(
            f"the {_SHOWN.get(one.name, one.name.upper())} reader failed: {escape_control(reason)}"
        ) from error


def _bounded(read: ReadPart) -> ReadPart | UnusablePart:
    """Return the part, or what is to be said of the part if its text is too large for a request."""
    text = read.part.text
    size = len(text) if len(text) * _MOST_BYTES <= MAX_BYTES else len(text.encode("utf-8", "surrogatepass"))
    if size <= MAX_BYTES:
        return read
    if not read.part.name:
        raise Unusable(too_large(size))
    return UnusablePart(read.part.name, too_large(size))
