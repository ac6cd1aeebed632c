"""A plan: what a submit would do with every document, and what the submit would cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batchrun.budget.caps import Caps, CapUsage
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval
from batchrun.strategy.cascade_cost import CascadeCost
from batchrun.strategy.duration import Duration
from batchrun.strategy.prompt_caching import Caching
from batchrun.strategy.routes import Choice, Forecast, Route

MOST_CUT = 0.5
"""The share of replies that may be cut off: a plan with more is refused."""


class Kind(StrEnum):
    """What the ledger knows of a document's request, which decides what is done with the document."""

    NEW = "new"
    """The document was never seen in this job. It is sent."""
    CHANGED = "changed"
    """The document was seen with another request: its text, or the job file, has changed. It is sent."""
    IN_BATCH = "in_batch"
    """The request is in an open batch. Its result is collected."""
    UNFINISHED = "unfinished"
    """The document was planned before and has no answer yet. It is sent."""
    RETRY = "again"
    """The document ended badly before, and `retry` sends it again."""
    IDENTICAL = "identical"
    """An earlier document of this plan has the same request, whose answer counts for both."""
    REUSABLE = "reusable"
    """The request has its answer already. Nothing is sent or paid."""
    FAILED = "failed"
    """The document ended badly before. It is not sent until `retry`."""
    TOO_LARGE = "too_large"
    """The document is above the context window or `max_document_tokens`."""
    EMPTY = "empty"
    """The document has no text."""
    UNREADABLE = "unreadable"
    """The document could not be read."""

    @property
    def sent(self) -> bool:
        """Whether a request is sent for a document of this kind."""
        return self in {Kind.NEW, Kind.CHANGED, Kind.UNFINISHED, Kind.RETRY}


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """A document that will not be sent unchanged, for the plan to show."""

    doc_id: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class MostlyMarkup:
    """The documents to send that are more than half markup or base64."""

    documents: int
    nusd: int
    """About what the texts of these documents cost."""
    worst: str
    """The id of the document with the largest share."""
    share: float
    """The share of markup and base64 in the worst document."""


@dataclass(frozen=True, slots=True)
class CostliestFallback:
    """The fallback model that would cost most if it had to answer everything."""

    model: str
    upper_nusd: int
    """The estimate's upper bound at the model's price, for all requests to send, streamed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartlyAsked:
    """The documents to send that have an answer, and are asked only for what it lacks."""

    documents: int
    fields: tuple[str, ...]
    """The fields that are asked for."""
    nusd: int
    """What these documents are expected to cost."""
    whole_nusd: int
    """What they would cost if all their fields were asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfCost:
    """What the requests of the PDFs to send are expected to cost, either way."""

    files: int
    pages: int
    textless: int
    """How many of the files have no text that could be sent."""
    as_text_nusd: float
    """The cost if the texts of the other files are sent."""
    native_nusd: float
    """The cost if all the files are sent as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateBasis:
    """What the estimate rests on, as counts."""

    guessed: int
    """Documents whose tokens were guessed from a sample of other documents."""
    past: int
    """Answers of the job that show how many tokens Claude makes of the job's documents."""
    online: int
    """Requests that the API counted for the same purpose."""
    online_problem: str | None
    """Why the API did not count more requests."""
    replies: int
    """Replies of the job that show how long replies are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyForecast:
    """What is expected of the replies of the job's own model."""

    max_tokens: int
    cut_share: float
    """The share of the replies that `max_tokens` cuts off."""
    thinking_share: float
    """The part of the output that is thinking."""
    replies: int
    """Replies of the job that both shares rest on; 0 if the shares are guesses from the schema and the effort."""
    remedies: tuple[str, ...]
    """Settings of [model], as the job file writes them, each of which is enough for most replies to be complete.

    Empty if most replies are expected to be complete as it is.
    """


@dataclass(frozen=True, slots=True)
class PastEstimate:
    """What a run was estimated to cost, and what the run cost, in nano-USD."""

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
    """The hash of the prompt, the model and the output, apart from documents."""
    model: str
    counts: Mapping[Kind, int]
    same_text: int
    """The number of changed documents whose text is the same as before: only the job file changed."""
    estimate: Estimate
    """The estimate of the chosen route."""
    evidence: EstimateBasis
    before: PastEstimate | None
    """The estimate of the job's latest run that went through."""
    duration: Duration
    """The duration of streaming, whatever the route."""
    unsettled_s: float
    """How long streaming would take if documents in batches were streamed too, as the fallback near a deadline does."""
    choice: Choice
    chosen: Forecast
    """The forecast of the chosen route, with the cache or without."""
    forecasts: tuple[Forecast, ...]
    """Every route without the cache, and then with the cache if something can be cached."""
    deadline_s: float | None
    """The deadline, counted from the start of the run."""
    committed_nusd: int
    """What the run that a submit would continue has spent, or holds for lost answers. 0 if a run would begin.

    What is reserved for open batches is not included: most of that money comes back when the batches are collected.
    """
    held_nusd: int
    """Part of `committed_nusd`: the worst cases of answers that were lost or stated no usage."""
    continues: str | None
    """The run that a submit would continue."""
    already_approved: bool
    """Whether that run was begun with all of these documents and no larger budget: then the run goes on to its cap."""
    cap_nusd: int
    caps: Caps
    cap_usages: tuple[CapUsage, ...]
    """How much is used of each cap of the run, of days and of months, for every model of the chain."""
    affordable_count: int
    """How many of the documents to send, from the first on, fit the budget."""
    worst_nusd: int
    """The most that one of the requests to send may cost. So much is reserved for the request."""
    problems: tuple[PlanProblem, ...]
    """The first few documents that will not be sent unchanged."""
    costliest_fallback: CostliestFallback | None
    """None if no fallback model would cost more than the estimate's upper bound."""
    notices: tuple[str, ...]
    """What the API says of the models that a person should know."""
    notes: Mapping[str, int]
    """What had to be done to read documents, with the count of documents."""
    caching: Mapping[Route, Caching]
    """The caching of every route, whichever is chosen: near a deadline the rest of batches is streamed."""
    cascade: CascadeCost | None = None
    pdf: PdfCost | None = None
    """None if no PDF is to be sent."""
    paid_before: int = 0
    """How many of the documents to send have a row in the output, of which the ledger does not know."""
    in_source: int = 0
    """The number of documents in the source, selected or not. 0 if an earlier version made the plan."""
    digest: str = ""
    """The hash of the documents to send and of their requests."""
    reused: Mapping[str, int] = field(default_factory=dict)
    """How many documents have their answer from another job or document, by the job that paid for the answer."""
    typed: tuple[str, ...] = ()
    """The command, as a person types it: its name, then its options, without the job. Empty if nobody typed any."""
    in_parts: tuple[int, int] = (0, 0)
    """How many documents are asked in parts, and how many of their parts are selected. `counts` covers the parts."""
    merging: int = 0
    """How many requests are expected that merge the answers over the parts. `counts` does not cover them."""
    older: int = 0
    """How many documents keep their requests although a newer reader would find another text in the same bytes."""
    markup: MostlyMarkup | None = None
    """None if nothing to send is mostly markup or base64."""
    partly: PartlyAsked | None = None
    """None if no document is asked for some fields alone."""
    turns: int = 1
    """The most requests that ask about one of the documents to send: for other fields, or for another vote."""
    votes: Interval | None = None
    """How many votes each of these documents is expected to take. None for a job without votes."""
    pays_each_turn: bool = False
    """Whether every turn pays for the whole document: a schema comes before it, and each turn has another schema."""
    tables: int = 0
    """How many files of the source look like tables, and are one document each."""
    gone: int = 0
    """How many rows belong to documents that are no longer in the source. 0 for a plan with a selection."""
    drops_gone: bool = False
    """Whether a submit removes these rows from the output."""
    worst_tokens: int = 0
    """The most tokens that one of the requests to send may use, like `worst_nusd`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """The tags of the run that a submit would begin or continue."""
    reply: ReplyForecast | None = None
    """The forecast of the replies. None if an earlier version made the plan."""
    calibration_no: int | None = None
    """The number of the calibration whose threshold the cascade uses. None if no threshold is used."""
    partial_answers: bool = False
    """Whether a submit sends requests although most replies are expected to be cut off."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The decisive keys of the job file with their values. Empty if an earlier version made the plan."""
    budget_notes: tuple[str, ...] = ()
    """What the caps of models leave to the models behind them. The estimate counts these documents there."""
    provider_notes: tuple[str, ...] = ()
    """What is done in another way because a model's provider cannot do everything."""

    @property
    def mostly_cut(self) -> ReplyForecast | None:
        """The forecast of the replies, if most are expected to be cut off. A retry allows more tokens than the job."""
        asked_first = self.to_send > self.counts[Kind.RETRY]
        return self.reply if asked_first and self.reply and self.reply.cut_share > MOST_CUT else None

    @property
    def documents(self) -> int:
        """The number of all selected documents."""
        return sum(self.counts.values())

    @property
    def to_send(self) -> int:
        """The number of requests that a submit would send."""
        return sum(count for kind, count in self.counts.items() if kind.sent)

    @property
    def unsettled(self) -> int:
        """The number of documents that a run must bring to their outcomes, documents in batches included."""
        return self.to_send + self.counts[Kind.IN_BATCH]

    @property
    def requests(self) -> int:
        """The number of requests that a submit is expected to send, those that merge answers included."""
        return self.to_send + self.merging

    @property
    def earlier_models(self) -> tuple[str, ...]:
        """All models of the cascade but the last one. Empty without a cascade."""
        return self.models[:-1]

    @property
    def models(self) -> tuple[str, ...]:
        """All models of the cascade, the first included. Empty without a cascade."""
        return (self.model, *(step.model for step in self.cascade.steps)) if self.cascade else ()

    @property
    def spent_nusd(self) -> int:
        """What the run that a submit would continue has paid for answers."""
        return self.committed_nusd - self.held_nusd
