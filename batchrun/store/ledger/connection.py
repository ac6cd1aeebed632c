"""The ledger's file: opened for writing or reading, laid out if new, refused if another version made the file."""

import contextlib
import sqlite3
import time
import uuid
from importlib import resources
from pathlib import Path

from batchrun.batch import BatchState
from batchrun.errors import EnvironmentProblem
from batchrun.estimation.text_class import TextClass
from batchrun.file_system import make_folder, other_kind
from batchrun.outcome import Outcome
from batchrun.store.ledger.sqlite_errors import LedgerDamaged, explained, run_script

SCRIPTS = (
    "01_ledger.sql", "02_batches.sql", "03_pacing.sql", "04_estimates.sql", "05_prices.sql", "06_caps.sql",
    "07_pilots.sql", "08_cascade.sql", "09_run_plans.sql", "10_absent_batches.sql", "11_adopted.sql",
    "12_tags_and_tokens.sql",
    "13_request_max_tokens.sql", "14_reading.sql", "15_answers.sql", "16_run_answers.sql",
    "17_reviews.sql", "18_tunes.sql", "19_cascade_calibrations.sql",
    "20_tune_frontier.sql", "21_leases.sql",
)  # fmt: skip
"""The scripts that lay out a ledger, in order; a ledger's version is how many of the scripts it has had."""
SCHEMA_VERSION = len(SCRIPTS)
APPLICATION_ID = 0x42524C31
"""What tells a ledger from the databases of other programs: "BRL1"."""
TABLES = frozenset({"meta", "runs", "documents", "requests", "attempts", "replies"})
"""Tables that every ledger has; the ledgers of earlier versions have no application id."""
BUSY_TRIES, BUSY_PAUSE_S = 100, 0.05
OUTCOMES, CLASSES, STATES = (
    ", ".join(f"'{word}'" for word in words) for words in (Outcome, TextClass, BatchState)
)  # fmt: skip
VALUES = {
    "requests": f"coalesce(outcome, 'invalid') in ({OUTCOMES}) and text_class in ({CLASSES})"
    " and json_valid(coalesce(output, 'null'))",
    "documents": f"coalesce(outcome, 'invalid') in ({OUTCOMES})",
    "attempts": f"coalesce(outcome, 'invalid') in ({OUTCOMES}) and state in ('open', 'answered', 'failed', 'unknown')",
    "batches": f"state in ({STATES}) and json_valid(schema)",
    "reviews": "drawn in ('audit', 'queue') and verdict in ('accepted', 'corrected', 'rejected')"
    " and json_valid(coalesce(value, 'null'))",
}
"""What the values of each table are, as far as a wrong one would be no answer but a failure of batchrun."""
ANOTHER_FILE = "name another file in [store] ledger"
NO_DAMAGE = frozenset({
    sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
})  # fmt: skip
"""What keeps a ledger from being looked at, such as a full disk: nothing is found then."""
CHECK_S = 1.0
"""How long a ledger is checked before money is spent; the check of a ledger of 300 MB takes so long."""


class OlderLedger(EnvironmentProblem):
    """A ledger of an older batchrun: opening the ledger for writing brings it up to date, and then it can be read."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the file, and create what is missing."""
    with explained(path):
        make_folder(path.parent)
        if holds_a_ledger(path) and (why := damage(path, within_s=CHECK_S)):
            raise LedgerDamaged(path, why)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        to_wal(connection)
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma temp_store = memory")  # or else statements keep what they may undo in /var/tmp
        connection.execute("pragma journal_size_limit = 67108864")
        create_missing(connection)
        if pragma(connection, "application_id") != APPLICATION_ID:
            connection.execute(f"pragma application_id = {APPLICATION_ID}")
        return checked(connection, path)


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """Open the file beside a writer. Returns None if the file is missing or still empty."""
    with explained(path):
        if not holds_a_ledger(path):  # or a process died, or works, between making the file and making its tables
            return None
        return checked(reading(path), path)


def reading(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """Open the file for reading only. An `immutable` one is not locked, and no files appear beside it."""
    uri = f"{path.absolute().as_uri()}?{'immutable=1' if immutable else 'mode=ro'}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)


def holds_a_ledger(path: Path) -> bool:
    """Whether the file is there and has tables. Raises EnvironmentProblem, with nothing changed, if it is not ours."""
    try:
        kind = other_kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if kind:
        raise EnvironmentProblem(f"the ledger {path} is {kind}, not a file.", hint=ANOTHER_FILE)
    with contextlib.closing(reading(path, immutable=not path.with_name(f"{path.name}-wal").exists())) as connection:
        application_id = pragma(connection, "application_id")
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        written = bool(pragma(connection, "user_version"))
    if application_id not in {0, APPLICATION_ID} or (not application_id and tables and not tables >= TABLES):
        raise EnvironmentProblem(f"{path} is a database of another program, not a ledger.", hint=ANOTHER_FILE)
    if (tables or written) and not tables >= TABLES:
        raise LedgerDamaged(path, "tables are missing")
    return bool(tables)


def damage(path: Path, *, within_s: float) -> str | None:
    """Look for what is wrong in a ledger. Returns None if nothing is found within the time."""
    until = time.monotonic() + within_s
    with contextlib.closing(reading(path)) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
        try:
            found = str(connection.execute("pragma integrity_check(1)").fetchone()[0])
            if found != "ok":
                return found.replace("\n", " ")
            return strange_values(connection) if version_of(connection) == SCHEMA_VERSION else None
        except sqlite3.DatabaseError as error:
            return None if error.sqlite_errorcode & 0xFF in NO_DAMAGE else str(error)


def strange_values(connection: sqlite3.Connection) -> str | None:
    """Name a table with a word that is none of ours, or with JSON that is none: SQLite itself has no checksums."""
    for table, expected in VALUES.items():
        if connection.execute(f"select 1 from {table} where not ({expected}) limit 1").fetchone():
            return f"the table {table} has a value that batchrun does not write"
    return None


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
    return pragma(connection, "user_version")


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """Read a number that the file has in its header."""
    return int(connection.execute(f"pragma {name}").fetchone()[0])


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
            hint=f"use the batchrun that wrote it, or {ANOTHER_FILE}",
        )
    return connection
