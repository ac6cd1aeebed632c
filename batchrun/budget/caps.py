"""Caps on spending: what a cap is over, who sets it, and which cap counts if several do."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from batchrun.errors import Refused
from batchrun.escaping import escape_control
from batchrun.job.credentials import masked

WASTE_PERCENT = 8
"""The share of a binding cap, in percent, within which lost answers and answers that may get lost should stay."""
MOST_MISFITS = 50
"""After how many requests in a row without room a cap counts as reached."""
_DATE = re.compile(r"-20[0-9]{6}\Z")


def undated(model: str) -> str:
    """Return a model's name without the date of its snapshot: both names mean the same model."""
    return _DATE.sub("", model)


class Per(StrEnum):
    """The span of a cap."""

    RUN = "run"
    DOCUMENT = "document"
    """All attempts that one run makes for a document."""
    DAY = "day"
    """A day in UTC, across all runs that share the ledger; a month is meant likewise."""
    MONTH = "month"


class Of(StrEnum):
    """The measure that a cap counts requests in progress and lost answers by."""

    COST = "cost"
    """The worst case, in nano-USD."""
    EXPECTED = "expected"
    """The estimate, in nano-USD."""
    TOKENS = "tokens"
    """The worst case in tokens, prompt and answer together."""


class Origin(StrEnum):
    """Who set a cap."""

    JOB = "the job file"
    COMMAND = "the command"
    PROJECT = "batchrun.toml"
    OPERATOR = "the environment"
    LEASES = "the lease service"

    @property
    def is_ceiling(self) -> bool:
        """Whether job files and commands can only lower the cap."""
        return self in {Origin.PROJECT, Origin.OPERATOR, Origin.LEASES}


SHARED = frozenset({(Per.DAY, Of.COST), (Per.MONTH, Of.COST), (Per.DAY, Of.TOKENS)})
"""The spans and measures of the caps that hold across runs."""


@dataclass(frozen=True, slots=True)
class Cap:
    """One cap, with its limit in nano-USD or tokens."""

    per: Per
    limit: int
    key: str
    """The key as people write it: `budget.max_cost_usd`, `--max-cost`."""
    origin: Origin
    model: str | None = None
    """The model whose requests count; None if those to every model do."""
    of: Of = Of.COST
    tag: str | None = None
    """The tag, as `team=legal`, of the runs whose requests count; None if those of every run do."""
    left: int | None = None
    """How much a lease service has left for all hosts; None for a cap that this ledger keeps alone."""

    @property
    def kind(self) -> str:
        """What the cap is over, whatever its limit, as JSON."""
        return json.dumps([self.per, self.of, self.model, self.tag])

    @property
    def name(self) -> str:
        """The key, and where the key is written."""
        return f"{escape_control(self.key)} of {self.origin}"

    def concerns(self, model: str) -> bool:
        """Whether requests to a model count to the cap."""
        return self.model is None or undated(self.model) == undated(model)


@dataclass(frozen=True, slots=True)
class Amount:
    """What is reserved for one request before it is sent."""

    nusd: int
    """The most that the request may cost."""
    tokens: int = 0
    """The most tokens that the request may use, prompt and answer together."""
    expected_nusd: int | None = None
    """What the request is expected to cost; None if no cap needs the estimate, and the worst case counts."""

    def __add__(self, other: "Amount") -> "Amount":
        """Add up two requests."""
        expected_nusd = self.of(Of.EXPECTED) + other.of(Of.EXPECTED)
        return Amount(self.nusd + other.nusd, self.tokens + other.tokens, expected_nusd)

    def of(self, counted: Of) -> int:
        """Return how much a cap of this measure counts."""
        match counted:
            case Of.COST:
                return self.nusd
            case Of.EXPECTED:
                return self.nusd if self.expected_nusd is None else self.expected_nusd
            case Of.TOKENS:
                return self.tokens


@dataclass(frozen=True, slots=True)
class CapUsage:
    """A cap, with how much of it is spent or reserved."""

    cap: Cap
    used: int
    passes_on: bool = False
    """Whether the next model answers the requests for which the cap has no room, so that no plan is refused for it."""

    def binds(self, model: str) -> bool:
        """Whether requests to a model end with the cap."""
        return not self.passes_on and self.cap.concerns(model)

    @property
    def remaining(self) -> int:
        """How much may still be reserved."""
        return max(self.cap.limit - self.used, 0)

    def fits(self, amount: Amount) -> bool:
        """Whether one more request may be sent."""
        return self.used + amount.of(self.cap.of) <= self.cap.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """All caps of one run: the lowest of each kind."""

    run: Cap
    """The run's own cap; a soft one counts what is expected."""
    ceiling: Cap | None = None
    """A hard cap of a run beside a soft one, whatever the job file says."""
    tokens: Cap | None = None
    """The cap of the run's tokens."""
    document: Cap | None = None
    shared: tuple[Cap, ...] = ()
    """The caps of days and months."""
    partial: bool = False
    """Whether the run begins although the caps are not enough for all of it."""
    scarce_nusd: int | None = None
    """What the run may cost, if the whole run may need more: see `most_in_flight_nusd`."""

    @property
    def soft(self) -> bool:
        """Whether requests in progress count at their expected cost."""
        return self.run.of is Of.EXPECTED

    def borne_by(self, tags: Mapping[str, str]) -> "Caps":
        """Leave out the caps of tags that a run with these tags does not have."""
        own = {None, *(f"{name}={value}" for name, value in tags.items())}
        return replace(self, shared=tuple(cap for cap in self.shared if cap.tag in own))


_RUN = (Per.RUN, None, None, Of.COST, True)
"""The kind of the caps of a run's cost: span, model, tag, measure, and whether the ledger keeps them alone."""


def merged(caps: Iterable[Cap], *, soft: bool, partial: bool) -> Caps:
    """Take the lowest cap of each kind, the first among equals. At least one cap is the run's."""
    least: dict[tuple[Per, str | None, str | None, Of, bool], Cap] = {}
    ceiling = None
    for cap in caps:
        kind = (cap.per, cap.model, cap.tag, cap.of, cap.left is None)
        if kind not in least or cap.limit < least[kind].limit:
            least[kind] = cap
        if kind == _RUN and cap.origin.is_ceiling and (ceiling is None or cap.limit < ceiling.limit):
            ceiling = cap
    run = least.pop(_RUN)
    tokens = least.pop((Per.RUN, None, None, Of.TOKENS, True), None)
    document = least.pop((Per.DOCUMENT, None, None, Of.COST, True), None)
    return Caps(
        run=replace(run, of=Of.EXPECTED) if soft else run,
        ceiling=ceiling if soft else None,
        tokens=tokens,
        document=document,
        shared=tuple(least.values()),
        partial=partial,
    )


def most_in_flight_nusd(*, cap_nusd: int, held_nusd: int) -> int:
    """Return how much may be in progress at its worst if the cap is expected to bind; one request always may be.

    A kill turns requests in progress into lost answers, whose worst cases are held and so never used. The result is a
    quarter of what remains of a small share of the cap: however often the process dies, most of the cap pays answers.
    """
    return max(0, cap_nusd * WASTE_PERCENT // 100 - held_nusd) // 4


def remaining_nusd(cap_usages: Iterable[CapUsage], model: str) -> int:
    """Find the least money that the caps leave for requests to a model."""
    return min(one.remaining for one in cap_usages if one.cap.of is not Of.TOKENS and one.binds(model))


def remaining_tokens(cap_usages: Iterable[CapUsage], model: str) -> float:
    """Find the fewest tokens that the caps leave for requests to a model, without an end if no cap counts tokens."""
    ours = (one.remaining for one in cap_usages if one.cap.of is Of.TOKENS and one.binds(model))
    return min(ours, default=math.inf)


@dataclass(frozen=True, slots=True)
class ModelRule:
    """The models that one authority allows and denies; names as in `[model] name`."""

    origin: Origin
    allowed: tuple[str, ...] | None
    """The allowed models; None for all but the denied."""
    allowed_key: str
    denied: tuple[str, ...]
    denied_key: str


def forbidden(models: Sequence[str], rules: Sequence[ModelRule]) -> Refused | None:
    """Say why a job with these models, fallbacks included, is not run. Returns None if all models are allowed."""
    for rule in rules:
        for model in models:
            if rule.allowed is not None and undated(model) not in map(undated, rule.allowed):
                allowed = ", ".join(escape_control(masked(name)) for name in rule.allowed) or "none"
                return _forbidden(model, rule.allowed_key, rule.origin, hint=f"allowed there: {allowed}")
            # A model that is denied is denied at every provider, and one that is allowed only where the rule says.
            if {undated(model), undated(model.rpartition("/")[2])} & set(map(undated, rule.denied)):
                hint = "name another one in [model] name, fallbacks or the tier"
                return _forbidden(model, rule.denied_key, rule.origin, hint=hint)
    return None


def _forbidden(model: str, key: str, origin: Origin, *, hint: str) -> Refused:
    return Refused(f'the model "{escape_control(model)}" is not allowed: {key} of {origin} forbids it.', hint=hint)
