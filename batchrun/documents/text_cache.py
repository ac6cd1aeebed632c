"""Texts that readers found, kept beside the ledger: a PDF is read once, and not again when its request is sent.

A text is named by the SHA-256 of the bytes, by the reader and its version, and by what the job says about reading: the
name says all that decides the text. The cache may be deleted at any time.
"""

import contextlib
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from batchrun.documents.formats import Attached, Format, Found, Part, ReadOptions, UnusablePart
from batchrun.file_system import make_folder

FOLDER = "texts"
SUFFIX = ".json.z"
_ENTRY = TypeAdapter(list[Part | UnusablePart])
_SHARES = 256
"""The folders of a cache, by the first two digits of names: each has an equal share of the cache's bytes."""
ENTRY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}\.json\.z(\.\d+)?")
"""The path of an entry, or of what a killed process left of one: nothing else is ever deleted."""
CLOCK_S = 2
"""How much the clock of the file system may differ from the machine's."""
MAX_ENTRY_BYTES = 200_000_000
"""The most bytes of an unpacked entry: a text cache is a file that somebody may have changed."""
QUICK = 1


@dataclass(frozen=True, slots=True)
class TextCache:
    """The cache in one folder, used by any number of processes at once."""

    folder: Path
    most_bytes: int = 2_000_000_000
    """About the most bytes of all entries. A text that alone takes more than one of 256 shares is not kept."""

    def load(self, sha: str, one: Format, options: ReadOptions) -> list[Found] | None:
        """Return what the reader found in the bytes with this SHA-256. Returns None if the cache does not know."""
        try:
            path = self._path(sha, one, options)
            packed = path.read_bytes() if path.stat().st_size <= MAX_ENTRY_BYTES else b""
        except OSError:
            return None
        try:
            return list[Found](_ENTRY.validate_python(json.loads(_unpacked(packed))))
        except (ValueError, RecursionError, zlib.error):  # cut off or changed: the reader is asked again
            return None

    def keep(self, sha: str, one: Format, options: ReadOptions, found: list[Found]) -> None:
        """Keep what the reader found, unless it has files in it. A cache that cannot be written only costs time."""
        if any(isinstance(part, Attached) or (isinstance(part, Part) and part.native) for part in found):
            return
        data = json.dumps([asdict(part) for part in found]).encode()
        if len(data) > MAX_ENTRY_BYTES:
            return
        packed, path, share = zlib.compress(data, QUICK), self._path(sha, one, options), self.most_bytes // _SHARES
        if len(packed) > share:
            return
        with contextlib.suppress(OSError):
            make_folder(self.folder.parent)
            for folder in (self.folder, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            _write(path, packed)
            if path.name[0] in "0123":  # one in four, because it takes a while to look at a large folder
                _trim(_entries(path.parent.glob("*")), share)

    def size(self) -> int:
        """Return the bytes of all entries."""
        return sum(status.st_size for _, status in _entries(self.folder.glob("??/*")))

    def has_grown(self, since_s: float) -> bool:
        """Whether entries came since a time: an entry that comes changes the time of its folder."""
        folders = (folder for folder in self.folder.glob("??") if folder.is_dir())
        return any(folder.stat().st_mtime >= since_s - CLOCK_S for folder in folders)

    def count(self) -> int:
        """Count the entries."""
        return sum(1 for _ in _entries(self.folder.glob("??/*")))

    def trim(self, most_bytes: int) -> int:
        """Delete the oldest entries until the others have at most so many bytes. Returns how many are deleted."""
        return _trim(_entries(self.folder.glob("??/*")), most_bytes)

    def _path(self, sha: str, one: Format, options: ReadOptions) -> Path:
        name = hashlib.sha256(json.dumps([sha, one.reader, asdict(options)]).encode()).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}{SUFFIX}"


def _entries(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for path in paths:
        if ENTRY.fullmatch("/".join(path.parts[-2:])):
            with contextlib.suppress(FileNotFoundError):  # another process has just deleted it
                yield path, path.stat()


def _trim(found: Iterable[tuple[Path, os.stat_result]], most_bytes: int) -> int:
    entries = sorted(found, key=lambda entry: entry[1].st_mtime_ns)
    size, deleted = sum(status.st_size for _, status in entries), 0
    for path, status in entries:
        if size <= most_bytes:
            break
        path.unlink(missing_ok=True)
        size, deleted = size - status.st_size, deleted + 1
    return deleted


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(packed, MAX_ENTRY_BYTES)
    if not unpacking.eof:
        raise ValueError("the entry is cut off, or too large")
    return data


def _write(path: Path, packed: bytes) -> None:
    """Write an entry whole or not at all."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        new.touch(mode=0o600)
        new.write_bytes(packed)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
