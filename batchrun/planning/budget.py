"""Whether the money is enough, decided before anything is sent."""

from collections.abc import Iterable
from dataclasses import dataclass

from batchrun.planning.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetVerdict:
    """What a budget says to an estimate. The upper bound counts, with what was spent before."""

    needed_nusd: int
    cap_nusd: int

    @property
    def ok(self) -> bool:
        """Whether to go ahead."""
        return self.needed_nusd <= self.cap_nusd

    @property
    def spare_nusd(self) -> int:
        """What would be left at the upper bound."""
        return max(self.cap_nusd - self.needed_nusd, 0)

    @property
    def too_much_nusd(self) -> int:
        """What is missing at the upper bound."""
        return max(self.needed_nusd - self.cap_nusd, 0)


def check_budget(*, estimate: Estimate, spent_nusd: int, cap_nusd: int) -> BudgetVerdict:
    """Compare the estimate's upper bound with what is left of a budget.

    What is held for lost answers does not count here: it was probably not billed, and would keep a run that was killed
    a few times from ever going on. It counts before each send, so the cap holds all the same; see `Ledger.reserve`.
    """
    return BudgetVerdict(needed_nusd=estimate.upper_nusd + spent_nusd, cap_nusd=cap_nusd)


def fitting(uppers: Iterable[float], *, room_nusd: int) -> int:
    """Count the first documents of a job that there is room for, from the upper bound after each of them.

    The bound never falls as documents are added, so what fits is a beginning. All bounds are read.
    """
    return sum(upper <= room_nusd for upper in uppers)
