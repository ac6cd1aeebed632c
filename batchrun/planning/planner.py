"""One pass over the source: name every request, ask the ledger what is known of it, price what is new."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from batchrun.budget.cap_text import too_dear
from batchrun.budget.caps import Caps
from batchrun.catalog.price import ModelPrice
from batchrun.document import Document, Unreadable
from batchrun.documents import Source
from batchrun.errors import Refused, UsageProblem
from batchrun.escaping import escape_control
from batchrun.estimation.estimate import Estimate, Estimator, RequestTokens
from batchrun.estimation.sampling import COUNTED_AT_ONCE, DocumentSize
from batchrun.estimation.text_class import TextClass
from batchrun.estimation.tokenizer import count_tokens, truncate
from batchrun.job.load import JobFile
from batchrun.job.render import Renderer
from batchrun.outcome import Outcome
from batchrun.planning.api_lookups import CounterFactory, notices_online
from batchrun.planning.calibration_data import CalibrationData, prefix_of, untaught
from batchrun.planning.cascade_history import violating_requests
from batchrun.planning.forecast import Forecaster
from batchrun.planning.plan_table import KnownDocument, KnownRequest, Planned, PlannedDocuments
from batchrun.planning.request_builder import RequestBuilder, SizeLimit
from batchrun.planning.selection import Selection
from batchrun.planning.token_sampling import TokenSampler
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.cascade_rules import UNMET
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.plan import Kind, Known, Plan, classify
from batchrun.strategy.prompt_caching import costliest_ttl
from batchrun.strategy.routes import Route

PAGE = 500
PAGE_CHARACTERS = 4_000_000
ONLINE = 30
"""Requests that the API counts, when nothing else is said: they give the factor to one or two percent."""


@dataclass(slots=True)
class Planner:
    """Everything that planning one job needs; `plan` may be called once."""

    job: JobFile
    source: Source
    ledger: Ledger
    chain: ModelChain
    caps: Caps
    route: str | None
    """stream, batch or auto; None: nothing is said."""
    deadline_s: float | None
    """From the start of the run."""
    exact: bool = False
    """Whether every document is counted, however many there are."""
    renderer: Renderer = field(init=False)
    calibration: CalibrationData = field(init=False)
    estimator: Estimator = field(init=False)
    """With what was learnt when planning."""
    unsampled: Mapping[TextClass, float] = field(init=False, default_factory=dict)
    """The standard deviation of what was guessed, in cl100k tokens of each class."""
    builder: RequestBuilder = field(init=False)
    planned: PlannedDocuments = field(init=False)
    in_batches: bool = field(init=False)
    """Whether it is certain before the estimate that requests go by batch."""
    _counted_bytes: int = 0
    _notes: Counter[str] = field(default_factory=Counter)
    _notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.renderer = Renderer(self.job)
        run = self.ledger.open_run(self.job.spec.job.name, self.renderer.fingerprint)
        self.in_batches = (self.route or (run.route if run else None)) == Route.BATCH
        guess = untaught(self.job, self.renderer, self.price)
        self.estimator = replace(
            guess,
            ttl=costliest_ttl(
                self.job.spec.prompt.cache,
                prefix_of(self.renderer, guess),
                minimum=self.price.min_cacheable_tokens,
                streams=self.route in {None, "stream"} and not self.in_batches,
            ),
        )
        self.calibration = CalibrationData(
            job=self.job, ledger=self.ledger, fingerprint=self.renderer.fingerprint, guess=self.estimator
        )
        self.builder = RequestBuilder(
            self.renderer, self.estimator, self._size_limit(), count=count_tokens, truncate=truncate
        )
        self.planned = PlannedDocuments(self.ledger, self.job.spec.job.name)

    @property
    def price(self) -> ModelPrice:
        """Of the job's own model."""
        return self.chain.models[0].price

    def plan(self, selection: Selection, *, counter: CounterFactory | None = None, online: int = ONLINE) -> Plan:
        """Look at every selected document. Raises Refused for ids that stand twice, and what the source raises.

        With a `counter` the API counts about `online` of them, unless the job's own past tells enough.
        """
        notes: Counter[str] = Counter()
        for page in pages(self.source.scan()):
            chosen = [found for found in page if selection.takes(found)]
            notes.update(found.note for found in chosen if isinstance(found, Document) and found.note)
            if twice := self.planned.add(self._rows(chosen, selection)):
                shown = ", ".join(map(escape_control, sorted(twice)[:10]))
                raise Refused(
                    f"{len(twice)} ids stand for more than one document: {shown}",
                    hint='every document needs an id of its own; for files use [source] id = "relpath"',
                )
        if not selection.again and (missing := self.planned.missing(selection.ids)):
            raise UsageProblem(
                f"no document has the id {', '.join(map(escape_control, missing[:10]))}.",
                hint="ids are the paths below the project, or the id column of the query",
            )
        if selection.where:
            self.planned.choose(selection.where)
        self.planned.mark_identical()
        if selection.limit is not None:
            self.planned.limit(selection.limit)
        self._notes = notes
        self.unsampled = self._sampler.count_sample(self._costliest_nusd)
        if counter and any(kind.sent for kind in self.planned.counts()):
            self.calibration.ask(self._sampler, counter, online)
            names = [model_no.price.name for model_no in self.chain.models]
            self._notices = notices_online(counter, names, today=datetime.now(UTC).date())
        return self.forecast()

    def forecast(self, *, route: str | None = None, exact: bool = False) -> Plan:
        """Add up what the plan is about now, by all that is known now: again after it was narrowed, or a pilot sent.

        `route` instead of what was said; `exact`: none of the documents is guessed.
        """
        evidence, self.estimator = self.calibration.learned(guessed=self.planned.tokens.guessed())
        forecaster = replace(self._forecaster, route=route or self.route, unsampled={} if exact else self.unsampled)
        return forecaster.plan(self._notes, evidence, self._notices)

    def count(self, numbers: Iterable[int]) -> None:
        """Count the tokens of documents that were only guessed."""
        self._sampler.count(numbers, self._costliest_nusd)

    def remaining_estimate(self, route: Route) -> Estimate:
        """Of what was planned, all that is pending now, if it goes by a route: with what the run itself has taught."""
        _, self.estimator = self.calibration.learned(guessed=0)
        return self._forecaster.remaining_estimate(route)

    @property
    def _forecaster(self) -> Forecaster:
        return Forecaster(
            job=self.job,
            chain=self.chain,
            planned=self.planned,
            ledger=self.ledger,
            estimator=self.estimator,
            unsampled=self.unsampled,
            fingerprint=self.renderer.fingerprint,
            caps=self.caps,
            prefix=prefix_of(self.renderer, self.estimator),
            route=self.route,
            deadline_s=self.deadline_s,
        )

    @property
    def _sampler(self) -> TokenSampler:
        return TokenSampler(
            planned=self.planned.tokens, source=self.source, builder=self.builder, renderer=self.renderer
        )

    def _size_limit(self) -> SizeLimit:
        spec, price = self.job.spec, self.price
        window = max(0, price.context_window - spec.model.max_tokens - math.ceil(self.estimator.fixed_input.high))
        own = spec.source.max_document_tokens
        truncates = spec.source.on_oversize == "truncate"
        if own is not None and own <= window:
            return SizeLimit(own, "source.max_document_tokens", truncates)
        return SizeLimit(window, f"the room in {price.name}'s context window", truncates)

    # --- rows

    def _rows(self, page: list[Document | Unreadable], selection: Selection) -> list[Planned]:
        known = self.planned.known_documents(found.doc_id for found in page)
        if selection.again:
            page = [one for one in page if one.doc_id in known and known[one.doc_id].outcome in selection.again]
        requests = {
            found.doc_id: self.builder.request(found, max_tokens=self._override(known.get(found.doc_id), selection))
            for found in page
            if isinstance(found, Document) and found.text.strip()
        }
        models = {doc_id: self._to_each_model(request) for doc_id, request in requests.items()}
        known_requests = self.planned.known_requests({one.request_id for each in models.values() for one in each})
        violating = violating_requests(self.ledger, self.chain, self.builder, page, models)
        rows = []
        for found in page:
            if isinstance(found, Unreadable) or found.doc_id not in requests:
                rows.append(self._unsendable(found))
                continue
            known_state = self._known_state(known.get(found.doc_id), models[found.doc_id], known_requests, violating)
            rows.append(self._sendable(found, known_state, selection))
        return rows

    def _to_each_model(self, request: Request) -> Sequence[Request]:
        return [model_no.request(request) for model_no in self.chain.models]

    def _known_state(
        self,
        document: KnownDocument | None,
        models: Sequence[Request],
        known: Mapping[str, KnownRequest],
        violating: Collection[str],
    ) -> "KnownState":
        ids = [request.request_id for request in models]
        at = ids.index(document.request_id) if document and document.request_id in ids else None
        ends = [UNMET if one in violating else known[one].outcome if one in known else None for one in ids]
        model_no = self.chain.current_model(ends, at=at)
        return KnownState(document, known.get(ids[model_no]), models, model_no, same_request=at is not None)

    def _override(self, known: KnownDocument | None, selection: Selection) -> int | None:
        """The `max_tokens` that a truncated document is allowed, while that is more than the job's."""
        if known is None:
            return None
        own, most = self.job.spec.model.max_tokens, self.price.max_output_tokens
        allowed = known.max_tokens or own
        if known.outcome is Outcome.TRUNCATED and Outcome.TRUNCATED in selection.again:
            allowed = min(selection.max_tokens or 2 * allowed, most)
        return allowed if allowed > own else None

    def _unsendable(self, found: Document | Unreadable) -> Planned:
        if isinstance(found, Unreadable):
            return Planned(doc_id=found.doc_id, source=found.source, content_sha="", kind=Kind.UNREADABLE,
                           outcome=Outcome.UNREADABLE, reason=found.reason)  # fmt: skip
        skips = self.job.spec.source.on_empty == "skip"
        return Planned(
            doc_id=found.doc_id,
            source=found.source,
            content_sha=found.content_sha,
            kind=Kind.EMPTY,
            outcome=Outcome.SKIPPED if skips else Outcome.UNREADABLE,
            reason="the document is empty",
        )

    def _sendable(self, document: Document, known_state: "KnownState", selection: Selection) -> Planned:
        known, known_request, model_no = known_state.document, known_state.known_request, known_state.model_no
        size = self.builder.size(document)
        tokens = known_request.tokens if known_request else self._counted(document, size)
        outcome = known_request.outcome if known_request else None
        if outcome is None and tokens and (excess := self.builder.excess(tokens)):
            return self._oversize(document, excess)
        in_batch = known_request is not None and known_request.in_batch
        if (
            outcome is None
            and not in_batch
            and (excess := self._too_dear(tokens, known_state.to_each_model[model_no], model_no))
        ):
            return self._oversize(document, excess, skips=self.job.spec.source.on_oversize != "refuse")
        facts = Known(
            document_seen=known is not None and known.request_id is not None,
            same_request=known_state.same_request,
            outcome=outcome,
            in_batch=in_batch,
            tried_again=known is not None and known.outcome in selection.again,
        )
        first = known_state.to_each_model[0]
        override = first.max_tokens if first.max_tokens != self.job.spec.model.max_tokens else None
        return Planned(
            doc_id=document.doc_id,
            source=document.source,
            content_sha=document.content_sha,
            kind=classify(facts),
            known_outcome=(known.outcome if known else None) or outcome,
            request_id=known_state.to_each_model[model_no].request_id,
            model=self.chain.models[model_no].price.name,
            max_tokens=override,
            size=size,
            tokens=tokens,
            worst_nusd=self._worst_nusd(tokens, known_state.to_each_model[model_no:], model_no=model_no)
            if tokens
            else None,
            same_text=known is not None and known.content_sha == document.content_sha,
        )

    def _counted(self, document: Document, size: DocumentSize) -> RequestTokens | None:
        """Count the first documents, and those that may be too large; the others are left to a sample."""
        exact = self.exact or self.caps.document is not None
        if not exact and self._counted_bytes >= COUNTED_AT_ONCE and not self.builder.may_exceed(size):
            return None
        self._counted_bytes += size.bytes
        return self.builder.tokens(document)

    def _worst_nusd(self, tokens: RequestTokens, requests: Sequence[Request], *, model_no: int = 0) -> int:
        """The most that any model that may still be asked could cost; `requests` are those from the rung on."""
        return max(
            replace(self.estimator, price=one.price).worst_case_nusd(
                tokens, body_bytes=len(request.body), max_tokens=request.max_tokens
            )
            for one, request in zip(self.chain.models[model_no:], requests, strict=True)
        )

    def _costliest_nusd(self, request: Request, tokens: RequestTokens) -> int:
        return self._worst_nusd(tokens, self._to_each_model(request))

    def _too_dear(self, tokens: RequestTokens | None, request: Request, model_no: int) -> str | None:
        """Why the document's first attempt does not fit in its cap, or None."""
        if self.caps.document is None or tokens is None:
            return None
        price = self.chain.models[model_no].price
        estimator = replace(self.estimator, price=price.in_batches if self.in_batches else price)
        body_bytes = len(request.body)
        worst_nusd = estimator.worst_case_nusd(tokens, body_bytes=body_bytes, max_tokens=request.max_tokens)
        return too_dear(self.caps.document, worst_nusd)

    def _oversize(self, document: Document, excess: str, *, skips: bool = False) -> Planned:
        outcomes = {"skip": Outcome.SKIPPED, "truncate": Outcome.SKIPPED if skips else Outcome.UNREADABLE}
        return Planned(
            doc_id=document.doc_id,
            source=document.source,
            content_sha=document.content_sha,
            kind=Kind.TOO_LARGE,
            outcome=outcomes.get(self.job.spec.source.on_oversize),
            reason=excess,
        )


@dataclass(frozen=True, slots=True)
class KnownState:
    """What there is to classify a document by."""

    document: KnownDocument | None
    known_request: KnownRequest | None
    """Of the rung."""
    to_each_model: Sequence[Request]
    """Its requests to each model of the ladder."""
    model_no: int
    """Which of them it stands for."""
    same_request: bool
    """Whether the job has made one of them before."""


def pages(found: Iterable[Document | Unreadable]) -> Iterator[list[Document | Unreadable]]:
    """The documents in lists: at most PAGE of them, and not much more text than PAGE_CHARACTERS."""
    page: list[Document | Unreadable] = []
    size = 0
    for one in found:
        page.append(one)
        size += len(one.text) if isinstance(one, Document) else 0
        if len(page) == PAGE or size >= PAGE_CHARACTERS:
            yield page
            page, size = [], 0
    if page:
        yield page
