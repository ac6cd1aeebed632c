"""What a run needs to send documents, apart from what every run has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.answers.form import AnswerForm
from batchrun.budget.caps import Caps
from batchrun.catalog.price import ModelPrice
from batchrun.estimation.estimate import Estimator
from batchrun.estimation.reply_length import ReplyLength
from batchrun.execution.document_marking import DocumentMarking
from batchrun.execution.document_reader import DocumentReader
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.request import Ttl
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.prompt_caching import longest
from batchrun.strategy.routes import Route

if TYPE_CHECKING:
    from batchrun.leases.client import Leases


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSetup:
    """What is needed to send documents. A run that only brings open batches to their ends has no setup."""

    route: Route
    reader: DocumentReader
    estimator: Estimator
    """The estimator of the first model, at the prices of streaming."""
    chain: ModelChain
    concurrency: int
    """The most requests to one model at a time."""
    caps: Caps
    form: AnswerForm
    folder: Path
    """The folder of the spool of a batch."""
    max_at_risk_nusd: int | None = None
    """The most that streamed requests in flight may cost together; None means any amount."""
    leases: "Leases | None" = None
    """Who grants parts of the caps that several hosts share. None if no other host shares a cap."""
    killed_before: bool = False
    """Whether a process of this run was killed while requests were in flight."""
    merge: Callable[[Ledger, int], int | None] | None = None
    """Admits to a run, by its number, the requests that merge the answers over the parts of documents.

    Returns the sequence number from which on they begin, or None if there are none. The caller has begun the
    transaction. None if no request merges answers.
    """
    switch_at: float | None = None
    """When the rest of the batched documents is streamed, to be done by the deadline. None means never."""
    cache_breakpoints: Mapping[Route, CacheBreakpoint] = field(default_factory=dict)
    """The breakpoint for the prompt cache on each route that has one."""
    document_ttls: Mapping[Route, Ttl] = field(default_factory=dict)
    """For how long documents are marked that several turns ask about, on each route on which they are marked."""

    def estimator_on(self, route: Route, price: ModelPrice) -> Estimator:
        """Return the estimator of a model on a route. A cache breakpoint makes the worst case higher."""
        cache_breakpoint, document_ttl = self.cache_breakpoints.get(route), self.document_ttls.get(route)
        reply = ReplyLength(self.estimator.output, self.estimator.output_scatter)
        ttl = longest(cache_breakpoint.ttl if cache_breakpoint else None, document_ttl)
        return replace(self.estimator.of(price, reply), ttl=ttl, marks_documents=document_ttl is not None)

    def document_marking(self, route: Route, price: ModelPrice) -> DocumentMarking | None:
        """Return how documents are marked for the prompt cache. Returns None if they are not marked."""
        ttl = self.document_ttls.get(route)
        return DocumentMarking.to(self.estimator_on(route, price), self.form, ttl) if ttl else None
