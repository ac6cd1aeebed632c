"""The moments at which a process may die: around whatever outlives the process, which is a commit, a file or a call.

The libraries are watched and not the code that uses them, so that no change of that code escapes. A moment counts in
whatever thread it comes.
"""

import asyncio
import os
import re
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import aiohttp
import duckdb

from batchrun.execution.batch.packing import Spool

RANDOM = "at a random time"
"""The moment of a kill that comes from outside."""
CAP_PASSED = "a commit would pass the cap"
"""What a process ends with before it lets a run cost more than its cap."""

_FILES = {"os.link": "before a file appears", "os.rename": "before a file is replaced", "os.remove": "before a removal"}
_PASSED = "select 1 from runs where committed_nusd > cap_nusd"
_IN_THE_KERNEL_S = 0.001

Moment = Callable[..., None]


class Moments:
    """Writes down the moments of this process, and kills the process at the moment that was chosen."""

    def __init__(self, file: Path, *, kill_at: int, only: str = "") -> None:
        """Moments count from 1; 0 kills nobody. Only those count whose words match the pattern `only`."""
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._kill_at, self._only = kill_at, re.compile(only)
        self._lock, self._count = threading.Lock(), 0

    def __call__(self, kind: str, which: str = "") -> None:
        """Come to a moment."""
        words = f"{kind}: {which}\n"
        if not self._only.search(words):
            return
        with self._lock:
            self._count += 1
            os.write(self._file, words.encode())
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Watch this process from now on, for good."""
        sqlite3.connect = partial(sqlite3.connect, factory=partial(_Ledger, self))  # type: ignore[assignment]
        connect = duckdb.connect
        duckdb.connect = lambda *args, **named: _Output(self, connect(*args, **named))  # type: ignore[assignment]
        _watch_spool(self)
        _watch_http(self)
        sys.addaudithook(lambda event, _: self(_FILES[event]) if event in _FILES else None)


class _Ledger(sqlite3.Connection):
    """A connection whose commits are moments, if they change anything."""

    def __init__(self, moment: Moment, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._moment, self._changes = moment, 0

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql.startswith("begin"):
            self._changes = self.total_changes
        if sql != "commit" or self.total_changes == self._changes:
            return super().execute(sql, *parameters)
        if super().execute(_PASSED).fetchone():
            raise AssertionError(CAP_PASSED)
        self._moment("before a commit of the ledger")
        committed = super().execute(sql)
        self._moment("after a commit of the ledger")
        return committed


class _Output:
    """A connection to DuckDB, whose class cannot be extended."""

    def __init__(self, moment: Moment, connection: duckdb.DuckDBPyConnection) -> None:
        self._moment, self._connection = moment, connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *parameters: Any) -> duckdb.DuckDBPyConnection:
        if sql != "commit":
            return self._connection.execute(sql, *parameters)
        self._moment("before a commit of the output")
        committed = self._connection.execute(sql)
        self._moment("after a commit of the output")
        return committed


def _watch_spool(moment: Moment) -> None:
    flush = Spool.flush

    def watched(self: Spool) -> None:
        flush(self)
        moment("after a spool is written")

    Spool.flush = watched  # type: ignore[method-assign]


def _watch_http(moment: Moment) -> None:
    async def before(_: Any, __: Any, call: aiohttp.TraceRequestStartParams) -> None:
        moment("before a request is sent", f"{call.method} {call.url.path}")

    async def amid(_: Any, __: Any, call: aiohttp.TraceRequestChunkSentParams) -> None:
        which = f"{call.method} {call.url.path}"
        moment("amid a request", which)
        asyncio.get_running_loop().call_later(_IN_THE_KERNEL_S, moment, "after a request is sent", which)

    async def after(_: Any, __: Any, call: aiohttp.TraceRequestEndParams) -> None:
        moment("after an answer began", f"{call.method} {call.url.path}")

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(before)
    trace.on_request_chunk_sent.append(amid)
    trace.on_request_end.append(after)
    session = aiohttp.ClientSession
    session.__init__ = partialmethod(session.__init__, trace_configs=[trace])  # type: ignore[method-assign, assignment]
