"""The one writer: groups, failures that reach their caller, and a disk that is full."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from failure_bench import BatchBench

from batchrun.budget.caps import CapUsage
from batchrun.errors import EnvironmentProblem
from batchrun.execution import ledger_writer
from batchrun.execution.ledger_writer import Ballast, LedgerWriter
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.request_refusal import RequestCaps
from batchrun.store.ledger.sqlite_errors import StoreFull

BALLAST_BYTES = 400_000


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(ledger_writer, "BALLAST_BYTES", BALLAST_BYTES)
    monkeypatch.setattr(ledger_writer, "PATIENCE_S", 0.2)
    monkeypatch.setattr(ledger_writer, "TRY_AGAIN_S", 0.01)
    with contextlib.closing(Ledger.open(tmp_path / "ledger.sqlite3")) as opened:
        opened.connection.execute("create table notes (note text)")
        yield opened


def note(words: str, ledger: Ledger) -> str:
    ledger.connection.execute("insert into notes values (?)", (words,))
    return words


def notes(ledger: Ledger) -> list[str]:
    """What another process sees."""
    with contextlib.closing(sqlite3.connect(ledger.path or "")) as connection:
        return [words[:10] for (words,) in connection.execute("select note from notes order by rowid")]


def commits(ledger: Ledger) -> list[str]:
    """Collects the commits from now on."""
    seen: list[str] = []
    ledger.connection.set_trace_callback(lambda sql: seen.append(sql) if sql == "commit" else None)
    return seen


def test_many_writes_share_few_commits_and_each_gets_its_result(ledger: Ledger) -> None:
    seen = commits(ledger)

    async def scenario() -> list[str]:
        async with LedgerWriter(ledger) as writing:
            return await asyncio.gather(*(writing.write(lambda one, n=n: note(f"{n}", one)) for n in range(2_000)))

    results = asyncio.run(scenario())

    assert results == notes(ledger) == [str(number) for number in range(2_000)]
    assert len(seen) <= 20


def test_a_write_is_durable_when_its_await_returns(ledger: Ledger) -> None:
    async def scenario() -> list[str]:
        async with LedgerWriter(ledger) as writing:
            await writing.write(lambda one: note("first", one))
            return notes(ledger)

    assert asyncio.run(scenario()) == ["first"]


def test_a_bug_in_a_change_reaches_its_caller_and_the_writer_lives_on(ledger: Ledger) -> None:
    async def scenario() -> str:
        async with LedgerWriter(ledger) as writing:
            with pytest.raises(ZeroDivisionError):
                await writing.write(lambda _: 1 // 0)
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                await writing.write(lambda one: one.connection.execute("insert into nowhere values (1)"))
            return await writing.write(lambda one: note("after", one))

    assert asyncio.run(scenario()) == "after"
    assert notes(ledger) == ["after"]


def test_who_is_canceled_while_waiting_leaves_a_write_that_still_happens(ledger: Ledger) -> None:
    release = threading.Event()

    def slowly(one: Ledger) -> str:
        release.wait(60)
        return note("of the canceled", one)

    async def scenario() -> str:
        async with LedgerWriter(ledger) as writing:
            waiting = writing.write(slowly)
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            release.set()
            return await writing.write(lambda one: note("next", one))

    assert asyncio.run(scenario()) == "next"
    assert notes(ledger) == ["of the can", "next"]


def test_leaving_waits_for_every_write(ledger: Ledger) -> None:
    async def scenario() -> None:
        async with LedgerWriter(ledger) as writing:
            for number in range(100):
                asyncio.ensure_future(writing.write(lambda one, n=number: note(str(n), one)))  # noqa: RUF006
            await asyncio.sleep(0)

    asyncio.run(scenario())
    assert len(notes(ledger)) == 100


# --- a full disk: SQLite may use no more pages until the ballast is dropped


@pytest.fixture
def full_disk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    ledger.connection.execute("pragma max_page_count = 1")  # SQLite makes it the pages there are
    (pages,) = ledger.connection.execute("pragma page_count").fetchone()
    drop = Ballast.drop

    def dropping(self: Ballast) -> None:
        drop(self)
        ledger.connection.execute(f"pragma max_page_count = {pages + BALLAST_BYTES // 4096}")

    monkeypatch.setattr(Ballast, "drop", dropping)
    return ledger


def test_on_a_full_disk_what_is_paid_is_recorded_and_nothing_more_is_spent(full_disk: Ledger) -> None:
    async def scenario() -> list[object]:
        async with LedgerWriter(full_disk) as writing:
            together = await asyncio.gather(
                writing.write(lambda one: note("settled 1 " * 1_000, one)),
                writing.write(lambda one: note("reserved", one), spends=True),
                writing.write(lambda one: note("settled 2 " * 1_000, one)),
                return_exceptions=True,
            )
            with pytest.raises(StoreFull):
                await writing.write(lambda one: note("reserved later", one), spends=True)
            await writing.write(lambda one: note("settled 3", one))
            return together

    first, reserved, second = asyncio.run(scenario())

    assert isinstance(reserved, StoreFull)
    assert "run the same command again" in str(reserved.hint)
    assert str(first).startswith("settled 1")
    assert str(second).startswith("settled 2")
    assert notes(full_disk) == ["settled 1 ", "settled 2 ", "settled 3"]
    assert not (full_disk.path.parent / "ballast").exists()


def test_when_even_the_ballast_is_used_up_the_caller_is_told(full_disk: Ledger) -> None:
    async def scenario() -> None:
        async with LedgerWriter(full_disk) as writing:
            with pytest.raises(StoreFull):
                await writing.write(lambda one: note("x" * 2 * BALLAST_BYTES, one))
            await writing.write(lambda one: note("small", one))

    asyncio.run(scenario())
    assert notes(full_disk) == ["small"]


def test_a_run_does_not_begin_where_there_is_no_room_for_the_ballast(tmp_path: Path) -> None:
    with pytest.raises(StoreFull, match="less than"):
        Ballast(tmp_path / "no folder" / "ballast").fill()


def test_the_ballast_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_writer, "BALLAST_BYTES", 10)
    ballast = Ballast(tmp_path / "ballast")
    ballast.fill()
    before = (tmp_path / "ballast").stat().st_mtime_ns

    ballast.fill()

    assert (tmp_path / "ballast").stat().st_mtime_ns == before
    ballast.drop()
    ballast.drop()
    assert not (tmp_path / "ballast").exists()


def test_a_ballast_that_cannot_be_let_go_keeps_nobody_waiting(
    full_disk: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone_read_only(self: Path, *, missing_ok: bool) -> None:
        raise OSError(30, "Read-only file system")

    async def scenario() -> None:
        async with LedgerWriter(full_disk) as writing:
            with pytest.raises(StoreFull):
                await writing.write(lambda one: note("x" * 2 * BALLAST_BYTES, one))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", gone_read_only)
        asyncio.run(asyncio.wait_for(scenario(), 60))


def test_while_the_ledger_is_held_nothing_is_spent_and_answers_wait(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.connection.execute("pragma busy_timeout = 1")
    monkeypatch.setattr(ledger_writer, "PATIENCE_S", 10)

    async def scenario() -> list[object]:
        async with LedgerWriter(ledger) as writing:
            with contextlib.closing(sqlite3.connect(ledger.path or "", isolation_level=None)) as other:
                other.execute("begin immediate")
                asyncio.get_running_loop().call_later(0.1, other.execute, "rollback")
                return await asyncio.gather(
                    writing.write(lambda one: note("answer", one)),
                    writing.write(lambda one: note("reservation", one), spends=True),
                    return_exceptions=True,
                )

    answered, reserved = asyncio.run(scenario())

    assert answered == "answer"
    assert isinstance(reserved, EnvironmentProblem)
    assert notes(ledger) == ["answer"]


def test_a_bug_in_one_change_spoils_no_other(ledger: Ledger) -> None:
    def buggy(one: Ledger) -> None:
        note("half done", one)
        raise ZeroDivisionError

    async def scenario() -> list[object]:
        async with LedgerWriter(ledger) as writing:
            return await asyncio.gather(
                writing.write(lambda one: note("before", one)),
                writing.write(buggy),
                writing.write(lambda one: note("after", one)),
                return_exceptions=True,
            )

    before, spoiled, after = asyncio.run(scenario())

    assert (before, after) == ("before", "after")
    assert isinstance(spoiled, ZeroDivisionError)
    assert notes(ledger) == ["before", "after"]


def test_a_ledger_that_is_held_for_too_long_is_told(ledger: Ledger) -> None:
    ledger.connection.execute("pragma busy_timeout = 1")

    async def scenario() -> None:
        async with LedgerWriter(ledger) as writing:
            with contextlib.closing(sqlite3.connect(ledger.path or "", isolation_level=None)) as other:
                other.execute("begin immediate")
                with pytest.raises(EnvironmentProblem, match="is kept locked by another program"):
                    await writing.write(lambda one: note("late", one))

    asyncio.run(scenario())


def test_what_the_caps_leave_for_a_batch_is_read_by_the_thread_of_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, read = set(), RequestCaps.all

    def watched(caps: RequestCaps, *, planned: bool = False) -> list[CapUsage]:
        threads.add(threading.current_thread().name)
        return read(caps, planned=planned)

    monkeypatch.setattr(RequestCaps, "all", watched)
    BatchBench(tmp_path, ["a"]).run()
    assert threads == {"batchrun-ledger"}
