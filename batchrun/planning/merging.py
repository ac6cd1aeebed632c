"""The requests that merge the answers over the parts of long documents: which are due, and how they are made."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents.split import merged_id
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.planning.plan_table import PlannedDocuments
from batchrun.planning.request_builder import Built, RequestBuilder
from batchrun.planning.selection import Selection
from batchrun.planning.weighing import CHANGED, Prepared, Wanted
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.wholes import MergingAnswer, MergingRequest, Whole, Wholes
from batchrun.strategy.model_chain import ModelChain

Prepare = Callable[[Sequence[Wanted]], Sequence[Prepared | Unreadable]]
ELSEWHERE = "(not repeated here)"
"""What the prompt has instead of a column of the document's row, from which the answers followed already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merger:
    """Makes the merging requests of one job from the answers in the ledger."""

    job: str
    builder: RequestBuilder
    """Builds requests up to the model's window, however small the parts are."""
    chain: ModelChain
    max_tokens: int
    """The job's."""
    columns: frozenset[str] = frozenset()
    """The columns that the prompt uses."""
    selection: Selection = field(default_factory=Selection)

    def expected(
        self, ledger: Ledger, planned: PlannedDocuments, estimator: Estimator, *, admitted: bool
    ) -> list[RequestTokens]:
        """Guess the sizes of the merging requests that a plan's documents bring, from the usual length of replies.

        The request counts with the last part of its document. `admitted` says whether the ledger has the parts as the
        plan has them.
        """
        wholes = Wholes(ledger, self.job)
        totals = {
            one.doc_id: one.total
            for one in planned.wholes()
            if one.has_last
            and not one.failed
            and ((one.unsettled and not admitted) or self._is_left(wholes, one.doc_id))
        }
        totals |= {one.doc_id: len(one.parts) for one in self._tried_again(wholes)}
        tokens = estimator.output.mean / estimator.factor(TextClass.CODE)
        return [RequestTokens(round(total * tokens), TextClass.CODE) for total in totals.values()]

    def due(self, ledger: Ledger, planned: PlannedDocuments) -> Iterator[tuple[Whole, MergingRequest]]:
        """Yield the merging requests that are not answered, of the plan's documents whose parts all have answers."""
        wholes = Wholes(ledger, self.job)
        chosen = (wholes.one(one.doc_id) for one in list(planned.wholes()))
        found = {one.doc_id: one for one in (*chosen, *self._tried_again(wholes)) if one and one.mergeable}
        for whole in found.values():
            of, merging = whole.merging_digest, wholes.merging(whole)
            if self._is_due(of, merging):
                yield whole, self._request(whole, of, merging, planned)

    def admit(self, ledger: Ledger, planned: PlannedDocuments, run_no: int) -> int | None:
        """Make what is due work of a run, inside a transaction.

        Returns the sequence number from which on this work begins, or None if nothing is due.
        """
        wholes = Wholes(ledger, self.job)
        seqs = [wholes.admit_merging(whole, request, run_no=run_no) for whole, request in self.due(ledger, planned)]
        return min(seqs, default=None)

    def preparing(self, ledger: Ledger, prepare: Prepare) -> Prepare:
        """Add the merging requests, which are made from the ledger, to what prepares the documents of a source."""

        def prepared(wanted: Sequence[Wanted]) -> Sequence[Prepared | Unreadable]:
            of_source = [one for one in wanted if merged_id(one.ref.doc_id) is None]
            read = iter(prepare(of_source) if of_source else ())
            return [next(read) if merged_id(one.ref.doc_id) is None else self._prepared(ledger, one) for one in wanted]

        return prepared

    def _prepared(self, ledger: Ledger, wanted: Wanted) -> Prepared | Unreadable:
        whole = Wholes(ledger, self.job).one(merged_id(wanted.ref.doc_id) or "")
        if whole is None or not whole.mergeable:
            return Unreadable(wanted.ref.doc_id, wanted.ref.source, CHANGED)
        built = self._built(whole, wanted.max_tokens)
        # Evidence is not looked for: the text has the quotes of the document, and not the document.
        return Prepared(whole.merging_digest, built.request, None, built.tokens if wanted.counts else None)

    def _built(self, whole: Whole, max_tokens: int | None) -> Built:
        columns = dict.fromkeys(self.columns, ELSEWHERE)
        return self.builder.build(
            Document(whole.doc_id, whole.source, whole.merging_text, columns), max_tokens=max_tokens
        )

    def _request(
        self, whole: Whole, of: str, merging: MergingAnswer | None, planned: PlannedDocuments
    ) -> MergingRequest:
        max_tokens = self._allowed(merging) if merging and merging.of == of else None
        built = self._built(whole, max_tokens)
        if self.builder.excess(built.tokens):
            why = f"the answers of {len(whole.parts)} parts are too long to be merged by one request"
            return MergingRequest(of, reason=f'{why}; merge = "rules" in [source] merges them without a request')
        requests = self.chain.requests(built.request)
        known = planned.known_requests(one.request_id for one in requests)
        ends = [known[one.request_id].outcome if one.request_id in known else None for one in requests]
        number = self.chain.current_model([None if end in self.selection.again else end for end in ends], at=None)
        return MergingRequest(
            of,
            max_tokens=max_tokens,
            request_id=requests[number].request_id,
            model=self.chain.models[number].price.name,
            tokens=built.tokens,
            asks_for=requests[number].max_tokens,
            again=ends[number] in self.selection.again,
        )

    def _allowed(self, merging: MergingAnswer) -> int | None:
        """Give the `max_tokens` of a request that is made again: more than before, if the answer was truncated."""
        if merging.outcome is not Outcome.TRUNCATED or Outcome.TRUNCATED not in self.selection.again:
            return merging.max_tokens
        doubled = self.selection.max_tokens or 2 * (merging.max_tokens or self.max_tokens)
        allowed = min(doubled, self.chain.models[0].price.max_output_tokens)
        return allowed if allowed != self.max_tokens else None

    def _is_due(self, of: str, merging: MergingAnswer | None) -> bool:
        again = self.selection.again
        return merging is None or merging.of != of or merging.outcome is None or merging.outcome in again

    def _is_left(self, wholes: Wholes, doc_id: str) -> bool:
        """Whether a document with answered parts is still to be merged, or has parts that the ledger does not know."""
        whole = wholes.one(doc_id)
        return whole is None or not whole.mergeable or self._is_due(whole.merging_digest, wholes.merging(whole))

    def _tried_again(self, wholes: Wholes) -> list[Whole]:
        """List the documents whose merging request has failed and is selected by `retry`."""
        again = self.selection.again
        found = map(wholes.one, wholes.failed_merging(again)) if again else ()
        return [
            one for one in found if one and one.mergeable and self.selection.takes(DocumentRef(one.doc_id, one.source))
        ]
