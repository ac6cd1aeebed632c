"""A child process: receives calls over a socket, and answers one after the other, until the other end is closed.

Before the reading of a document that may end the process, the child tells which document that is.
"""

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
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

    tell: Callable[[str], None]
    ask: Callable[[Sequence[str]], Iterator[Any]]
    """Has the process that started this one read files in buckets, for which this one has no credentials."""
    limits: Limits
    given_up: Mapping[str, GivenUp]
    """The reasons why documents are not read, by their sources."""
    asked: list[Iterator[Any]] = field(default_factory=list)

    @contextlib.contextmanager
    def __call__(self, source: str) -> Iterator[None]:
        """Tell of the document, and limit the time of its reading. Raises GivenUp."""
        if given_up := self.given_up.get(source):
            raise given_up
        self.tell(source)
        try:
            with timed(self.limits):
                yield
        except Exception:
            if address_space() > self.limits.memory_bytes * FULL:
                os.abort()  # or the documents after this one, which are innocent, would find no memory either
            raise

    def fetched(self, addresses: Sequence[str]) -> Iterator[bytes | Unfit]:
        """Take the contents of files in buckets; see `buckets.fetched`."""
        self.asked.append(contents := self.ask(addresses))
        for content in contents:
            if isinstance(content, BatchrunError):
                raise content
            yield content


def main(descriptor: int, limits: Limits) -> None:
    """Answer calls until the other end is closed."""
    limit_process(limits)
    with Connection(descriptor) as connection, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            call, args, given_up = connection.recv()
            ask = partial(_asked, connection)
            guard = ChildGuard(lambda source: connection.send(("reading", source)), ask, limits, given_up)
            answer = _answer(call, args, guard)
            for _ in chain(*guard.asked):
                pass  # what a call has asked for and not taken
            connection.send_bytes(answer)


def _asked(connection: Connection, addresses: Sequence[str]) -> Iterator[Any]:
    if addresses:
        connection.send(("fetch", addresses))
        while (content := connection.recv()) is not None:
            yield content


def _answer(call: Callable[..., Any], args: tuple[Any, ...], guard: ChildGuard) -> bytes:
    try:
        return pickle.dumps(("result", call(*args, guard)))
    except Exception as error:  # noqa: BLE001 (the parent raises it)
        return pickle.dumps(("error", error))
