"""What a file is by the ending of its name: a table, and of which kind, or another thing that is no DuckDB database."""

import re
from typing import Literal
from urllib.parse import urlsplit

from batchrun.job.value_errors import refusal

TableKind = Literal["csv", "tsv", "jsonl", "parquet", "sheet"]
_KINDS: dict[str, TableKind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "sheet",
    ".xlsm": "sheet",
    ".xls": "sheet",
    ".xlsb": "sheet",
    ".ods": "sheet",
}
_ROWS = (
    *(ending for ending, kind in _KINDS.items() if kind != "sheet"),
    *(f"{ending}.gz" for ending, kind in _KINDS.items() if kind in {"csv", "tsv", "jsonl"}),
)
"""The endings of files with a record in each line or row; every file of a source is held against them."""
BUCKETS = ("s3://", "gs://")
"""The addresses of buckets of Amazon and Google, whose files can be listed."""
_IN_BUCKET = re.compile(r"((?:s3|gs)://[a-z0-9][a-z0-9._-]{1,221}/)(?!.*\?\w+=).+", re.DOTALL)
READABLE = "csv, tsv, jsonl, ndjson (each also with .gz), parquet, xlsx, xlsm, xls, xlsb or ods"
_SQLITE = (".sqlite", ".sqlite3")
FROM_SQLITE = (
    'export the rows, such as sqlite3 -header -csv FILE "SELECT …" > rows.csv, '
    'and write type = "table" and path = "rows.csv"'
)


def is_remote(path: str) -> bool:
    """Whether a path is an address; tables there are read by DuckDB through its httpfs extension."""
    return path.lower().startswith((*BUCKETS, "https://", "http://"))


def file_place(pattern: str, *, key: str) -> str:
    """Return where a pattern of files looks: the address of a bucket, or an empty text for a disk.

    Refuses an address that is no pattern for files in a bucket. The address is not told: it may have a key in it.
    """
    if not is_remote(pattern):
        return ""
    if found := _IN_BUCKET.fullmatch(pattern):
        return found[1]
    hint = "write s3://bucket/folder/** or gs://bucket/folder/**"
    raise refusal("an address that names no files in a bucket", key=key, hint=hint)


def table_kind(path: str) -> TableKind | None:
    """Return the kind of a table by the ending of its name. Returns None for a name that is no table's."""
    name = (urlsplit(path).path if is_remote(path) else path).lower()
    bare = name.removesuffix(".gz")
    kind = next((kind for ending, kind in _KINDS.items() if bare.endswith(ending)), None)
    return kind if bare == name or kind in {"csv", "tsv", "jsonl"} else None


def looks_like_table(name: str) -> bool:
    """Whether a file has rows that were hardly meant to be one text: CSV, TSV, JSON Lines or Parquet, by its name."""
    return name.lower().endswith(_ROWS)


def database_name(name: str) -> str:
    """Refuse the name of a file that is no DuckDB database, with what to write instead."""
    if table_kind(name):
        hint = f'write type = "table" and path = "{name}", with the names of columns as id and text; leave query out'
        raise refusal("this is a table, not a DuckDB database", hint=hint)
    if name.lower().endswith(".json"):
        hint = 'put one object on each line of a .jsonl file, and write type = "table" and path = "….jsonl"'
        raise refusal("this is JSON, not a DuckDB database", hint=hint)
    if name.lower().endswith(_SQLITE):
        raise refusal("this is an SQLite database, not a DuckDB database", hint=FROM_SQLITE)
    return name
