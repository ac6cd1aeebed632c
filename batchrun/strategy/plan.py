"""A plan: what a submit would do with every document, and what it would cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from batchrun.budget.caps import Caps, CapUsage
from batchrun.estimation.estimate import Estimate
from batchrun.outcome import Outcome
from batchrun.strategy.cascade_cost import CascadeCost
from batchrun.strategy.duration import Duration
from batchrun.strategy.prompt_caching import Caching
from batchrun.strategy.routes import Choice, Forecast, Route


class Kind(StrEnum):
    """What the ledger knows of a document's request, and so what is done with it."""

    NEW = "new"
    """Never seen in this job: sent."""
    CHANGED = "changed"
    """Seen with another request: its text, or the job file, changed: sent."""
    IN_BATCH = "in_batch"
    """In an open batch: its result is collected."""
    UNFINISHED = "unfinished"
    """Planned before and not answered yet: sent."""
    RETRY = "again"
    """Ended badly before, and `retry` sends it again."""
    IDENTICAL = "identical"
    """The same request as an earlier document of this plan: answered by that one."""
    REUSABLE = "reusable"
    """Answered already: nothing is sent, nothing is paid."""
    FAILED = "failed"
    """Ended badly before: left alone until `retry`."""
    TOO_LARGE = "too_large"
    """Above the context window or `max_document_tokens`."""
    EMPTY = "empty"
    """No text in it."""
    UNREADABLE = "unreadable"
    """Could not be read."""

    @property
    def sent(self) -> bool:
        """Whether a request is sent for a document of this kind."""
        return self in {Kind.NEW, Kind.CHANGED, Kind.UNFINISHED, Kind.RETRY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a document and of the request it would make now."""

    document_seen: bool
    """Whether this job has made a request of the document before."""
    same_request: bool
    """Whether the earlier request was this very request."""
    outcome: Outcome | None
    """The outcome of the request, whichever document and job the request was made for."""
    in_batch: bool
    """Whether the request is in an open batch."""
    tried_again: bool
    """Whether the document ended badly in a way that `retry` was asked to try once more."""


def classify(known: Known) -> Kind:
    """Return the kind of a document that can be sent, by what the ledger knows."""
    if known.outcome is Outcome.SUCCEEDED:
        return Kind.REUSABLE
    if known.tried_again:
        return Kind.RETRY
    if known.outcome is not None:
        return Kind.FAILED
    if known.in_batch:
        return Kind.IN_BATCH
    if known.document_seen and not known.same_request:
        return Kind.CHANGED
    return Kind.UNFINISHED if known.document_seen else Kind.NEW


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """A document that will not be sent as it is, for the plan to show."""

    doc_id: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class CostliestFallback:
    """The fallback that would cost most if it had to answer everything."""

    model: str
    upper_nusd: int
    """The upper bound of the estimate of all requests to send, streamed, at the price of this model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The data that the estimate rests on."""

    guessed: int
    """Documents whose tokens were guessed from a sample of others."""
    past: int
    """Answers of the job that show how many tokens Claude makes of its documents."""
    online: int
    """Requests that the API counted for the same purpose."""
    online_problem: str | None
    """Why the API did not count more requests."""
    replies: int
    """Replies of the job by which the length of replies is estimated."""


@dataclass(frozen=True, slots=True)
class PastEstimate:
    """What a run was estimated to cost, and what it cost; in nano-USD."""

    run_id: str
    estimate_nusd: int
    low_nusd: int
    high_nusd: int
    cost_nusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a submit would do. `counts` covers every selected document exactly once."""

    job: str
    fingerprint: str
    """A hash of the prompt, the model and the output fields. Documents are no part of it."""
    model: str
    counts: Mapping[Kind, int]
    same_text: int
    """How many of the changed documents have the same text as before: the job file changed."""
    estimate: Estimate
    """The estimate of the chosen route."""
    evidence: Evidence
    before: PastEstimate | None
    """The estimate of the job's latest run that went through."""
    duration: Duration
    """The duration of streaming, whatever the route is."""
    unsettled_s: float
    """How long streaming would take if documents in open batches were streamed too, as near a deadline they are."""
    choice: Choice
    chosen: Forecast
    """The forecast of the chosen route, with the cache or without."""
    forecasts: tuple[Forecast, ...]
    """Every route without the cache and, where something can be cached, every route with the cache."""
    deadline_s: float | None
    """Seconds from the start of the run."""
    committed_nusd: int
    """What the run that a submit would continue has spent or holds; 0 when the submit would begin a run.

    Reservations of open batches are not counted: most of the money comes back when the batches are collected.
    """
    held_nusd: int
    """Part of `committed_nusd`: the worst case of attempts whose answer was lost."""
    continues: str | None
    """The run that a submit would continue."""
    already_approved: bool
    """Whether that run was begun with all of these documents and no larger budget: then the run goes on to its cap."""
    cap_nusd: int
    caps: Caps
    cap_usages: tuple[CapUsage, ...]
    """The usage of the caps of the run, of days and of months, for every model of the chain."""
    affordable_count: int
    """How many of the documents to send, from the first on, the budget is enough for."""
    worst_nusd: int
    """The most that one of the requests to send may cost, which is what is reserved for the request."""
    problems: tuple[PlanProblem, ...]
    """The first few documents that will not be sent as they are."""
    costliest_fallback: CostliestFallback | None
    """None if no fallback would cost more than the estimate's upper bound."""
    notices: tuple[str, ...]
    """What a person should know of the models, as the API states it."""
    notes: Mapping[str, int]
    """What had to be done to read documents, with the count of documents."""
    caching: Mapping[Route, Caching]
    """The caching of every route: near a deadline the rest of a batched run is streamed."""
    cascade: CascadeCost | None = None

    @property
    def documents(self) -> int:
        """All selected documents."""
        return sum(self.counts.values())

    @property
    def to_send(self) -> int:
        """Requests that a submit would send."""
        return sum(count for kind, count in self.counts.items() if kind.sent)

    @property
    def unsettled(self) -> int:
        """Documents that a run has to bring to their outcomes, those in batches included."""
        return self.to_send + self.counts[Kind.IN_BATCH]

    @property
    def earlier_models(self) -> tuple[str, ...]:
        """All models of the cascade but the last one. Empty without a cascade."""
        return (self.model, *(step.model for step in self.cascade.steps))[:-1] if self.cascade else ()

    @property
    def spent_nusd(self) -> int:
        """What the run that a submit would continue has paid for answers."""
        return self.committed_nusd - self.held_nusd
