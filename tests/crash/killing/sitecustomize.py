"""Kills this process at a chosen moment: Python imports it by itself where this folder is on the PYTHONPATH.

A moment is just before or after something that outlives the process: a commit that changed the ledger, a call to the
Batches API, rows on their way to the output. KILL_AT is the number of the moment to die at, ONLY a pattern of those
that count, and MOMENTS the file in which they are named as they come.
"""

import gc
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import anthropic

from batchrun import cli
from batchrun.estimation.tokenizer import count_tokens
from batchrun.execution import ledger_writer
from batchrun.execution.batch import collect
from batchrun.providers.anthropic.batches import AnthropicBatches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.publish import Output

LONGEST_LIFE_S = 60
CALLS = ("create", "retrieve", "page", "cancel")
STATES = "select coalesce(group_concat(state, ' '), 'none') from (select state from batches order by batch_no)"
PASSED = "select count(*) from runs where committed_nusd > cap_nusd"

transaction, results, publish, move = Ledger.transaction, AnthropicBatches.results, Output.publish, Output._move


class Moments:
    """Counts them, in whatever thread they come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._kill_at = int(os.environ.get("KILL_AT", "0"))
        self._only = os.environ.get("ONLY", "")
        self._names = os.open(os.environ["MOMENTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, name: str) -> None:
        if not re.search(self._only, name):
            return
        with self._lock:
            self._count += 1
            os.write(self._names, f"{name}\n".encode())
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


class WatchedBody:
    """A body whose connection may break when half of it is sent."""

    def __init__(self, body: Any, moment: Moments) -> None:
        self._body, self._moment, self.size = body, moment, body.size

    async def parts(self) -> AsyncIterator[bytes]:
        number = 0
        async for part in self._body.parts():
            number += 1
            yield part
            if number == 2:
                self._moment("amid create")


def watch_ledger(moment: Moments) -> None:
    @contextmanager
    def watched(self: Ledger) -> Iterator[None]:
        with transaction(self):
            changes = self.connection.total_changes
            yield
            changed = self.connection.total_changes > changes
            if changed:
                moment(f"before a commit, batches: {self.connection.execute(STATES).fetchone()[0]}")
        if changed:
            assert self.connection.execute(PASSED).fetchone() == (0,), "the cap was passed"
            moment("after it")

    Ledger.transaction = watched  # type: ignore[method-assign]


def watch_calls(moment: Moments) -> None:
    def watched(name: str, call: Any) -> Any:
        async def called(self: AnthropicBatches, *args: Any, **named: Any) -> Any:
            moment(f"before {name}")
            if name == "create":
                args = (WatchedBody(args[0], moment),)
            try:
                return await call(self, *args, **named)
            finally:
                moment(f"after {name}")

        return called

    async def watched_results(self: AnthropicBatches, batch: Any) -> AsyncIterator[Any]:
        moment("before results")
        async with aclosing(results(self, batch)) as lines:
            async for result in lines:
                yield result
                moment("amid results")

    for name in CALLS:
        setattr(AnthropicBatches, name, watched(name, getattr(AnthropicBatches, name)))
    AnthropicBatches.results = watched_results  # type: ignore[method-assign, assignment]


def watch_output(moment: Moments) -> None:
    def watched(self: Output, *, wait_s: float) -> int:
        moment("before rows are published")
        written = publish(self, wait_s=wait_s)
        moment("after it")
        return written

    def watched_move(self: Output, *args: Any) -> None:
        move(self, *args)
        moment("before a commit of the output")

    Output.publish, Output._move = watched, watched_move  # type: ignore[method-assign]


def main() -> None:
    signal.alarm(LONGEST_LIFE_S)
    moment = Moments()
    watch_ledger(moment)
    watch_calls(moment)
    watch_output(moment)
    code = cli.run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking the interpreter down takes as long as the submit


cli.main = main
count_tokens("")  # its vocabulary takes longer to read than a submit takes
anthropic.Anthropic(api_key="none").close()  # has imports of its own
gc.freeze()
ledger_writer.BALLAST_BYTES = 4096  # hundreds of projects should not write 8 MB each
collect.GROUP = 2  # several commits for the results of one batch
