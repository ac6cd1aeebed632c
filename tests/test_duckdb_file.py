"""Opening DuckDB files: who holds them, and why they cannot be opened."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from batchrun.duckdb_file import POLL_S, LockedByAnother, opened
from batchrun.errors import BatchrunError, EnvironmentProblem, ExitCode

pytestmark = pytest.mark.usefixtures("new_stores_are_written")
HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def make(path: Path) -> Path:
    with opened(path, read_only=False, wait_s=0) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS n")
    return path


def numbers(path: Path) -> list[tuple[int]]:
    with opened(path, read_only=True, wait_s=0) as connection:
        return connection.execute("FROM t").fetchall()


@pytest.mark.slow
def test_a_new_file_is_written_for_readers_of_1_x(tmp_path: Path) -> None:
    path = make(tmp_path / "it's new.duckdb")

    assert numbers(path) == [(42,)]
    with opened(path, read_only=True, wait_s=0) as connection:
        (tags,) = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchone() or ({},)
    assert tags["storage_version"].startswith("v1.4.0")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["it's new.duckdb"]


@pytest.mark.slow
def test_a_duckdb_without_storage_versions_creates_the_file_as_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.duckdb_file.STORAGE_VERSION", "v99.0.0")
    assert numbers(make(tmp_path / "old.duckdb")) == [(42,)]


@pytest.mark.slow
def test_the_log_of_a_deleted_database_does_not_stop_a_new_one(tmp_path: Path) -> None:
    path = make(tmp_path / "out.duckdb")
    with duckdb.connect(str(path)) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        log = (tmp_path / "out.duckdb.wal").read_bytes()
    path.unlink()
    (tmp_path / "out.duckdb.wal").write_bytes(log)

    assert numbers(make(path)) == [(42,)]
    assert (tmp_path / "out.duckdb.wal.orphaned").read_bytes() == log


@pytest.mark.slow
def test_reading_and_writing_take_turns_in_one_process(tmp_path: Path) -> None:
    path = make(tmp_path / "a.duckdb")
    errors: list[Exception] = []

    def use(read_only: bool) -> None:
        try:
            for _ in range(5):
                with opened(path, read_only=read_only, wait_s=30) as connection:
                    connection.execute("FROM t").fetchall()
        except (BatchrunError, duckdb.Error) as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=[i % 2 == 0]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.slow
def test_opening_twice_at_once_is_busy_and_no_deadlock(tmp_path: Path) -> None:
    path = make(tmp_path / "a.duckdb")
    (tmp_path / "alias.duckdb").symlink_to(path)
    with (
        opened(path, read_only=True, wait_s=0),
        pytest.raises(LockedByAnother, match="another part of this process"),
        opened(tmp_path / "alias.duckdb", read_only=False, wait_s=0),
    ):
        pass
    assert numbers(path) == [(42,)]


@pytest.mark.slow
def test_a_foreign_connection_of_this_process_is_named(tmp_path: Path) -> None:
    path = make(tmp_path / "a.duckdb")
    with duckdb.connect(str(path)), pytest.raises(LockedByAnother, match="another connection of this process"):
        numbers(path)


@pytest.mark.slow
def test_a_file_held_by_another_process_is_waited_for_then_named(tmp_path: Path) -> None:
    path = make(tmp_path / "a.duckdb")
    clock = Clock()
    with held_by_another_process(path) as holder:
        with (
            pytest.raises(LockedByAnother) as caught,
            opened(path, read_only=True, wait_s=1, clock=clock, sleep=clock.sleep),
        ):
            pass
        assert str(path) in str(caught.value)
        assert f"(PID {holder.pid})" in str(caught.value)
        assert "python" in str(caught.value)
        assert caught.value.exit_code == ExitCode.BUSY
        assert 1 <= clock.now < 1 + 2 * POLL_S

        def free_after_a_while(seconds: float) -> None:
            clock.sleep(seconds)
            holder.kill()
            holder.wait()

        with opened(path, read_only=True, wait_s=1, clock=clock, sleep=free_after_a_while) as connection:
            assert connection.execute("FROM t").fetchall() == [(42,)]


@pytest.mark.slow
def test_it_is_closed_after_an_error_inside(tmp_path: Path) -> None:
    path = make(tmp_path / "a.duckdb")
    with pytest.raises(duckdb.CatalogException), opened(path, read_only=False, wait_s=0) as connection:
        connection.execute("FROM nowhere")
    assert numbers(path) == [(42,)]


def damaged(path: Path) -> Path:
    whole = make(path).read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 512 + whole[4608:])
    return path


def text_file(path: Path) -> Path:
    path.write_text("id,text\n1,a\n" * 500)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("read_only", [True, False], ids=["reading", "writing"])
@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (text_file, "it is not a DuckDB file"),
        (damaged, "the file is damaged"),
        (folder, "it is a folder"),
        (lambda path: path / "below" / "a.duckdb", "there is no such file|its folder does not exist"),
        (lambda path: text_file(path) / "a.duckdb", "there is no such file|its folder does not exist"),
    ],
    ids=["text", "damaged", "folder", "missing folder", "below a file"],
)
def test_what_cannot_be_opened_is_said_in_one_line(tmp_path: Path, made: object, reason: str, read_only: bool) -> None:
    path = made(tmp_path / "x.duckdb")  # type: ignore[operator]
    with pytest.raises(EnvironmentProblem, match=reason) as caught, opened(path, read_only=read_only, wait_s=0):
        pass
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_not_made_for_reading(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="there is no such file"):
        numbers(tmp_path / "none.duckdb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied(tmp_path: Path) -> None:
    path = make(tmp_path / "a.duckdb")
    path.chmod(0)
    with pytest.raises(EnvironmentProblem, match="permission denied"):
        numbers(path)
