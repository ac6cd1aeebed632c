"""Caps on what is spent: over what, who says so, and what counts when several speak."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from batchrun.errors import Refused
from batchrun.escaping import escape_control
from batchrun.job.credentials import masked

WASTE_PERCENT = 8
"""Of a cap that is expected to bind: what answers that were lost, or may get lost, should stay within."""


MOST_MISFITS = 50
"""So many requests in a row for which there is no room: the cap is reached."""
_DATE = re.compile(r"-20[0-9]{6}\Z")


def undated(model: str) -> str:
    """The name of a model without the date of its snapshot: both are the same model."""
    return _DATE.sub("", model)


class Per(StrEnum):
    """What a cap is over."""

    RUN = "run"
    DOCUMENT = "document"
    """All attempts that one run makes for a document."""
    DAY = "day"
    """In UTC, across all runs that share the ledger; so is a month."""
    MONTH = "month"


class Of(StrEnum):
    """What a cap counts, of requests under way and of answers that were lost."""

    COST = "cost"
    """At their worst, in nano-USD."""
    EXPECTED = "expected"
    """As estimated, in nano-USD."""
    TOKENS = "tokens"
    """At their worst: prompt and answer together."""


class Origin(StrEnum):
    """Who says so."""

    JOB = "the job file"
    COMMAND = "the command"
    PROJECT = "batchrun.toml"
    OPERATOR = "the environment"

    @property
    def is_ceiling(self) -> bool:
        """Whether job files and commands can only go below it."""
        return self in {Origin.PROJECT, Origin.OPERATOR}


@dataclass(frozen=True, slots=True)
class Cap:
    """One cap; its limit in nano-USD or tokens."""

    per: Per
    limit: int
    key: str
    """As people write it: `budget.max_cost_usd`, `--max-cost`."""
    origin: Origin
    model: str | None = None
    """None: whatever the model."""
    of: Of = Of.COST

    @property
    def name(self) -> str:
        """The key and where it is written."""
        return f"{escape_control(self.key)} of {self.origin}"

    def concerns(self, model: str) -> bool:
        """Whether requests to a model count."""
        return self.model is None or undated(self.model) == undated(model)


@dataclass(frozen=True, slots=True)
class Amount:
    """What is set aside for one request, before it is sent."""

    nusd: int
    """The most it may cost."""
    tokens: int = 0
    """The most it may use, prompt and answer together."""
    expected_nusd: int | None = None
    """What it is expected to cost; None: not asked for, and the worst case counts."""

    def __add__(self, other: "Amount") -> "Amount":
        """Of both requests together."""
        expected_nusd = self.of(Of.EXPECTED) + other.of(Of.EXPECTED)
        return Amount(self.nusd + other.nusd, self.tokens + other.tokens, expected_nusd)

    def of(self, counted: Of) -> int:
        """As much as counts for a cap."""
        match counted:
            case Of.COST:
                return self.nusd
            case Of.EXPECTED:
                return self.nusd if self.expected_nusd is None else self.expected_nusd
            case Of.TOKENS:
                return self.tokens


@dataclass(frozen=True, slots=True)
class CapUsage:
    """A cap and what of it is spent or held."""

    cap: Cap
    used: int

    @property
    def remaining(self) -> int:
        """What may still be set aside."""
        return max(self.cap.limit - self.used, 0)

    def fits(self, amount: Amount) -> bool:
        """Whether one more request may be sent."""
        return self.used + amount.of(self.cap.of) <= self.cap.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """All caps of one run, the least of each."""

    run: Cap
    """Soft when it counts what is expected."""
    ceiling: Cap | None = None
    """Of a run, beside a soft one: hard whatever the job file says."""
    document: Cap | None = None
    shared: tuple[Cap, ...] = ()
    """Of days and months."""
    partial: bool = False
    """Whether the run is begun although the caps are not enough for all of it."""
    scarce_nusd: int | None = None
    """What the run may come to, where that is less than all of it may need: see `most_in_flight_nusd`."""

    @property
    def soft(self) -> bool:
        """Whether what is under way counts at its expected cost."""
        return self.run.of is Of.EXPECTED


def merged(caps: Iterable[Cap], *, soft: bool, partial: bool) -> Caps:
    """The least of each kind; of equals the first. There is at least one for the run."""
    least: dict[tuple[Per, str | None, Of], Cap] = {}
    ceiling = None
    for cap in caps:
        kind = (cap.per, cap.model, cap.of)
        if kind not in least or cap.limit < least[kind].limit:
            least[kind] = cap
        if cap.per is Per.RUN and cap.origin.is_ceiling and (ceiling is None or cap.limit < ceiling.limit):
            ceiling = cap
    run = least.pop((Per.RUN, None, Of.COST))
    document = least.pop((Per.DOCUMENT, None, Of.COST), None)
    return Caps(
        run=replace(run, of=Of.EXPECTED) if soft else run,
        ceiling=ceiling if soft else None,
        document=document,
        shared=tuple(least.values()),
        partial=partial,
    )


def most_in_flight_nusd(*, cap_nusd: int, held_nusd: int) -> int:
    """How much may be under way at its worst where the cap is expected to bind; one request always may.

    A kill turns what is under way into lost answers, whose worst cases are held and so never used. A quarter of what is
    left of a small share of the cap: however often the process dies, most of the cap is spent on answers.
    """
    return max(0, cap_nusd * WASTE_PERCENT // 100 - held_nusd) // 4


@dataclass(frozen=True, slots=True)
class ModelRule:
    """Which models one authority lets jobs use; names as in `[model] name`."""

    origin: Origin
    allowed: tuple[str, ...] | None
    """None: all but the denied."""
    allowed_key: str
    denied: tuple[str, ...]
    denied_key: str


def forbidden(models: Sequence[str], rules: Sequence[ModelRule]) -> Refused | None:
    """Why a job with these models, fallbacks included, is not run; None when all are allowed."""
    for rule in rules:
        for model in models:
            if rule.allowed is not None and undated(model) not in map(undated, rule.allowed):
                allowed = ", ".join(escape_control(masked(name)) for name in rule.allowed) or "none"
                return _forbidden(model, rule.allowed_key, rule.origin, hint=f"allowed there: {allowed}")
            if undated(model) in map(undated, rule.denied):
                hint = "name another one in [model] name, fallbacks or the tier"
                return _forbidden(model, rule.denied_key, rule.origin, hint=hint)
    return None


def _forbidden(model: str, key: str, origin: Origin, *, hint: str) -> Refused:
    return Refused(f'the model "{escape_control(model)}" is not allowed: {key} of {origin} forbids it.', hint=hint)
