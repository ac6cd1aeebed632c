"""SQLite's errors in people's words, and SQLite's scripts inside a transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchrun.errors import BatchrunError, EnvironmentProblem
from batchrun.escaping import escape_control

LONGEST_REASON = 300


class StoreFull(EnvironmentProblem):
    """The ledger's disk is full: no money may be spent that cannot be recorded."""


class LedgerDamaged(EnvironmentProblem):
    """The ledger's file does not hold what was written to it."""

    def __init__(self, path: Path | None, why: object) -> None:
        super().__init__(
            f"the ledger {path} is damaged or is no ledger: {escape_control(str(why))[:LONGEST_REASON]}.",
            hint="restore it from a backup; or move it away and go on from the output: batchrun adopt --help;"
            " or name another file in [store] ledger",
        )


@contextmanager
def explained(path: Path | None) -> Iterator[None]:
    """Translate errors of the file; a mistake in our SQL stays a bug."""
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(
            f"the ledger {path} cannot be used: {error.strerror or error}.", hint="check the folder's permissions"
        ) from error
    except UnicodeDecodeError as error:  # of an error message of SQLite that quotes the file
        raise LedgerDamaged(path, error) from error
    except sqlite3.DatabaseError as error:
        raise translated(error, path) from error


def translated(error: sqlite3.DatabaseError, path: Path | None) -> BatchrunError | sqlite3.DatabaseError:
    """Return an error that a person understands, or the original if the error is a bug."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # the low byte; the bytes above only refine it
        case sqlite3.SQLITE_FULL:
            return StoreFull(
                f"the disk is full; the ledger {path} cannot be written.",
                hint="free some space and run the same command again: everything recorded is safe",
            )
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return LedgerDamaged(path, error)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return EnvironmentProblem(
                f"the ledger {path} is kept locked by another program for too long.", hint="close it and try again"
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return EnvironmentProblem(
                f"the ledger {path} cannot be opened: {error}.", hint="check the folder's permissions"
            )
        case sqlite3.SQLITE_IOERR:
            return StoreFull(
                f"the ledger {path} cannot be written: {error}.",
                hint="check the disk and run the same command again: everything recorded is safe",
            )
        case _:
            return LedgerDamaged(path, error) if "Could not decode to UTF-8" in str(error) else error


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Run the statements of a script one by one: `executescript` would commit the transaction around them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
