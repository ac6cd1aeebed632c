"""Which moments there are around commits."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import duckdb
import pytest

from batchrun.proof.moments import CAP_PASSED, Moments, _Ledger, _Output


@pytest.fixture
def moments() -> list[str]:
    return []


@pytest.fixture
def ledger(tmp_path: Path, moments: list[str]) -> Iterator[_Ledger]:
    connection = partial(_Ledger, moments.append)(tmp_path / "ledger.sqlite3", isolation_level=None)
    connection.execute("create table runs (committed_nusd integer, cap_nusd integer)")
    yield connection
    connection.close()


def test_a_commit_has_two_moments(ledger: _Ledger, moments: list[str]) -> None:
    ledger.execute("begin immediate")
    ledger.execute("insert into runs values (?, ?)", (1, 1))
    ledger.execute("commit")
    assert moments == ["before a commit of the ledger", "after a commit of the ledger"]


def test_a_commit_that_changes_nothing_is_no_moment(ledger: _Ledger, moments: list[str]) -> None:
    ledger.execute("begin immediate")
    ledger.execute("commit")
    assert moments == []


def test_a_commit_that_passes_the_cap_is_not_made(ledger: _Ledger, moments: list[str]) -> None:
    ledger.execute("begin immediate")
    ledger.execute("insert into runs values (2, 1)")
    with pytest.raises(AssertionError, match=CAP_PASSED):
        ledger.execute("commit")
    assert moments == []


def test_commits_of_the_output(moments: list[str]) -> None:
    with duckdb.connect(":memory:") as connection:
        output = _Output(moments.append, connection)
        output.execute("begin")
        assert output.execute("select $1", [1]).fetchall() == [(1,)]
        output.execute("commit")
    assert moments == ["before a commit of the output", "after a commit of the output"]


def test_only_moments_that_match_count(tmp_path: Path) -> None:
    moment = Moments(tmp_path / "moments", kill_at=0, only="sent: .*batches$")
    moment("before a request is sent", "POST batches")
    moment("before a request is sent", "POST messages")
    moment("after a commit of the ledger")
    assert (tmp_path / "moments").read_text() == "before a request is sent: POST batches\n"
