"""The one writer: a thread that owns the ledger while requests travel, and commits in groups."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from batchrun.errors import EnvironmentProblem
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.sqlite_errors import StoreFull

T = TypeVar("T")
GROUP = 500
"""Writes committed together at most; while one group is being committed the next one gathers by itself."""
PATIENCE_S, TRY_AGAIN_S = 60.0, 0.2
"""How long answers wait for a ledger that cannot be written, and how often it is tried."""
BALLAST_BYTES = 8 * 1024 * 1024
"""Kept on the ledger's disk and let go when it is full, so that answers already paid for can still be recorded."""


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
        self._ballast = Ballast(ledger.path.parent / "ballast") if ledger.path else None
        self._thread = threading.Thread(target=self._write_until_closed, name="batchrun-recorder", daemon=True)

    async def __aenter__(self) -> Self:
        if self._ballast:
            self._ballast.fill()
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def write(self, change: Callable[[Ledger], T], *, spends: bool = False) -> asyncio.Future[T]:
        """Apply a change inside a transaction; it is durable when the future is done.

        That raises StoreFull when it could not be made durable. A write whose future is canceled still happens.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put(_Write(change, spends, done))
        return done

    def _write_until_closed(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, closing = [first], False
            while len(group) < GROUP and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    closing = True
                    break
                group.append(following)
            self._loop.call_soon_threadsafe(_tell, group, self._commit(group))
            if closing:
                return

    def _commit(self, group: list[_Write]) -> list[Any]:
        """One result or exception for each write, once they are durable.

        A ledger that cannot be written refuses whatever spends, and is tried again and again for the rest: those are
        answers already paid for.
        """
        problem: EnvironmentProblem | None = None
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            refusal = problem or self._full
            try:
                with self._ledger.transaction():
                    return [refusal if write.spends and refusal else write.change(self._ledger) for write in group]
            except EnvironmentProblem as error:
                problem = error
                self._make_room(error)
                time.sleep(TRY_AGAIN_S)
            except Exception as bug:  # noqa: BLE001 - told to the worker that awaits it, not to this thread
                # One by one it spoils no other. A savepoint for each write would too, with a journal to undo it.
                return [bug] if len(group) == 1 else [self._commit([write])[0] for write in group]
        return [problem] * len(group)

    def _make_room(self, problem: EnvironmentProblem) -> None:
        if isinstance(problem, StoreFull) and self._full is None:
            self._full = problem
            if self._ballast:
                self._ballast.drop()


def _tell(group: list[_Write], results: list[Any]) -> None:
    for write, result in zip(group, results, strict=True):
        if write.done.done():
            continue  # its worker was canceled; the write is in the ledger all the same
        if isinstance(result, Exception):
            write.done.set_exception(result)
        else:
            write.done.set_result(result)


class Ballast:
    """A file that only occupies space."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fill(self) -> None:
        """Make sure the space is taken. Too little space for it is too little for a run."""
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
        """Give the space to whoever needs it."""
        with contextlib.suppress(OSError):  # a disk that has gone read-only: there is no space to give
            self._path.unlink(missing_ok=True)
