"""Opens a table, whatever kind of file it is."""

import contextlib
import gzip
import io
import os
import time
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from batchrun.documents.tables import Opener, Table, TableFile, Version
from batchrun.documents.tables.csv_rows import csv_rows
from batchrun.documents.tables.json_rows import json_rows
from batchrun.documents.tables.locked_duckdb import locked_to, quoted, unreachable
from batchrun.documents.tables.parquet import parquet_table
from batchrun.documents.tables.sheets import sheet_lines
from batchrun.documents.tables.text_table import RowFormat, TextTable
from batchrun.file_system import FILE_FAULTS, other_kind, tried
from batchrun.job.table_names import is_remote

_MOST_REMOTE = 200_000_000
_VERSION_LASTS_S = 30
"""How long an answer is good that a remote file is as it was: asking takes 0.1 seconds of processor time."""
_MOST_IDLE = 2
"""How many places of a .gz file are kept, from which reading can go on: one for a plan, one for sending."""


def version_of(file: TableFile) -> Version:
    """Return what changes with a file. Raises UsageProblem for a file that cannot be read, or EnvironmentProblem."""
    if is_remote(file.path):
        return _remote_version(file, int(time.monotonic() / _VERSION_LASTS_S))
    try:
        status = tried(lambda: Path(file.path).stat(), file.path)
    except OSError as error:
        raise _fault(error, file) from error
    if kind := other_kind(status.st_mode):
        raise file.problem(f"{kind}, not a file", hint="name files")
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)
def open_table(file: TableFile, version: Version, wanted: frozenset[str]) -> Table:  # noqa: ARG001  # the key
    """Find out how a table is written, and which columns it has. The table of an unchanged file is remembered."""
    if file.kind == "parquet":
        return parquet_table(file)
    if file.kind == "sheet":
        return _sheet(file)
    opener = _going_on(_remote_opener(file) if is_remote(file.path) else lambda: _local(file))
    find: RowFormat = json_rows(file, opener) if file.kind == "jsonl" else csv_rows(file, opener, wanted)
    return TextTable(file, opener, find)


def remote_files(pattern: str, file: TableFile) -> list[str]:
    """List the addresses that a pattern names, in order. Only buckets, s3:// and gs://, can be listed."""
    import duckdb

    try:
        with locked_to(file) as connection:
            found = connection.execute(f"SELECT file FROM glob({quoted(pattern)}) ORDER BY file").fetchall()
    except duckdb.Error as error:
        raise unreachable(error, file) from error
    return [path for (path,) in found]


def _sheet(file: TableFile) -> Table:
    if is_remote(file.path):
        raise file.problem("a workbook is read from disk alone", hint="download the file, and name the copy")
    number, lines = sheet_lines(file)

    def opener() -> BinaryIO:
        return io.BytesIO(lines)

    return TextTable(file, opener, json_rows(file, opener, number=number), unit="row")


def _local(file: TableFile) -> BinaryIO:
    try:
        # A pipe may have taken the file's place since; without O_NONBLOCK, opening the pipe would hang.
        opened = tried(lambda: os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), file.path)
    except OSError as error:
        raise _fault(error, file) from error
    raw = os.fdopen(opened, "rb")
    return _unzipped(file, raw) if file.path.lower().endswith(".gz") else raw


def _going_on(opener: Callable[[], BinaryIO]) -> Opener:
    """Keep what unzips a file open: behind one slice begins the next one, and every other way there is from the start.

    Slices and pages come in order, also to one process of several, so that each process unzips a file about once.
    """
    idle: list[BinaryIO] = []

    @contextlib.contextmanager
    def opened() -> Iterator[BinaryIO]:
        stream = idle.pop() if idle else opener()
        try:
            yield stream
        except BaseException:
            stream.close()
            raise
        if isinstance(getattr(stream, "raw", None), _Unzipped) and len(idle) < _MOST_IDLE:
            idle.append(stream)
        else:
            stream.close()

    return opened


def _unzipped(file: TableFile, raw: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_Unzipped(file, raw))  # seeks within its buffer without asking what it reads from


class _Unzipped(io.RawIOBase):
    """The content of a .gz file. An error of the compression becomes a problem of the file."""

    def __init__(self, file: TableFile, raw: BinaryIO) -> None:
        self._file = file
        self._raw = raw
        self._unzipped = gzip.GzipFile(fileobj=raw)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._told(lambda: self._unzipped.readinto(buffer))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._told(lambda: self._unzipped.seek(offset, whence))

    def close(self) -> None:
        self._raw.close()
        super().close()

    def _told(self, call: Callable[[], int]) -> int:
        try:
            return call()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            hint = "try gunzip -t on it, and copy the file again"
            raise self._file.problem(f"the compressed data is damaged: {error}", hint=hint) from error


def _remote_opener(file: TableFile) -> Callable[[], BinaryIO]:
    import duckdb

    try:
        with locked_to(file, {}) as connection:
            source = f"read_blob({quoted(file.path)})"
            ((size,),) = connection.execute(f"SELECT size FROM {source}").fetchall()
            if size > _MOST_REMOTE:
                raise file.problem(
                    f"{size / 1e6:,.0f} MB of text, and at most {_MOST_REMOTE / 1e6:.0f} MB are read from afar",
                    hint="download the file, or name a Parquet file, which is read in parts",
                )
            ((content,),) = connection.execute(f"SELECT content FROM {source}").fetchall()
    except duckdb.Error as error:
        raise unreachable(error, file) from error

    def opener() -> BinaryIO:
        raw = io.BytesIO(content)
        return _unzipped(file, raw) if content[:2] == b"\x1f\x8b" else raw

    return opener


@lru_cache(maxsize=2)
def _remote_version(file: TableFile, moment: int) -> Version:  # noqa: ARG001  # the key
    """Ask a server when a file was changed last; a server need not know, and then the size has to do."""
    import duckdb

    asked = f"SELECT epoch_us(last_modified), size FROM read_blob({quoted(file.path)})"
    try:
        with locked_to(file) as connection:
            ((modified_us, size),) = connection.execute(asked).fetchall()
    except duckdb.Error as error:
        raise unreachable(error, file) from error
    return (modified_us or 0) * 1_000, size


def _fault(error: OSError, file: TableFile) -> Exception:
    reason = FILE_FAULTS.get(error.errno or 0, f"cannot be read: {error.strerror or error}")
    return file.problem(reason, hint="see to the file, and run the same command again")
