"""What the parts of the batch route share: the context of the run, and the API's batches."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from batchrun.batch import BatchPage
from batchrun.errors import BatchrunError
from batchrun.events import BatchTrouble
from batchrun.execution.batch.uploads import Uploader
from batchrun.execution.failure_messages import fatal_problem
from batchrun.execution.halt import Halted
from batchrun.execution.retry_policy import is_unreachable, stops_everyone
from batchrun.execution.run_context import RunContext
from batchrun.providers import AttemptError, BatchProvider
from batchrun.providers.anthropic.errors import is_absence
from batchrun.providers.anthropic.retry_after import LONGEST_S
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches

T = TypeVar("T")


class BatchProblem(Exception):
    """One batch cannot go on without a person. The run takes care of the other batches first, and then halts."""

    def __init__(self, problem: BatchrunError) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(slots=True)
class BatchContext:
    """The context of a run with the API's batches, and what every part of the batch route asks of both."""

    run: RunContext
    provider: BatchProvider
    uploader: Uploader | None = None
    """Uploads files for batches. None if files stay in their requests."""
    was_answered: bool = False
    """Whether the API has answered anything in this run, be it a refusal."""
    troubles: dict[str, str] = field(default_factory=dict)
    """What did not work since the last wait, by the batch."""

    async def apply(self, change: Callable[[Batches], T], *, spends: bool = False) -> T:
        """Ask or change the ledger's batches in one transaction."""
        return await self.run.writer.write(lambda ledger: change(Batches(ledger)), spends=spends)

    async def open_batches(self) -> list[Batch]:
        """Return the open batches of the job."""
        return await self.apply(lambda batches: batches.open(self.run.job))

    async def ask(self, batch: Batch | None, call: Awaitable[T]) -> T | Failure:
        """Ask the API something that costs nothing. A failure is announced and returned; a fatal one halts the run."""
        try:
            answer = await call
        except AttemptError as error:
            self.halt_if_fatal(error.failure)
            self.trouble(batch.name if batch else "the list", error.failure.message)
            return error.failure
        self.was_answered = True
        return answer

    async def ask_for_list(self, batch: Batch | None, call: Awaitable[BatchPage]) -> BatchPage | Failure:
        """Ask the API for its list of batches. An API without a list shows no batch, which proves nothing."""
        listed = await self.ask(batch, call)
        return BatchPage((), has_more=False) if isinstance(listed, Failure) and is_absence(listed) else listed

    def halt_if_fatal(self, failure: Failure) -> None:
        """Stop the job for what every other call would meet too. Raises Halted.

        That there is no such thing is doubt, which whoever asked waits out.
        """
        is_fatal = stops_everyone(failure) and not is_absence(failure)
        if is_fatal or (is_unreachable(failure) and not self.was_answered):
            self.stop(fatal_problem(failure))
        self.was_answered |= failure.cause is Cause.STATUS

    def is_due(self, due_at: float | None) -> bool:
        """Return whether a time of the ledger has come. A time further away than any we set is of a wrong clock."""
        now = self.run.clock()
        longest_s = 2 * self.run.batch.max_poll_interval_s + LONGEST_S
        return due_at is None or now >= due_at or due_at - now > longest_s

    def stop(self, problem: BatchrunError) -> NoReturn:
        """Halt the run. Raises Halted."""
        self.run.halt.stop(problem)
        raise Halted

    def trouble(self, batch: str, what: str, *, retry_in_s: float | None = None) -> None:
        """Announce what did not work, cost nothing, and is tried again."""
        self.troubles[batch] = what
        self.run.tell(BatchTrouble(batch, what, retry_in_s))
