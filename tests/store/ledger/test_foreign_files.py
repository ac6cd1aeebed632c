"""A file that is not ours is refused in words as a ledger, and not one byte of the file is changed."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from batchrun.duckdb_file import opened
from batchrun.errors import EnvironmentProblem
from batchrun.store.ledger.connection import APPLICATION_ID
from batchrun.store.ledger.ledger import Ledger

OPENERS = pytest.mark.parametrize("open_", [Ledger.open, Ledger.read], ids=["writing", "reading"])


def a_database(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


FOREIGN: dict[str, Callable[[Path], None]] = {
    "tables": lambda path: a_database(path, "create table bookmarks (url text)"),
    "write-ahead log": lambda path: a_database(path, "pragma journal_mode = wal", "create table t (x)"),
    "application id": lambda path: a_database(path, "pragma application_id = 42", "create table t (x)"),
    "application id, no tables": lambda path: a_database(path, "pragma application_id = 42"),
    "a table called runs": lambda path: a_database(path, "create table runs (x)", "pragma user_version = 3"),
    "DuckDB": lambda path: duckdb.connect(str(path)).close(),
    "text": lambda path: path.write_text("doc_id,title\n" * 1_000) and None,
}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@OPENERS
@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_another_program(
    tmp_path: Path, make: Callable[[Path], None], open_: Callable[[Path], Ledger]
) -> None:
    path = tmp_path / "ledger.sqlite3"
    make(path)
    before = content(tmp_path)
    with pytest.raises(EnvironmentProblem, match=r"another program|no ledger|tables are missing") as caught:
        open_(path)
    assert "another file in [store] ledger" in str(caught.value.hint)
    assert content(tmp_path) == before


@OPENERS
def test_a_database_that_another_program_is_writing(tmp_path: Path, open_: Callable[[Path], Ledger]) -> None:
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table t (x)")
        connection.commit()
        before = path.read_bytes(), (tmp_path / "ledger.sqlite3-wal").read_bytes()
        with pytest.raises(EnvironmentProblem, match="another program"):
            open_(path)
        assert (path.read_bytes(), (tmp_path / "ledger.sqlite3-wal").read_bytes()) == before


@OPENERS
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is a folder, not a file"),
        (os.mkfifo, "is a named pipe, not a file"),
        (lambda path: path.symlink_to("/dev/null"), "is a device, not a file"),
        (lambda path: path.symlink_to(path.name), "cannot be used"),
    ],
    ids=["folder", "pipe", "device", "loop"],
)
def test_what_is_no_file(
    tmp_path: Path, make: Callable[[Path], None], words: str, open_: Callable[[Path], Ledger]
) -> None:
    path = tmp_path / "ledger.sqlite3"
    make(path)
    with pytest.raises(EnvironmentProblem, match=words):
        open_(path)


@pytest.mark.parametrize("read_only", [True, False])
def test_an_output_that_is_a_pipe(tmp_path: Path, *, read_only: bool) -> None:
    path = tmp_path / "out.duckdb"
    os.mkfifo(path)
    with (
        pytest.raises(EnvironmentProblem, match="it is a named pipe, not a file"),
        opened(path, read_only=read_only, wait_s=0),
    ):
        pass


def application_id(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("pragma application_id").fetchone()[0])


def test_our_ledgers_have_an_id_and_older_ones_get_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger.open(path).close()
    assert application_id(path) == APPLICATION_ID
    a_database(path, "pragma application_id = 0")
    Ledger.read(path).close()
    assert application_id(path) == 0
    Ledger.open(path).close()
    assert application_id(path) == APPLICATION_ID
