"""The ledger's file: opened for writing or reading, laid out if new, refused if another version made the file."""

import sqlite3
import time
import uuid
from importlib import resources
from pathlib import Path

from batchrun.errors import EnvironmentProblem
from batchrun.store.ledger.sqlite_errors import explained, run_script

SCRIPTS = (
    "01_ledger.sql", "02_batches.sql", "03_pacing.sql", "04_estimates.sql", "05_prices.sql", "06_caps.sql",
    "07_pilots.sql", "08_cascade.sql", "09_run_plans.sql", "10_adopted.sql",
)  # fmt: skip
"""The scripts that lay out a ledger, in order; a ledger's version is how many of the scripts it has had."""
SCHEMA_VERSION = len(SCRIPTS)
BUSY_TRIES, BUSY_PAUSE_S = 100, 0.05


class OlderLedger(EnvironmentProblem):
    """A ledger of an older batchrun: opening the ledger for writing brings it up to date, and then it can be read."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the file, and create what is missing."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        to_wal(connection)
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma temp_store = memory")  # or else statements keep what they may undo in /var/tmp
        connection.execute("pragma journal_size_limit = 67108864")
        create_missing(connection)
        return checked(connection, path)


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """Open the file beside a writer. Returns None if the file is missing or still empty."""
    if not path.exists():
        return None
    with explained(path):
        uri = path.absolute().as_uri() + "?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
        if is_blank(connection):  # a process died, or is working, between making the file and making its tables
            connection.close()
            return None
        return checked(connection, path)


def to_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging.

    When two processes switch a new file at once, SQLite refuses one of them immediately as busy, whatever the timeout.
    """
    for _ in range(BUSY_TRIES):
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(BUSY_PAUSE_S)
        else:
            return
    connection.execute("pragma journal_mode = wal")


def empty() -> sqlite3.Connection:
    """Open a ledger without a file."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    create_missing(connection)
    return connection


def is_blank(connection: sqlite3.Connection) -> bool:
    """Whether the file has no tables."""
    return bool(connection.execute("select count(*) = 0 from sqlite_master").fetchone()[0])


def create_missing(connection: sqlite3.Connection) -> None:
    """Lay out an empty file, or bring an older one up to date. Two processes may do so at once."""
    if version_of(connection) >= SCHEMA_VERSION:
        return
    connection.execute("begin immediate")
    version = version_of(connection)
    for script in SCRIPTS[version:]:
        run_script(connection, resources.files("batchrun.store.migrations").joinpath(script).read_text("utf-8"))
    if not version:
        connection.execute("insert into meta values ('ledger_id', ?), ('sequence', 0)", (uuid.uuid4().hex,))
    connection.execute(f"pragma user_version = {max(version, SCHEMA_VERSION)}")
    connection.execute("commit")


def version_of(connection: sqlite3.Connection) -> int:
    """How many of the scripts the file has had; 0 if the file is empty."""
    return int(connection.execute("pragma user_version").fetchone()[0])


def checked(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Refuse a ledger of another version rather than guess at its tables."""
    version = version_of(connection)
    if version < SCHEMA_VERSION:  # the file is open for reading only
        raise OlderLedger(
            f"{path} is a ledger of an older batchrun.",
            hint="the next `batchrun plan` or `submit` brings it up to date",
        )
    if version > SCHEMA_VERSION:
        raise EnvironmentProblem(
            f"{path} is a ledger of version {version}; this batchrun knows version {SCHEMA_VERSION}.",
            hint="use the batchrun that wrote it, or name another file in [store] ledger",
        )
    return connection
