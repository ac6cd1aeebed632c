"""One pass over the source: name every request, ask the ledger what is known of it, price what is new."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import chain

from batchrun.document import Document, Unreadable
from batchrun.errors import Refused, UsageProblem
from batchrun.job.reading import JobFile
from batchrun.job.rendering import Renderer
from batchrun.outcome import Outcome
from batchrun.planning.budget import fitting
from batchrun.planning.caching import Caching, Circumstances, Prefix, dearest_ttl, decide_caching
from batchrun.planning.duration import Duration, forecast
from batchrun.planning.estimate import Estimate, EstimateSum, Estimator, RequestTokens, fixed_tokens
from batchrun.planning.interval import Interval
from batchrun.planning.ladder import Ladder
from batchrun.planning.model_price import ModelPrice
from batchrun.planning.model_rules import suited, thinks
from batchrun.planning.output_prior import output_prior
from batchrun.planning.plan import Dearest, Kind, Known, Plan, classify
from batchrun.planning.preparing import Preparer, SizeLimit
from batchrun.planning.routes import Forecast, Route, Wish, choose, forecasts
from batchrun.planning.text_class import TextClass, factor
from batchrun.request import Request
from batchrun.sources import Source
from batchrun.store.cache_use import measured_hit_rate
from batchrun.store.entries import Run
from batchrun.store.ledger import Ledger
from batchrun.store.planned import KnownDocument, KnownRequest, Planned, PlannedDocuments
from batchrun.tokenizer import count_tokens, truncate
from batchrun.untrusted import inert

PAGE = 500
PAGE_CHARACTERS = 4_000_000
SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which documents a command is about; everything by default."""

    limit: int | None = None
    """At most this many are sent."""
    ids: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()
    """Glob patterns over the documents' sources."""
    where: str | None = None
    """A condition in SQL over the plan's documents."""
    again: frozenset[Outcome] = frozenset()
    """For `retry`: only documents that ended in one of these ways, and they are sent again."""
    max_tokens: int | None = None
    """For `retry`: allowed to the truncated; otherwise twice what they had."""

    @property
    def everything(self) -> bool:
        """Whether no document is left out."""
        return self == Selection()

    def takes(self, found: Document | Unreadable) -> bool:
        """Whether the document is selected by id and source."""
        if self.ids and found.doc_id not in self.ids:
            return False
        return not self.sources or any(fnmatchcase(found.source, pattern) for pattern in self.sources)


@dataclass(slots=True)
class Planner:
    """Everything that planning one job needs; `plan` may be called once."""

    job: JobFile
    source: Source
    ledger: Ledger
    ladder: Ladder
    cap_nusd: int
    route: str | None
    """stream, batch or auto; None: nothing is said."""
    deadline_s: float | None
    """From the start of the run."""
    renderer: Renderer = field(init=False)
    estimator: Estimator = field(init=False)
    preparer: Preparer = field(init=False)
    planned: PlannedDocuments = field(init=False)

    def __post_init__(self) -> None:
        self.renderer = Renderer(self.job)
        self.estimator = Estimator(
            self.price,
            fixed_tokens=fixed_tokens(
                prompt=count_tokens(self.renderer.prompt_text), schema=count_tokens(self.renderer.schema_text)
            ),
            output=self._reply(self.price),
            ttl=dearest_ttl(self.job.spec.prompt.cache, self._prefix(), streams=self.route in {None, "stream"}),
        )
        self.preparer = Preparer(
            self.renderer, self.estimator, self._size_limit(), count=count_tokens, truncate=truncate
        )
        self.planned = PlannedDocuments(self.ledger, self.job.spec.job.name)

    @property
    def price(self) -> ModelPrice:
        """Of the job's own model."""
        return self.ladder.rungs[0].price

    def plan(self, selection: Selection) -> Plan:
        """Look at every selected document. Raises Refused for ids that stand twice, and what the source raises."""
        notes: Counter[str] = Counter()
        for page in pages(self.source.scan()):
            chosen = [found for found in page if selection.takes(found)]
            notes.update(found.note for found in chosen if isinstance(found, Document) and found.note)
            if twice := self.planned.add(self._rows(chosen, selection)):
                raise Refused(
                    f"{len(twice)} ids stand for more than one document: {', '.join(map(inert, sorted(twice)[:10]))}",
                    hint='every document needs an id of its own; for files use [source] id = "relpath"',
                )
        if not selection.again and (missing := self.planned.missing(selection.ids)):
            raise UsageProblem(
                f"no document has the id {', '.join(map(inert, missing[:10]))}.",
                hint="ids are the paths below the project, or the id column of the query",
            )
        if selection.where:
            self.planned.choose(selection.where)
        self.planned.mark_identical()
        if selection.limit is not None:
            self.planned.limit(selection.limit)
        return self._summed(notes)

    def _reply(self, price: ModelPrice) -> Interval:
        """How long a model's replies are, in tokens."""
        model = suited(self.job.spec.model, price)
        return output_prior(
            self.job.fields.api_schema,
            max_tokens=model.max_tokens,
            thinks=thinks(model, price),
            effort=model.effort or price.default_effort,
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
            found.doc_id: self.preparer.request(found, max_tokens=self._override(known.get(found.doc_id), selection))
            for found in page
            if isinstance(found, Document) and found.text.strip()
        }
        rungs = {doc_id: self._to_each_model(request) for doc_id, request in requests.items()}
        known_requests = self.planned.known_requests({one.request_id for each in rungs.values() for one in each})
        rows = []
        for found in page:
            if isinstance(found, Unreadable) or found.doc_id not in requests:
                rows.append(self._unsendable(found))
                continue
            evidence = self._evidence(known.get(found.doc_id), rungs[found.doc_id], known_requests)
            rows.append(self._sendable(found, evidence, selection))
        return rows

    def _to_each_model(self, request: Request) -> Sequence[Request]:
        return [rung.request(request) for rung in self.ladder.rungs]

    def _evidence(
        self, document: KnownDocument | None, rungs: Sequence[Request], known: Mapping[str, KnownRequest]
    ) -> "Evidence":
        ids = [request.request_id for request in rungs]
        at = ids.index(document.request_id) if document and document.request_id in ids else None
        rung = self.ladder.standing([known[one].outcome if one in known else None for one in ids], at=at)
        return Evidence(document, known.get(ids[rung]), rungs, rung, same_request=at is not None)

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

    def _sendable(self, document: Document, evidence: "Evidence", selection: Selection) -> Planned:
        known, known_request, request = evidence.document, evidence.known_request, evidence.rungs[evidence.rung]
        tokens = known_request.tokens if known_request else self.preparer.tokens(document)
        outcome = known_request.outcome if known_request else None
        if outcome is None and (excess := self.preparer.excess(tokens)):
            return self._oversize(document, excess)
        facts = Known(
            document_seen=known is not None and known.request_id is not None,
            same_request=evidence.same_request,
            outcome=outcome,
            in_batch=known_request is not None and known_request.in_batch,
            tried_again=known is not None and known.outcome in selection.again,
        )
        first = evidence.rungs[0]
        override = first.max_tokens if first.max_tokens != self.job.spec.model.max_tokens else None
        return Planned(
            doc_id=document.doc_id,
            source=document.source,
            content_sha=document.content_sha,
            kind=classify(facts),
            known_outcome=(known.outcome if known else None) or outcome,
            request_id=request.request_id,
            model=self.ladder.rungs[evidence.rung].price.name,
            max_tokens=override,
            tokens=tokens,
            worst_nusd=self._worst_nusd(tokens, evidence),
            same_text=known is not None and known.content_sha == document.content_sha,
        )

    def _worst_nusd(self, tokens: RequestTokens, evidence: "Evidence") -> int:
        """The most that any model that may still be asked could cost."""
        return max(
            replace(self.estimator, price=rung.price).worst_case_nusd(
                tokens, body_bytes=len(request.body), max_tokens=request.max_tokens
            )
            for rung, request in zip(self.ladder.rungs[evidence.rung :], evidence.rungs[evidence.rung :], strict=True)
        )

    def _oversize(self, document: Document, excess: str) -> Planned:
        outcomes = {"skip": Outcome.SKIPPED, "truncate": Outcome.UNREADABLE}
        return Planned(
            doc_id=document.doc_id,
            source=document.source,
            content_sha=document.content_sha,
            kind=Kind.TOO_LARGE,
            outcome=outcomes.get(self.job.spec.source.on_oversize),
            reason=excess,
        )

    # --- prompt cache

    def _prefix(self) -> Prefix:
        fixed = self.renderer.prefix
        counted = fixed_tokens(prompt=count_tokens(fixed.text), schema=count_tokens(self.renderer.schema_text))
        return Prefix(factor(self.price.tokenizer, TextClass.PROSE).times(counted), fixed.obstacle)

    def _caching(self, forecasts: Iterable[Forecast]) -> dict[Route, Caching]:
        return {one.route: decide_caching(self.job.spec.prompt.cache, self._circumstances(one)) for one in forecasts}

    def _circumstances(self, forecast: Forecast) -> Circumstances:
        batched = forecast.route is Route.BATCH
        return Circumstances(
            prefix=self._prefix(),
            minimum=None,
            price=self.price,
            requests=forecast.estimate.documents,
            batched=batched,
            seconds=forecast.seconds,
            measured=measured_hit_rate(self.ledger, self.job.spec.job.name, in_batches=batched),
        )

    # --- sum

    def _summed(self, notes: Counter[str]) -> Plan:
        spec = self.job.spec
        run = self.ledger.open_run(spec.job.name, self.renderer.fingerprint)
        committed_nusd, held_nusd = (run.committed_nusd - run.open_nusd, run.held_nusd) if run else (0, 0)
        counts = self.planned.counts()
        estimate = self._estimate(self.planned.to_send())
        duration = self._streaming(estimate)
        both = forecasts(estimate, duration, max_queued=spec.batch.max_queued)
        choice = choose(self._wish(run), *both)
        chosen = next(one for one in both if one.route is choice.route)
        price = self.price.in_batches if choice.route is Route.BATCH else self.price
        estimator = replace(self.estimator, price=price)
        worst_nusd = -(-self.planned.worst_nusd() // price.divisor)
        room_nusd = self.cap_nusd - (committed_nusd - held_nusd)
        fits = estimate.documents if chosen.estimate.upper_nusd <= room_nusd else self._fits(estimator, room_nusd)
        return Plan(
            job=spec.job.name,
            model=self.price.name,
            counts={kind: counts.get(kind, 0) for kind in Kind},
            same_text=self.planned.same_text(),
            estimate=chosen.estimate,
            duration=duration,
            unsettled_s=self._unsettled_s(duration, in_batches=counts.get(Kind.IN_BATCH, 0)),
            choice=choice,
            forecasts=both,
            deadline_s=self.deadline_s,
            committed_nusd=committed_nusd,
            held_nusd=held_nusd,
            continues=run.run_id if run else None,
            let_in=self._was_let_in(run, counts),
            cap_nusd=self.cap_nusd,
            fits=fits if committed_nusd + worst_nusd <= self.cap_nusd else 0,
            worst_nusd=worst_nusd,
            problems=self.planned.problems(limit=SHOWN_PROBLEMS),
            dearest=self._dearest(chosen.estimate),
            notes=dict(notes),
            caching=self._caching(both),
        )

    def _estimate(self, requests: Iterable[RequestTokens], estimator: Estimator | None = None) -> Estimate:
        """Of streaming the requests, to the job's own model if no other is given."""
        total = EstimateSum(estimator or self.estimator)
        for tokens in requests:
            total.add(tokens)
        return total.estimate()

    def _dearest(self, estimate: Estimate) -> Dearest | None:
        """The dearest fallback, when everything there would cost more than what is estimated."""
        uppers = [
            Dearest(rung.price.name, self._estimate(self.planned.to_send(), self._estimator_of(rung.price)).upper_nusd)
            for rung in self.ladder.rungs[1:]
        ]
        dearest = max(uppers, key=lambda one: one.upper_nusd, default=None)
        return dearest if dearest and dearest.upper_nusd > estimate.upper_nusd else None

    def _estimator_of(self, price: ModelPrice) -> Estimator:
        return replace(self.estimator, price=price, output=self._reply(price))

    def _unsettled_s(self, duration: Duration, *, in_batches: int) -> float:
        """How long streaming would take if it had to do what is in batches too."""
        if not in_batches:
            return duration.seconds
        return self._streaming(self._estimate(chain(self.planned.to_send(), self.planned.in_batches()))).seconds

    def _streaming(self, estimate: Estimate) -> Duration:
        return forecast(estimate, self.ladder.rungs[0].limits, concurrency=self.job.spec.run.most_concurrent)

    def _was_let_in(self, run: Run | None, counts: Mapping[Kind, int]) -> bool:
        if run is None or self.cap_nusd < run.cap_nusd:
            return False
        unsettled = sum(count for kind, count in counts.items() if kind.sent or kind is Kind.IN_BATCH)
        return unsettled <= self.ledger.unsettled(run.run_no)

    def _wish(self, run: Run | None) -> Wish:
        elapsed_s = time.time() - run.started_at if run else 0.0
        return Wish(
            route=self.route,
            deadline_s=self.deadline_s,
            elapsed_s=elapsed_s,
            fallback=self.job.spec.batch.fallback == "stream",
            begun=Route(run.route) if run else None,
        )

    def _fits(self, estimator: Estimator, room_nusd: int) -> int:
        """How many of the requests, from the first on, the room is enough for."""
        total = EstimateSum(estimator)

        def uppers() -> Iterator[int]:
            for tokens in self.planned.to_send():
                total.add(tokens)
                yield total.upper_nusd

        return fitting(uppers(), room_nusd=room_nusd)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to classify a document by."""

    document: KnownDocument | None
    known_request: KnownRequest | None
    """Of the rung."""
    rungs: Sequence[Request]
    """Its requests to each model of the ladder."""
    rung: int
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
