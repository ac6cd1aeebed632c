"""Opens a DuckDB file for a moment, waits for other users of the file, and says why the file cannot be opened."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.errors import BatchrunError, Busy, EnvironmentProblem
from batchrun.file_system import command_of, other_kind

if TYPE_CHECKING:
    import duckdb  # at run time inside functions: the import costs 0.2 s, which `--help` must not pay

POLL_S = 0.05
STORAGE_VERSION = "v1.4.0"
"""The format of new files: no DuckDB 1.x can read the format of 2.0."""

_HOLDER = re.compile(r"Conflicting lock is held(?: in (?P<program>\S.*?))?[ (]+PID (?P<pid>\d+)")
_REASONS = (
    ("not a valid DuckDB database file", "it is not a DuckDB file"),
    ("database does not exist", "there is no such file"),
    ("No such file or directory", "its folder does not exist"),
    ("Not a directory", "its folder does not exist"),
    ("Permission denied", "permission denied"),
    ("Is a directory", "it is a folder"),
    ("Corrupt database file", "the file is damaged"),
    ("Could not read enough bytes", "the file is damaged: it ends too early"),
)

_HINTS = {
    "it is not a DuckDB file": "name a file that DuckDB made; CSV, JSON and Parquet files are loaded into one first",
    "its folder does not exist": "make the folder, or correct the path",
    "there is no such file": "correct the path; relative paths start at the project folder",
    "permission denied": "give this user access to the file and its folder",
}

# A read-only and a read-write connection to one file cannot live side by side in a process, so our own
# opens take turns. `setdefault` is atomic; a lock is never removed.
_turns: dict[str, threading.Lock] = {}


class LockedByAnother(Busy):
    """The file is open elsewhere, in a way that keeps others out."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"{path} is in use by {holder}",
            hint="close it there (a notebook, a dashboard, the duckdb shell), or wait; then run the same command again",
        )


@contextlib.contextmanager
def opened(
    path: Path,
    *,
    read_only: bool,
    wait_s: float,
    config: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Open `path`, waiting up to `wait_s` seconds for another user; close the file whatever happens.

    A file that does not exist is created if it is opened for writing. Raises LockedByAnother, or EnvironmentProblem
    for a file that is missing, damaged, forbidden or no DuckDB file.
    """
    path = Path(os.path.realpath(path))
    deadline = clock() + wait_s
    turn = _turns.setdefault(str(path), threading.Lock())
    if not turn.acquire(timeout=wait_s):
        raise LockedByAnother(path, "another part of this process")
    try:
        while True:
            try:
                connection = _connect(path, read_only=read_only, config=config or {})
                break
            except LockedByAnother:
                if clock() >= deadline:
                    raise
                sleep(POLL_S)
        with contextlib.closing(connection):
            # The progress bar of DuckDB goes to stdout, even into a pipe.
            connection.execute("SET enable_progress_bar = false")
            yield connection
    finally:
        turn.release()


def first_line(error: Exception) -> str:
    """Return what DuckDB says, without the query and the stack below."""
    return str(error).partition("\n")[0].strip()


def _connect(path: Path, *, read_only: bool, config: Mapping[str, str]) -> "duckdb.DuckDBPyConnection":
    import duckdb

    try:
        if not read_only and not path.exists():
            _create(path)
        kind = other_kind(path.stat().st_mode) if path.exists() and not path.is_dir() else None
        if kind:  # opening a pipe would hang
            raise EnvironmentProblem(f"cannot open {path}: it is {kind}, not a file")
        return duckdb.connect(str(path), read_only=read_only, config=dict(config))
    except (duckdb.Error, OSError) as error:
        raise _in_words(error, path) from error


def _create(path: Path) -> None:
    """Make an empty database that appears under its name only when the database is whole, and replaces no other."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    try:
        _write_empty(fresh)
        wal = path.with_name(path.name + ".wal")
        orphaned = wal.exists()
        with contextlib.suppress(FileExistsError):
            _appear(fresh, path)
            if orphaned:  # left by a deleted database; DuckDB would refuse the new file because of this log
                wal.replace(wal.with_name(wal.name + ".orphaned"))
    finally:
        fresh.unlink(missing_ok=True)


def _write_empty(path: Path) -> None:
    import duckdb

    name = str(path).replace("'", "''")
    with contextlib.closing(duckdb.connect(":memory:")) as memory:
        try:
            memory.execute(f"ATTACH '{name}' AS fresh (STORAGE_VERSION '{STORAGE_VERSION}')")
        except (duckdb.BinderException, duckdb.InvalidInputException):
            # A DuckDB that knows neither the option nor the version writes its own format.
            memory.execute(f"ATTACH '{name}' AS fresh")
        memory.execute("DETACH fresh")


def _appear(fresh: Path, path: Path) -> None:
    try:
        path.hardlink_to(fresh)  # unlike a rename, fails when another process was faster
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        fresh.rename(path)


def _in_words(error: Exception, path: Path) -> BatchrunError:
    text = str(error)
    if holder := _HOLDER.search(text):
        program = command_of(int(holder["pid"])) or holder["program"] or "another process"
        return LockedByAnother(path, f"{program} (PID {holder['pid']})")
    if "different configuration" in text:
        return LockedByAnother(path, "another connection of this process")
    reason = next((words for needle, words in _REASONS if needle in text), first_line(error))
    return EnvironmentProblem(f"cannot open {path}: {reason}", hint=_HINTS.get(reason))
