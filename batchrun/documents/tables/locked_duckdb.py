"""DuckDB without a database, locked down to one file: nothing else can be read, and nothing is downloaded."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchrun.documents.duckdb import NO_EXTENSIONS
from batchrun.documents.tables import TableFile
from batchrun.duckdb_file import first_line
from batchrun.errors import EnvironmentProblem
from batchrun.job.table_names import is_remote
from batchrun.masking import MASK, masked

if TYPE_CHECKING:
    import duckdb

MODEST = {"memory_limit": "64MB", "threads": "1"}
AMPLE = {"memory_limit": "1GB", "threads": "1"}
_KEYS = {
    "s3://": ", and to the AWS_ variables of the environment",
    "gs://": "; keys are HMAC keys of the bucket, which DuckDB keeps after: "
    "CREATE PERSISTENT SECRET (TYPE gcs, KEY_ID '…', SECRET '…')",
}
"""Where DuckDB finds the keys of buckets (its documentation, "S3 API Support" and "Google Cloud Storage Import")."""


@contextlib.contextmanager
def locked_to(file: TableFile, means: Mapping[str, str] = MODEST) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Open a connection that can read this file alone. Raises EnvironmentProblem if DuckDB cannot reach an address."""
    import duckdb

    remote = is_remote(file.path)
    config: dict[str, str | bool | int | float | list[str]] = {**NO_EXTENSIONS, **means}
    config["allow_persistent_secrets"] = str(remote).lower()
    with contextlib.closing(duckdb.connect(":memory:", config=config)) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        if remote:
            _load_httpfs(connection, file)
        connection.execute(f"SET allowed_paths = [{quoted(file.path)}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def sniffed(file: TableFile) -> tuple[str, str | None, str | None, int] | None:
    """Ask DuckDB for delimiter, quotation mark, escape and lines to skip. Returns None if DuckDB has no idea."""
    import duckdb

    try:
        with locked_to(file) as connection:
            found = connection.execute(
                "SELECT Delimiter, Quote, Escape, SkipRows FROM sniff_csv($1, header = true, all_varchar = true)",
                [file.path],
            ).fetchone()
    except duckdb.Error:  # the file's own error is told by those who read the file
        return None
    if found is None:
        return None
    delimiter, quote, escape, skipped = found
    return (delimiter, _mark(quote), _mark(escape), int(skipped)) if len(delimiter) == 1 else None


def in_words(error: Exception, file: TableFile) -> str:
    """Return what DuckDB says, without the secrets of an address."""
    words = first_line(error).replace(file.path, file.shown)
    if is_remote(file.path):
        address = urlsplit(file.path)
        for secret in filter(None, [address.query, address.username, address.password]):
            words = words.replace(secret, MASK)
    return masked(words)


def unreachable(error: Exception, file: TableFile) -> EnvironmentProblem:
    """Make the error for an address that DuckDB cannot read."""
    keys = next((hint for scheme, hint in _KEYS.items() if file.shown.startswith(scheme)), "")
    hint = f"see to the address and the network{keys}"
    return EnvironmentProblem(f"{file.key}: {file.shown}: {in_words(error, file)}", hint=hint)


def quoted(text: str) -> str:
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def _mark(text: str) -> str | None:
    return text if len(text) == 1 and text != "\0" else None


def _load_httpfs(connection: "duckdb.DuckDBPyConnection", file: TableFile) -> None:
    import duckdb

    try:
        connection.execute("LOAD httpfs")
        connection.execute("SELECT count(*) FROM duckdb_secrets()")  # DuckDB reads them now, and cannot when locked
    except duckdb.Error as error:
        raise EnvironmentProblem(
            f"{file.key}: {file.shown} needs DuckDB's extension httpfs, which is not installed",
            hint=f"""install it once: {sys.executable} -c "import duckdb; duckdb.sql('INSTALL httpfs')"; """
            "or download the file",
        ) from error
