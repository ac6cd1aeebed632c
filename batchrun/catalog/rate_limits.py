"""The rate limits that a run keeps to, and where each limit is from."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from batchrun.catalog.price import PublishedLimits

if TYPE_CHECKING:
    from batchrun.job.spec import LimitsSection

RATE_KEYS = ("requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute")
"""The keys of [limits] that are rates, in the order of `LearnedLimits.rates`."""
FORGOTTEN_AFTER_S = 86_400.0
"""After this time without confirmation, what was learnt of limits is forgotten."""


@dataclass(frozen=True, slots=True)
class LearnedLimits:
    """The limits of a model that earlier runs learnt from headers or answers of 429; None where no limit was learnt."""

    requests_per_minute: int | None
    input_tokens_per_minute: int | None
    output_tokens_per_minute: int | None
    concurrency: int | None
    """How many requests in progress at once went well."""
    learnt_at: float
    """The time when the limits were learned or confirmed, in seconds since 1970."""

    @property
    def rates(self) -> tuple[int | None, ...]:
        """The limits a minute."""
        return self.requests_per_minute, self.input_tokens_per_minute, self.output_tokens_per_minute

    def over(self, before: "LearnedLimits | None") -> "LearnedLimits":
        """Return what is known after this: older rates stay, with their age, if no rate was learnt since."""
        if before is None or any(self.rates) or not any(before.rates):
            return self
        return replace(before, concurrency=self.concurrency or before.concurrency)


class LimitOrigin(StrEnum):
    """Where a limit is from, as shown to people."""

    JOB_FILE = "job file"
    LEARNED = "as learnt in an earlier run"
    START_TIER = "published Start tier"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What the organisation may send a minute; a run uses the share `headroom` of each limit."""

    requests_per_minute: int
    input_tokens_per_minute: int
    output_tokens_per_minute: int
    headroom: float = 1.0
    from_job_file: frozenset[str] = frozenset()
    """The keys of the limits that the job file states."""
    learned: frozenset[str] = frozenset()
    """The keys of the limits that the API stated in an earlier run."""
    concurrency: int | None = None
    """How many requests in progress at once went well in an earlier run."""

    def origin(self, key: str) -> LimitOrigin:
        """Say where the limit of this key is from."""
        if key in self.from_job_file:
            return LimitOrigin.JOB_FILE
        return LimitOrigin.LEARNED if key in self.learned else LimitOrigin.START_TIER

    def with_learned(self, learned: LearnedLimits | None) -> "RateLimits":
        """Replace assumed limits by what an earlier run learnt."""
        if learned is None:
            return self
        stated = {key: value for key in RATE_KEYS if key not in self.from_job_file and (value := getattr(learned, key))}
        return replace(self, **stated, learned=frozenset(stated), concurrency=learned.concurrency)


def published_limits(limits: "LimitsSection", published: PublishedLimits) -> RateLimits:
    """Take a model's Start tier: the job file's limits are another model's, and only its headroom is for all models."""
    return effective_limits(limits.model_copy(update=dict.fromkeys(RATE_KEYS)), published)


def effective_limits(limits: "LimitsSection", published: PublishedLimits) -> RateLimits:
    """Take what the job file says and, where it says nothing, the model's Start tier."""
    stated = limits.model_dump(include=set(RATE_KEYS), exclude_none=True)
    return RateLimits(
        **{key: stated.get(key, getattr(published, key)) for key in RATE_KEYS},
        headroom=limits.headroom,
        from_job_file=frozenset(stated),
    )
