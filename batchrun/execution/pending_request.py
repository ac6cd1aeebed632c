"""A pending document with its request, and one attempt at an answer."""

from dataclasses import dataclass, field, replace
from functools import cached_property

from batchrun.answers.evidence.index import DocumentIndex
from batchrun.answers.form import AnswerForm
from batchrun.answers.progress import Progress
from batchrun.answers.turns import first_turn
from batchrun.budget.caps import Amount
from batchrun.document import Place
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.execution.retry_policy import Tries
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.stream.rate_limiter import Charge
from batchrun.execution.turn_request import turn_request
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Move, Pending
from batchrun.strategy.model_chain import ChainModel, ModelChain


@dataclass
class PendingRequest:
    """A pending document with its request, and what the request has been through."""

    record: Pending
    request: Request
    """The request to the first model of the chain. The requests to the other models follow from this one."""
    text: str | None = None
    """The part of the document in the request, when evidence is looked for in the document."""
    places: tuple[Place, ...] = ()
    """The pages, sheets and headings of `text`."""
    pdf_sha: str | None = None
    """The hash of the content of a PDF, whose passages have boxes; None for every other document."""
    shown: str | None = None
    """The body of the reply that the request's turn shows to the model."""
    model_no: int = 0
    """The first model that may still answer."""
    asked: int = 0
    """The model that was asked last."""
    tries: Tries = field(default_factory=Tries)
    """The failed attempts at the model that was asked last."""

    @property
    def tokens(self) -> RequestTokens:
        """The tokens of the document, as far as the ledger knows them."""
        return RequestTokens(self.record.counted_tokens, self.record.text_class)

    @cached_property
    def index(self) -> DocumentIndex | None:
        """The text in which quotes are looked for. None if the text is not at hand."""
        return None if self.text is None else DocumentIndex(self.text, self.places)

    def request_to(self, chain_model: ChainModel, form: AnswerForm) -> Request:
        """Return the request to a model, as the turn asks it that is due."""
        request, turn = chain_model.request(self.request), self.record.progress.turn
        return turn_request(request, chain_model, form, turn, self.shown if turn.shows else None)

    def stand_at(self, record: Pending, ledger: Ledger) -> None:
        """Take the turn that the ledger has as due, and the reply that the turn shows."""
        self.record, self.shown = record, shown_reply(record, ledger)

    def go_on(self, progress: Progress, reply: Reply, attempt_no: int) -> None:
        """Make the turn due that follows from the reply to an attempt."""
        self.record, self.tries = replace(self.record, progress=progress), Tries()
        if progress.turn.shows == attempt_no:
            self.shown = reply.raw

    def move_to(
        self, chain_model: ChainModel, form: AnswerForm, *, escalated: str | None = None, has_row: bool = False
    ) -> Move:
        """Return the move of the document to its request to another model."""
        request = chain_model.request(self.request)
        return Move(
            self.record,
            request.request_id,
            chain_model.price.name,
            escalated=escalated,
            has_row=has_row,
            first_turn=Progress(first_turn(form, {})).turn_json,
            max_tokens=request.max_tokens,
        )

    def earlier_ids(self, chain: ModelChain, model_no: int) -> list[str]:
        """Return the ids of the document's requests to the models before this one."""
        return [chain_model.request(self.request).request_id for chain_model in chain.models[:model_no]]


def shown_reply(record: Pending, ledger: Ledger) -> str | None:
    """Read the body of the reply that the turn of a request shows. Returns None if the turn shows none."""
    shows = record.progress.turn.shows
    return None if shows is None else ledger.reply(shows)


class RetryLater(Exception):
    """Raised by an attempt that is to be made again after `delay_s`."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self.delay_s = delay_s


@dataclass(slots=True)
class Attempt:
    """One attempt from its reservation to its settlement."""

    pending: PendingRequest
    channel: ModelChannel
    request: Request
    charge: Charge
    attempt_no: int
    sent_at: float
    """The time of the send by the channel's clock."""


def worst_case(estimator: Estimator, pending: PendingRequest, request: Request, *, soft: bool) -> Amount:
    """Return what is reserved before a request is sent. With `soft` caps the amount has the expected cost too."""
    body_bytes, max_tokens = len(request.body), request.max_tokens
    added_bytes = max(request.added_bytes, len(request.wire) - body_bytes)
    return Amount(
        estimator.worst_case_nusd(
            pending.tokens, body_bytes=body_bytes, max_tokens=max_tokens, added_bytes=added_bytes
        ),
        estimator.most_prompt_tokens(pending.tokens, body_bytes=body_bytes, added_bytes=added_bytes) + max_tokens,
        estimator.expected_nusd(pending.tokens) if soft else None,
    )
