"""What came of a check."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batchrun.job.check_section import CheckSection, Severity

Bounds = tuple[float | None, float | None]
"""The least and the greatest number with which a check passes; None sets no bound."""


class CheckStatus(StrEnum):
    """Whether what a check demands is so. A check that could not run counts as one that failed."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_RUN = "could_not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What came of one check."""

    name: str
    severity: Severity
    """The severity of the check, or "warn" for a drift that is too small for an error."""
    status: CheckStatus
    sentence: str
    number: float | None = None
    """What was measured. None if the check could not run, or found nothing to measure."""
    minimum: float | None = None
    maximum: float | None = None
    """The bounds of the number."""
    rows: tuple[Mapping[str, str | None], ...] = ()
    """Some of the failing rows, by column, as text that documents and models wrote."""

    @classmethod
    def of(
        cls,
        check: CheckSection,
        number: float | None,
        sentence: str,
        bounds: Bounds = (None, None),
        rows: Sequence[Mapping[str, str | None]] = (),
    ) -> "CheckResult":
        """Hold what a check has measured against its bounds. A check that found nothing to measure passes."""
        is_within = number is None or excess(number, bounds) <= 0
        return cls(
            name=check.name,
            severity=check.severity,
            status=CheckStatus.PASSED if is_within else CheckStatus.FAILED,
            sentence=sentence,
            number=number,
            minimum=bounds[0],
            maximum=bounds[1],
            rows=() if is_within else tuple(rows),
        )

    @classmethod
    def could_not_run(cls, check: CheckSection, reason: str) -> "CheckResult":
        """Make the result of a check that could not run."""
        return cls(
            name=check.name,
            severity=check.severity,
            status=CheckStatus.COULD_NOT_RUN,
            sentence=f"the check could not run: {reason}",
        )

    @property
    def fails(self) -> bool:
        """Whether a command exits with 1 because of the check."""
        return self.status is not CheckStatus.PASSED and self.severity == "error"


def excess(number: float, bounds: Bounds) -> float:
    """Return by how much a number is outside of its bounds; a number within them has 0 or less."""
    low, high = bounds
    outside = [low - number] if low is not None else []
    return max([*outside, number - high] if high is not None else outside, default=0.0)


def numeric_bounds(check: CheckSection) -> Bounds:
    """Return the bounds of a check whose bounds are numbers."""
    low, high = (float(bound) if isinstance(bound, int | float) else None for bound in (check.minimum, check.maximum))
    return low, high


def allowed(bounds: Bounds, said: Callable[[float], str]) -> str:
    """Say, as the end of a sentence, which numbers are allowed. Returns nothing where no row may fail."""
    words = zip(("at least", "at most"), bounds, strict=True)
    told = " and ".join(f"{word} {said(bound)}" for word, bound in words if bound is not None)
    return f"; allowed is {told}" if told and bounds != (None, 0) else ""


def any_fails(results: Iterable[CheckResult]) -> bool:
    """Say whether a command exits with 1."""
    return any(result.fails for result in results)
