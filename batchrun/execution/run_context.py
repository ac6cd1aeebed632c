"""What all parts of one run's execution share."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from batchrun.answers.turns import Mending
from batchrun.catalog.price import ModelPrice
from batchrun.events import Listener
from batchrun.execution.halt import Halt
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.job.spec import BatchSection, RetrySection
from batchrun.store.ledger.ledger import Ledger

Sending = Callable[[str], AbstractContextManager[object]]
"""Makes the context in which a request about the document of this id is sent."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """The run, and the part of the run that one submit executes."""

    run_no: int
    since: int
    """The sequence number at which this submit's documents were admitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """One run, as all parts of its execution see it."""

    key: RunKey
    job: str
    writer: LedgerWriter
    """The only writer of the ledger while the run goes on."""
    halt: Halt
    tell: Listener
    retry: RetrySection
    batch: BatchSection
    price_of: Callable[[str], ModelPrice | None]
    """Returns a model's price when streamed, or None if the price table no longer has the model."""
    recover: Callable[[Ledger], None]
    """Books what dead processes of other jobs left. The caller has begun the transaction."""
    brakes: bool = True
    """Whether documents that all end alike stop the run."""
    waits: bool = True
    """Whether the run waits for batches that are not due yet."""
    mending: Callable[[str], Mending] = lambda _: Mending(max_repairs=0, most_tokens=0)
    """Returns how far replies of a model are mended that are no rows."""
    cancels: bool = False
    """Whether the run cancels open batches."""
    sending: Sending = nullcontext
    clock: Callable[[], float] = time.time
    """Returns seconds since 1970. A wall clock also counts the time that a machine slept."""
