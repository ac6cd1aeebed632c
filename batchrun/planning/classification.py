"""The way from weighed documents to rows of the plan: requests are looked up in the ledger, and classified."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from batchrun.budget.cap_text import too_dear
from batchrun.budget.caps import Amount, Caps
from batchrun.document import DocumentRef
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.job.spec import JobSpec
from batchrun.outcome import Outcome
from batchrun.planning.cascade_history import known_answers, violating_requests
from batchrun.planning.earlier_answers import EarlierAnswers, Known, asks_beyond, asks_of
from batchrun.planning.ledger_lookups import KnownDocument, KnownRequest, known_documents, known_requests
from batchrun.planning.plan_rows import Asks, PlanColumns, Planned, columns_of
from batchrun.planning.quick_rows import QuickRows, asked_json
from batchrun.planning.request_builder import RequestBuilder
from batchrun.planning.selection import Selection
from batchrun.planning.weighing import EMPTY, Asked, Page, Prepare, Prepared, Wanted, Weighed
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.cascade_rules import UNMET
from batchrun.strategy.model_chain import ChainModel, ModelChain
from batchrun.strategy.plan import Kind


@dataclass(frozen=True, slots=True)
class KnownPage:
    """What the ledger knows of the documents of a page and of their requests."""

    documents: Mapping[str, KnownDocument]
    """The known documents, by document id."""
    requests: Mapping[str, KnownRequest]
    """The known requests, by request id."""
    violating: AbstractSet[str]
    """The ids of requests that have an answer which the cascade does not take."""
    kept: Mapping[str, Known]
    """What new requests keep of the answers to other requests, by the id of the other request."""

    def end_of(self, request_id: str) -> str | None:
        """Say how a request ended, as far as that decides which model is asked. Returns None if it has not ended."""
        if request_id in self.violating:
            return UNMET
        return self.requests[request_id].outcome if request_id in self.requests else None


@dataclass(frozen=True, slots=True)
class CurrentRequest:
    """The request that a document stands for: its request to one model of the chain."""

    model_no: int
    request_id: str
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
    chain: ModelChain, asked: Asked, document: KnownDocument | None, known: KnownPage
) -> CurrentRequest:
    """Find the request that a document stands for, among its requests to each model."""
    ids = [request_id for request_id, _, _ in asked]
    at = ids.index(document.request_id) if document and document.request_id in ids else None
    model_no = chain.current_model([known.end_of(one) for one in ids], at=at)
    return CurrentRequest(model_no, ids[model_no], known.requests.get(ids[model_no]), made_before=at is not None)


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


def worst_amount(estimator: Estimator, models: Sequence[ChainModel], requests: Asked, tokens: RequestTokens) -> Amount:
    """Find the most that the request to any of these models may take; `requests` has a request to each model."""
    nusd, used = 0, 0
    for model, (_, max_tokens, size) in zip(models, requests, strict=True):
        own = estimator if model.price is estimator.price else replace(estimator, price=model.price)
        nusd = max(nusd, own.worst_case_nusd(tokens, body_bytes=size, max_tokens=max_tokens))
        used = max(used, own.most_prompt_tokens(tokens, body_bytes=size) + max_tokens)
    return Amount(nusd, used)


@dataclass(slots=True, kw_only=True)
class PageClassifier:
    """Makes the rows of one plan, from the weighed documents of a shard at a time."""

    spec: JobSpec
    ledger: Ledger
    settings: str
    """The digest of everything in the job that decides what becomes of a document with the same bytes."""
    chain: ModelChain
    builder: RequestBuilder
    estimator: Estimator
    caps: Caps
    in_batches: bool
    """Whether requests certainly go by batch."""
    prepare: Prepare
    earlier: EarlierAnswers
    """The answers that documents have to other requests."""
    rereads: bool
    """Whether documents are sent again that an older reader read."""
    reasks_all: bool
    """Whether documents are asked for all fields again, whatever is answered."""

    def columns(self, numbers: Sequence[int], page: Page, selection: Selection) -> Iterator[PlanColumns]:
        """Make the rows of a page: at once where they need no judgement, and the other rows one by one."""
        left: Sequence[int] = range(page.number)
        if not selection.again:
            quick, left = self._quick.rows(numbers, page)
            yield from quick
        if left:
            some = [(numbers[at], Weighed._make([column[at] for column in page.columns])) for at in left]
            yield columns_of(self.rows(some, selection))

    @property
    def _quick(self) -> QuickRows:
        rules = self.chain.acceptance_rules
        return QuickRows(
            ledger=self.ledger,
            job=self.spec.job.name,
            chain=self.chain,
            asks=self.earlier.from_the_start,
            judges=rules is not None and bool(rules.words),
        )

    def rows(self, page: Sequence[tuple[int, Weighed]], selection: Selection) -> list[Planned]:
        """Make the rows of documents, which are given with their numbers in the plan.

        `retry` leaves out documents that did not end in one of the outcomes that it names.
        """
        documents = known_documents(
            self.ledger,
            self.spec.job.name,
            (one.doc_id for _, one in page),
            settings=self.settings,
            fingerprint=self.builder.fingerprint,
        )
        if selection.again:
            again = {doc_id for doc_id, document in documents.items() if document.outcome in selection.again}
            page = [(number, one) for number, one in page if one.doc_id in again]
        asked = {number: self._asked(one, documents.get(one.doc_id), selection) for number, one in page if one.asked}
        known = KnownPage(
            documents,
            known_requests(self.ledger, (request_id for each in asked.values() for request_id, _, _ in each)),
            self._violating([(one, asked[number]) for number, one in page if one.asked]),
            {} if self.reasks_all else self.earlier.kept(documents.values()),
        )
        return [self._row(number, one, asked.get(number), known, selection) for number, one in page]

    def _row(
        self, number: int, weighed: Weighed, asked: Asked | None, known: KnownPage, selection: Selection
    ) -> Planned:
        document = known.documents.get(weighed.doc_id)
        if document and self._keeps(weighed, document, selection):
            return kept_row(number, weighed, document)
        if asked is None:
            return self._unsendable(number, weighed)
        return self._sendable(number, weighed, asked, known, selection)

    def _keeps(self, weighed: Weighed, known: KnownDocument, selection: Selection) -> bool:
        """Whether a settled document keeps its request although a newer reader finds another text in the same bytes."""
        if known.request_id is None or not known.same_settings:
            return False
        if known.content_sha == weighed.content_sha or self.rereads or selection.again:
            return False
        same_bytes = known.bytes_sha != "" and known.bytes_sha == weighed.bytes_sha
        read_as_text_before = not known.reader and known.content_sha == weighed.plain_sha
        settled = known.outcome not in {None, Outcome.SKIPPED, Outcome.UNREADABLE}
        return settled and (same_bytes or read_as_text_before)

    def _asked(self, weighed: Weighed, known: KnownDocument | None, selection: Selection) -> Asked:
        """Choose among a document's requests, which differ in their `max_tokens`."""
        if known is None or len(weighed.asked) == 1:
            return weighed.asked[0]
        by_max_tokens = {each[0][1]: each for each in reversed(weighed.asked)}
        most, own = self.chain.models[0].price.max_output_tokens, self.spec.model.max_tokens
        max_tokens = allowed_max_tokens(known, selection, own=own, most=most)
        if known.content_sha == weighed.content_sha and max_tokens is None and stays_answered(known, own=own):
            kept = by_max_tokens.get(known.asked_for or 0, ())
            if known.request_id in [request_id for request_id, _, _ in kept]:
                return kept
        return by_max_tokens[own if max_tokens is None else max_tokens]

    def _violating(self, page: Sequence[tuple[Weighed, Asked]]) -> AbstractSet[str]:
        rules = self.chain.acceptance_rules
        if rules is None or not rules.words:
            return frozenset()
        answered = known_answers(self.ledger, [asked for _, asked in page])
        doubtful = [(one, asked) for one, asked in page if any(request_id in answered for request_id, _, _ in asked)]
        texts = self._texts([one for one, _ in doubtful]) if rules.evidence else [None] * len(doubtful)
        asked_of = ([request_id for request_id, _, _ in asked[:-1]] for _, asked in doubtful)
        return violating_requests(rules, answered, zip(asked_of, texts, strict=True))

    def _texts(self, documents: Sequence[Weighed]) -> list[str | None]:
        """Read again what requests have of documents: evidence for known answers is looked for there."""
        wanted = [Wanted(DocumentRef(one.doc_id, one.source, one.place), counts=False) for one in documents]
        return [found.text if isinstance(found, Prepared) else None for found in self.prepare(wanted)]

    def _unsendable(self, number: int, weighed: Weighed) -> Planned:
        source, is_empty = self.spec.source, weighed.problem == EMPTY
        kind, wish = (Kind.EMPTY, source.on_empty) if is_empty else (Kind.UNREADABLE, source.on_unreadable)
        outcome = Outcome.SKIPPED if wish == "skip" else Outcome.UNREADABLE
        return left_out(number, weighed, kind, outcome, weighed.problem)

    def _sendable(
        self, number: int, weighed: Weighed, asked: Asked, known_page: KnownPage, selection: Selection
    ) -> Planned:
        known = known_page.documents.get(weighed.doc_id)
        current = current_request(self.chain, asked, known, known_page)
        tokens = current.known.tokens if current.known else weighed.tokens
        if too_large := self._too_large(number, weighed, asked, current, tokens):
            return too_large
        models, requests = self.chain.models[current.model_no :], asked[current.model_no :]
        kind, asks = self._asks(kind_of(known, current, selection), weighed, current, known_page)
        max_tokens = asked[0][1]
        worst = worst_amount(self.estimator, models, requests, tokens) if tokens and kind.sent else None
        return row_of(number, weighed, kind)._replace(
            known_outcome=(known.outcome if known else None) or current.outcome,
            request_id=current.request_id,
            model=models[0].price.name,
            max_tokens=max_tokens if max_tokens != self.spec.model.max_tokens else None,
            asks_for=requests[0][1],
            bytes=weighed.size,
            counted_tokens=tokens.counted if tokens else None,
            guessed=tokens is not None and tokens.guessed,
            text_class=tokens.text_class if tokens else weighed.text_class,
            worst_nusd=worst.nusd if worst else None,
            worst_tokens=worst.tokens if worst else None,
            same_text=known is not None and known.content_sha == weighed.content_sha,
            asked=asked_json(self.chain, asked),
            markup=weighed.markup,
            asks=asks,
        )

    def _asks(self, kind: Kind, weighed: Weighed, current: CurrentRequest, known: KnownPage) -> tuple[Kind, Asks]:
        """Decide what a request asks that is sent, and whether an earlier answer leaves nothing to be asked."""
        document, form = known.documents.get(weighed.doc_id), self.earlier.form
        if not kind.sent:
            return kind, Asks()
        if current.known and not self.reasks_all:
            return kind, asks_of(form, current.known.progress)
        earlier = known.kept.get(document.request_id or "") if document else None
        if document and earlier and document.content_sha == weighed.content_sha:
            asks = asks_beyond(form, earlier)
            return (Kind.REUSABLE if asks.answer else kind), asks
        return kind, self.earlier.from_the_start

    def _too_large(
        self, number: int, weighed: Weighed, asked: Asked, current: CurrentRequest, tokens: RequestTokens | None
    ) -> Planned | None:
        """Leave out a document that is too large, or whose first attempt may cost more than a document's cap."""
        if tokens is None or current.outcome is not None:
            return None
        on_oversize = self.spec.source.on_oversize
        native_excess = self.builder.native_excess(weighed.text_class, weighed.pages, asked[0][2])
        if excess := native_excess or self.builder.excess(tokens):
            outcomes = {"skip": Outcome.SKIPPED, "truncate": Outcome.UNREADABLE, "split": Outcome.UNREADABLE}
            return left_out(number, weighed, Kind.TOO_LARGE, outcomes.get(on_oversize), excess)
        if not current.in_batch and (excess := self._too_dear(asked, current, tokens)):
            outcome = None if on_oversize == "refuse" else Outcome.SKIPPED
            return left_out(number, weighed, Kind.TOO_LARGE, outcome, excess)
        return None

    def _too_dear(self, asked: Asked, current: CurrentRequest, tokens: RequestTokens) -> str | None:
        if self.caps.document is None:
            return None
        model = self.chain.models[current.model_no]
        if self.in_batches:
            model = replace(model, price=model.price.in_batches)
        amount = worst_amount(self.estimator, [model], asked[current.model_no : current.model_no + 1], tokens)
        return too_dear(self.caps.document, amount.nusd)


def kept_row(number: int, weighed: Weighed, known: KnownDocument) -> Planned:
    """Make the row of a document that stays as the ledger has it, with the text that an older reader found."""
    kind = Kind.REUSABLE if known.outcome is Outcome.SUCCEEDED else Kind.FAILED
    return row_of(number, weighed, kind)._replace(
        content_sha=known.content_sha,
        known_outcome=known.outcome,
        request_id=known.request_id,
        max_tokens=known.max_tokens,
        asks_for=known.asked_for,
        same_text=True,
        reader=known.reader,
        older=True,
    )


def left_out(number: int, weighed: Weighed, kind: Kind, outcome: Outcome | None, reason: str | None) -> Planned:
    """Make the row of a document that is not sent."""
    return row_of(number, weighed, kind)._replace(reason=reason, outcome=outcome)


def row_of(number: int, weighed: Weighed, kind: Kind) -> Planned:
    """Make a row with what is known of a document before its request is."""
    return Planned(
        number,
        weighed.doc_id,
        weighed.source,
        weighed.place,
        weighed.content_sha,
        kind,
        note=weighed.note,
        pages=weighed.pages,
        reader=weighed.reader,
        bytes_sha=weighed.bytes_sha,
        source_columns=weighed.source_columns,
        whole=weighed.whole,
    )
