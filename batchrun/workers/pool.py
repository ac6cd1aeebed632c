"""The port of pools: what carries out the reading of documents, in other processes or on other machines."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from batchrun.documents import GivenUp
from batchrun.errors import EnvironmentProblem
from batchrun.workers.limits import CIRCUMSTANCES, OUT_OF_TIME


class Pool(Executor, ABC):
    """Runs calls elsewhere, several at once. Nothing is started before a call."""

    name: str
    """What the pool consists of, as people are told: `processes`, `ray` or `dask`."""
    takes_all = True
    """Whether the pool reads whatever it can from the first shard on, instead of only what pays."""

    @property
    @abstractmethod
    def number(self) -> int:
        """How many calls run at once. The number may change, because a cluster grows and shrinks."""

    @property
    @abstractmethod
    def started(self) -> bool:
        """Whether a call was made."""

    @abstractmethod
    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Run `fn(*args, guard)` on a worker. The only named argument is `given_up`, a mapping from source to reason.

        The result raises what `fn` raises, WorkerDied, and WorkerRefused.
        """


class WorkerDied(Exception):
    """A worker ended amid a call. The call may be made again."""

    def __init__(self, source: str | None, signal_no: int = 0, reason: str = "the worker that read it died") -> None:
        super().__init__(source, signal_no, reason)
        self.source = source
        """The document that the worker was reading; None if nobody knows of any."""
        self.out_of_time = signal_no in OUT_OF_TIME
        self.reason = GivenUp(reason, lasts=signal_no not in CIRCUMSTANCES)
        """Why the document is given up, if it is."""


class WorkerRefused(EnvironmentProblem):
    """A node of a cluster cannot read for this job: it differs from this machine, or does not see the documents."""


def result_of(answer: bytes) -> Any:
    """Return the result of a call from what `greeting.receive` returned on a node. Raises what the call raised."""
    word, value = pickle.loads(answer)  # noqa: S301 (our own worker made it)
    if word == "refused":
        message, hint = value
        raise WorkerRefused(message, hint=hint)
    if word == "error":
        raise value
    return value
