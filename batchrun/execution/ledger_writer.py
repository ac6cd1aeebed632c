"""The one writer: a thread that owns the ledger while requests are sent, and commits in groups."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from batchrun.errors import BatchrunError, EnvironmentProblem, ExitCode
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.sqlite_errors import LedgerDamaged, StoreFull
from batchrun.store.paths import BALLAST

T = TypeVar("T")
GROUP = 500
"""The most writes in one commit. While one group is being committed, the next group gathers by itself."""
PATIENCE_S, TRY_AGAIN_S = 60.0, 0.2
"""How long answers wait for a ledger that cannot be written, and how long the pauses between tries are."""
BALLAST_BYTES = 8 * 1024 * 1024
"""Space kept on the ledger's disk. A full disk gets the space back, so that answers already paid for are recorded."""


@dataclass(frozen=True, slots=True)
class _Write:
    change: Callable[[Ledger], Any]
    spends: bool
    done: asyncio.Future[Any]


class LedgerWriter:
    """Writes to the ledger from the event loop. A write is durable when its await returns.

    One commit serves all writes that are waiting (group commit), so hundreds of workers cost a few syncs a second
    more than one. When the disk is full nothing more is spent: reservations fail with StoreFull, while settlements
    still find the space of the ballast.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._full: StoreFull | None = None
        self._ballast = Ballast(ledger.path.parent / BALLAST) if ledger.path else None
        self._thread = threading.Thread(target=self._write_until_closed, name="batchrun-ledger", daemon=True)

    async def __aenter__(self) -> Self:
        if self._ballast:
            self._ballast.fill()
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def write(self, change: Callable[[Ledger], T], *, spends: bool = False) -> asyncio.Future[T]:
        """Apply a change inside a transaction. The change is durable when the future is done.

        The future raises StoreFull when the change could not be made durable. A write whose future is canceled still
        happens.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put(_Write(change, spends, done))
        return done

    def cause_of(self, halted: BatchrunError | None) -> BatchrunError | None:
        """Return why a run halted: the bug that halted it may be the damage of the ledger."""
        return (halted and halted.exit_code is ExitCode.BUG and self._ledger.fault_behind(halted.__cause__)) or halted

    def _write_until_closed(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first]
            while len(group) < GROUP and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    self._waiting.put(None)  # ends the outer loop after this group
                    break
                group.append(following)
            self._loop.call_soon_threadsafe(_finish, group, self._commit(group))

    def _commit(self, group: list[_Write]) -> list[Any]:
        """Return one result or exception for each write, once all are durable.

        When the ledger cannot be written, writes that spend are refused. The other writes are tried again and again,
        because they record answers already paid for.
        """
        problem: EnvironmentProblem | None = None
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            refusal = problem or self._full
            try:
                with self._ledger.transaction():
                    return [refusal if write.spends and refusal else write.change(self._ledger) for write in group]
            except LedgerDamaged as damaged:  # no patience helps
                return [damaged] * len(group)
            except EnvironmentProblem as error:
                problem = error
                self._make_room(error)
                time.sleep(TRY_AGAIN_S)
            except Exception as bug:  # noqa: BLE001 - raised in the worker that awaits the write, not in this thread
                # One by one, a bad write spoils no other. A savepoint for each write would need a journal on top.
                return [bug] if len(group) == 1 else [self._commit([write])[0] for write in group]
        return [problem] * len(group)

    def _make_room(self, problem: EnvironmentProblem) -> None:
        if isinstance(problem, StoreFull) and self._full is None:
            self._full = problem
            if self._ballast:
                self._ballast.drop()


def _finish(group: list[_Write], results: list[Any]) -> None:
    for write, result in zip(group, results, strict=True):
        if write.done.done():
            continue  # the worker was canceled; the write is in the ledger all the same
        if isinstance(result, Exception):
            write.done.set_exception(result)
        else:
            write.done.set_result(result)


class Ballast:
    """A file that only occupies space."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fill(self) -> None:
        """Occupy the space. A disk with too little space for the ballast has too little space for a run."""
        try:
            if not self._path.exists() or self._path.stat().st_size < BALLAST_BYTES:
                self._path.write_bytes(bytes(BALLAST_BYTES))
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise StoreFull(
                f"the disk of {self._path.parent} has less than {BALLAST_BYTES >> 20} MB left: {error.strerror}.",
                hint="free some space and run the same command again",
            ) from error

    def drop(self) -> None:
        """Give the space back to the disk."""
        with contextlib.suppress(OSError):  # a disk that has become read-only takes no writes anyway
            self._path.unlink(missing_ok=True)
