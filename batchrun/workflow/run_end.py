"""How a run ended: the part of its summary that cannot be added up from the ledger later."""

from collections.abc import Mapping
from dataclasses import dataclass

from batchrun.budget.caps import Cap
from batchrun.errors import BatchrunError, ExitCode
from batchrun.estimation.estimate import Estimate
from batchrun.execution.failure_messages import BudgetReached
from batchrun.outcome import Outcome
from batchrun.quality.checks.result import CheckResult
from batchrun.quality.evaluate import GoldScores
from batchrun.store.reports.cache_use import CacheUse


@dataclass(frozen=True, slots=True)
class RememberedError:
    """The record of an error that a person was shown."""

    word: str
    message: str
    hint: str | None
    exit_code: ExitCode
    cap: Cap | None
    """The cap that was reached, if one was."""

    @classmethod
    def of(cls, error: BatchrunError | None) -> "RememberedError | None":
        """Make the record of an error. Returns None if there is none."""
        if error is None:
            return None
        cap = error.cap if isinstance(error, BudgetReached) else None
        return cls(error.word, str(error), error.hint, error.exit_code, cap)

    def error(self) -> BatchrunError:
        """Make an error that reads like the one that was shown."""
        if self.cap:
            return BudgetReached(self.cap, self.message, hint=self.hint or "")
        error = BatchrunError(self.message, hint=self.hint)
        error.word, error.exit_code = self.word, self.exit_code
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How the last submit of a run ended."""

    exit_code: ExitCode
    seconds: float
    """How long the submit took."""
    outcomes: Mapping[Outcome, int]
    """Counts of the documents that the submit had selected; documents without an outcome are `pending`."""
    pending: int
    open_batches: tuple[int, ...] = ()
    """The numbers of the job's batches whose results were still to come."""
    awaited_of: tuple[str, ...] = ()
    """Other jobs in whose open batches some of the documents were."""
    halted: RememberedError | None = None
    remaining: Estimate | None = None
    """The estimate of the documents that a cap left pending. None if no cap did."""
    unpublished: RememberedError | None = None
    """Why the rows were not in the output yet."""
    cache_use: CacheUse | None = None
    """What the cache saved, by the prices of that day. None if nothing was cached."""
    checks: tuple[CheckResult, ...] = ()
    """What came of the checks of the job, right after the run."""
    gold: GoldScores | None = None
    """How right the answers are by gold labels. None if no document of the run has labels."""

    @property
    def all_outcomes(self) -> dict[Outcome | None, int]:
        """The outcomes with the pending documents among them."""
        pending: list[tuple[Outcome | None, int]] = [(None, self.pending)] if self.pending else []
        return dict([*pending, *self.outcomes.items()])
