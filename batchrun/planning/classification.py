"""The way from documents to rows of the plan: each request is named, looked up in the ledger, and classified."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from batchrun.budget.cap_text import too_dear
from batchrun.budget.caps import Amount, Caps
from batchrun.document import Document, Unreadable
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.estimation.sampling import COUNTED_AT_ONCE
from batchrun.job.spec import JobSpec
from batchrun.outcome import Outcome
from batchrun.planning.cascade_history import violating_requests
from batchrun.planning.plan_table import KnownDocument, KnownRequest, Planned, PlannedDocuments
from batchrun.planning.request_builder import Built, ChainRequests, RequestBuilder
from batchrun.planning.selection import Selection
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.cascade_rules import UNMET
from batchrun.strategy.model_chain import ChainModel, ModelChain
from batchrun.strategy.plan import Kind

Found = Document | Unreadable


@dataclass(frozen=True, slots=True)
class KnownPage:
    """What the ledger knows of the documents of a page and of their requests."""

    documents: Mapping[str, KnownDocument]
    """The known documents, by document id."""
    requests: Mapping[str, KnownRequest]
    """The known requests, by request id."""
    violating: AbstractSet[str]
    """The ids of requests that have an answer which the cascade does not take."""

    def end_of(self, request_id: str) -> str | None:
        """Say how a request ended, as far as that decides which model is asked. Returns None if it has not ended."""
        if request_id in self.violating:
            return UNMET
        return self.requests[request_id].outcome if request_id in self.requests else None


@dataclass(frozen=True, slots=True)
class CurrentRequest:
    """The request that a document stands for: its request to one model of the chain."""

    model_no: int
    request: Request
    known: KnownRequest | None
    """What the ledger knows of this request."""
    made_before: bool
    """Whether the job has made one of the document's requests, to whichever model, before."""

    @property
    def outcome(self) -> Outcome | None:
        """How the request ended, for whichever document and job it was made."""
        return self.known.outcome if self.known else None

    @property
    def in_batch(self) -> bool:
        """Whether the request is in a batch that has not ended."""
        return self.known is not None and self.known.in_batch


def current_request(
    chain: ModelChain, requests: Sequence[Request], document: KnownDocument | None, known: KnownPage
) -> CurrentRequest:
    """Find the request that a document stands for, among its requests to each model."""
    ids = [request.request_id for request in requests]
    at = ids.index(document.request_id) if document and document.request_id in ids else None
    model_no = chain.current_model([known.end_of(one) for one in ids], at=at)
    return CurrentRequest(model_no, requests[model_no], known.requests.get(ids[model_no]), made_before=at is not None)


def kind_of(document: KnownDocument | None, current: CurrentRequest, selection: Selection) -> Kind:
    """Return the kind of a document that can be sent, by what the ledger knows of the document and its request."""
    seen = document is not None and document.request_id is not None
    if current.outcome is Outcome.SUCCEEDED:
        return Kind.REUSABLE
    if document is not None and document.outcome in selection.again:
        return Kind.RETRY
    if current.outcome is not None:
        return Kind.FAILED
    if current.in_batch:
        return Kind.IN_BATCH
    if seen and not current.made_before:
        return Kind.CHANGED
    return Kind.UNFINISHED if seen else Kind.NEW


def allowed_max_tokens(known: KnownDocument | None, selection: Selection, *, own: int, most: int) -> int | None:
    """Give the `max_tokens` that a truncated document is allowed. Returns None while that is not more than the job's.

    `own` is the job's, and `most` is what the model can write.
    """
    if known is None:
        return None
    allowed = known.max_tokens or own
    if known.outcome is Outcome.TRUNCATED and Outcome.TRUNCATED in selection.again:
        allowed = min(selection.max_tokens or 2 * allowed, most)
    return allowed if allowed > own else None


def stays_answered(known: KnownDocument, *, own: int) -> bool:
    """Whether a document's request stands although the job allows longer answers now: its answer cannot differ.

    The answer ended by itself, below a lower `max_tokens`, or is still to come from a batch. `own` is the job's.
    """
    ended_by_itself = known.outcome in {Outcome.SUCCEEDED, Outcome.INVALID, Outcome.REFUSED}
    return known.asked_for is not None and known.asked_for < own and (ended_by_itself or known.in_batch)


def worst_amount(
    estimator: Estimator, models: Sequence[ChainModel], requests: Sequence[Request], tokens: RequestTokens
) -> Amount:
    """Find the most that the request to any of these models may take; `requests` has a request to each model."""
    nusd, used = 0, 0
    for model, request in zip(models, requests, strict=True):
        own, size = replace(estimator, price=model.price), len(request.body)
        nusd = max(nusd, own.worst_case_nusd(tokens, body_bytes=size, max_tokens=request.max_tokens))
        used = max(used, own.most_prompt_tokens(tokens, body_bytes=size) + request.max_tokens)
    return Amount(nusd, used)


@dataclass(slots=True, kw_only=True)
class PageClassifier:
    """Makes the rows of one plan, a page of documents at a time."""

    spec: JobSpec
    ledger: Ledger
    planned: PlannedDocuments
    chain: ModelChain
    builder: RequestBuilder
    estimator: Estimator
    caps: Caps
    in_batches: bool
    """Whether requests certainly go by batch."""
    exact: bool
    """Whether every document is counted."""
    _counted_bytes: int = 0

    def rows(self, page: Sequence[Found], selection: Selection) -> list[Planned]:
        """Make the rows of a page; `retry` leaves out documents that did not end in one of the outcomes it names."""
        documents = self.planned.known_documents(found.doc_id for found in page)
        if selection.again:
            page = [one for one in page if one.doc_id in documents and documents[one.doc_id].outcome in selection.again]
        asked = {
            found.doc_id: self._requests(found, documents.get(found.doc_id), selection)
            for found in page
            if isinstance(found, Document) and found.text.strip()
        }
        request_ids = {request.request_id for one in asked.values() for request in one.to_each_model}
        known = KnownPage(
            documents,
            self.planned.known_requests(request_ids),
            violating_requests(self.ledger, self.chain.acceptance_rules, asked.values()),
        )
        return [
            self._sendable(found, asked[found.doc_id], known, selection)
            if isinstance(found, Document) and found.doc_id in asked
            else self._unsendable(found)
            for found in page
        ]

    def _requests(self, document: Document, known: KnownDocument | None, selection: Selection) -> ChainRequests:
        most, own = self.chain.models[0].price.max_output_tokens, self.spec.model.max_tokens
        max_tokens = allowed_max_tokens(known, selection, own=own, most=most)
        same_text = known is not None and known.content_sha == document.content_sha
        if known and same_text and max_tokens is None and stays_answered(known, own=own):
            kept = self._asked(document, known.asked_for)
            if known.request_id in {request.request_id for request in kept.to_each_model}:
                return kept
        return self._asked(document, max_tokens)

    def _asked(self, document: Document, max_tokens: int | None) -> ChainRequests:
        built = self.builder.build(document, max_tokens=max_tokens)
        return ChainRequests(built, self.chain.requests(built.request))

    def _unsendable(self, found: Found) -> Planned:
        if isinstance(found, Unreadable):
            return Planned(doc_id=found.doc_id, source=found.source, content_sha="", kind=Kind.UNREADABLE,
                           outcome=Outcome.UNREADABLE, reason=found.reason)  # fmt: skip
        outcome = Outcome.SKIPPED if self.spec.source.on_empty == "skip" else Outcome.UNREADABLE
        return left_out(found, Kind.EMPTY, outcome, "the document is empty")

    def _sendable(
        self, document: Document, asked: ChainRequests, known_page: KnownPage, selection: Selection
    ) -> Planned:
        known = known_page.documents.get(document.doc_id)
        current = current_request(self.chain, asked.to_each_model, known, known_page)
        tokens = current.known.tokens if current.known else self._counted(asked.built)
        if too_large := self._too_large(document, current, tokens):
            return too_large
        models, requests = self.chain.models[current.model_no :], asked.to_each_model[current.model_no :]
        max_tokens = asked.built.request.max_tokens
        worst = worst_amount(self.estimator, models, requests, tokens) if tokens else None
        return Planned(
            doc_id=document.doc_id,
            source=document.source,
            content_sha=document.content_sha,
            kind=kind_of(known, current, selection),
            known_outcome=(known.outcome if known else None) or current.outcome,
            request_id=current.request.request_id,
            model=models[0].price.name,
            max_tokens=max_tokens if max_tokens != self.spec.model.max_tokens else None,
            asks_for=current.request.max_tokens,
            size=asked.built.size,
            tokens=tokens,
            worst_nusd=worst.nusd if worst else None,
            worst_tokens=worst.tokens if worst else None,
            same_text=known is not None and known.content_sha == document.content_sha,
            asked={
                request.request_id: model.price.name
                for model, request in zip(self.chain.models, asked.to_each_model, strict=True)
            },
        )

    def _counted(self, built: Built) -> RequestTokens | None:
        """Count the first documents, and documents that may be too large; the other documents are left to a sample."""
        exact = self.exact or self.caps.document is not None
        if not exact and self._counted_bytes >= COUNTED_AT_ONCE and not self.builder.may_exceed(built.size):
            return None
        self._counted_bytes += built.size.bytes
        return built.tokens

    def _too_large(self, document: Document, current: CurrentRequest, tokens: RequestTokens | None) -> Planned | None:
        """Leave out a document that is too large, or whose first attempt may cost more than a document's cap."""
        if tokens is None or current.outcome is not None:
            return None
        on_oversize = self.spec.source.on_oversize
        if excess := self.builder.excess(tokens):
            outcomes = {"skip": Outcome.SKIPPED, "truncate": Outcome.UNREADABLE}
            return left_out(document, Kind.TOO_LARGE, outcomes.get(on_oversize), excess)
        if not current.in_batch and (excess := self._too_dear(current, tokens)):
            return left_out(document, Kind.TOO_LARGE, None if on_oversize == "refuse" else Outcome.SKIPPED, excess)
        return None

    def _too_dear(self, current: CurrentRequest, tokens: RequestTokens) -> str | None:
        if self.caps.document is None:
            return None
        model = self.chain.models[current.model_no]
        if self.in_batches:
            model = replace(model, price=model.price.in_batches)
        return too_dear(self.caps.document, worst_amount(self.estimator, [model], [current.request], tokens).nusd)


def left_out(document: Document, kind: Kind, outcome: Outcome | None, reason: str) -> Planned:
    """Make the row of a document that is not sent."""
    return Planned(
        doc_id=document.doc_id,
        source=document.source,
        content_sha=document.content_sha,
        kind=kind,
        outcome=outcome,
        reason=reason,
    )
