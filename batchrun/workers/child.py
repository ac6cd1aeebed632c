"""A child process: receives calls over a socket, and answers one after the other, until the other end is closed.

Before the reading of a document that may end the process, the child tells which document that is.
"""

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from batchrun.documents import GivenUp, Unfit
from batchrun.errors import BatchrunError
from batchrun.workers.limits import Limits, address_space, limit_process, timed

FULL = 0.6
"""The share of its memory above which a process does not go on after a document that could not be read."""


@dataclass(frozen=True, slots=True)
class ChildGuard:
    """Surrounds the reading of a document in a child process; see `documents.Guard`."""

    tell: Callable[[tuple[str, Any]], None]
    """Sends a message to the process that started this one."""
    answer: Callable[[], Any]
    """Receives the answer to a message that has one."""
    limits: Limits
    given_up: Mapping[str, GivenUp]
    """The reasons why documents are not read, by their sources."""

    @contextlib.contextmanager
    def __call__(self, source: str) -> Iterator[None]:
        """Tell of the document, and limit the time of its reading. Raises GivenUp."""
        if given_up := self.given_up.get(source):
            raise given_up
        self.tell(("reading", source))
        try:
            with timed(self.limits):
                yield
        except Exception:
            if address_space() > self.limits.memory_bytes * FULL:
                os.abort()  # or the documents after this one, which are innocent, would find no memory either
            raise

    def fetched(self, addresses: Sequence[str]) -> Iterator[bytes | Unfit]:
        """Read files in buckets through the process that started this one; see `buckets.fetched`."""
        self.tell(("fetch", addresses))
        contents = self.answer()
        if isinstance(contents, BatchrunError):
            raise contents
        return iter(contents)


def main(descriptor: int, limits: Limits) -> None:
    """Answer calls until the other end is closed."""
    limit_process(limits)
    with Connection(descriptor) as connection, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            call, args, given_up = connection.recv()
            connection.send(("begun", None))
            guard = ChildGuard(connection.send, connection.recv, limits, given_up)
            connection.send_bytes(_answer(call, args, guard))


def _answer(call: Callable[..., Any], args: tuple[Any, ...], guard: ChildGuard) -> bytes:
    try:
        return pickle.dumps(("result", call(*args, guard)))
    except Exception as error:  # noqa: BLE001 (the parent raises it)
        return pickle.dumps(("error", error))
