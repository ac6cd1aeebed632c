"""The requests that merge the answers over the parts of long documents: which are due, and how they are made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from batchrun.answers.form import AnswerForm
from batchrun.answers.merging_text import PREFACE
from batchrun.document import Document, Unreadable
from batchrun.documents.split import merged_id
from batchrun.outcome import Outcome
from batchrun.planning.ledger_lookups import known_requests
from batchrun.planning.planned_wholes import planned_whole, planned_wholes
from batchrun.planning.request_builder import Built, RequestBuilder
from batchrun.planning.selection import Selection
from batchrun.planning.weighing import CHANGED, Prepare, Prepared, Wanted
from batchrun.request import Request
from batchrun.store.ledger.forms import form_number
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.wholes import MergingAnswer, MergingRequest, Whole, Wholes
from batchrun.strategy.model_chain import ModelChain

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
    form: AnswerForm
    prompt_sha: str
    """The hash of all that requests have beside their document and the form."""
    columns: frozenset[str] = frozenset()
    """The columns that the prompt uses."""
    selection: Selection = field(default_factory=Selection)

    def expected(self, ledger: Ledger, *, admitted: bool) -> list[int]:
        """List the merging requests that the plan's documents bring, each by how many answers it merges.

        The request counts with the last part of its document, or with any part that is tried again. `admitted` says
        whether the ledger has the parts as the plan has them.
        """
        wholes = Wholes(ledger, self.job)
        expected = [
            one.total
            for one in planned_wholes(ledger)
            if not one.failed
            and (
                (one.has_last or self.selection.again)
                if one.unsettled and not admitted
                else self._is_left(ledger, wholes.one(one.doc_id) if admitted else planned_whole(ledger, one.doc_id))
            )
        ]
        # Those that `retry` selects are not in its plan, which has the documents of the source that failed.
        again = map(wholes.one, self._tried_again(wholes))
        return expected + [len(whole.parts) for whole in again if whole and whole.mergeable]

    def anything_due(self, ledger: Ledger) -> bool:
        """Whether `admit` would change the ledger, be it by an answer that is there already."""
        return next(self._due(ledger), None) is not None

    def admit(self, ledger: Ledger, run_no: int) -> int | None:
        """Make what is due work of a run, inside a transaction.

        Returns the sequence number from which on this work begins, or None if nothing is due.
        """
        wholes = Wholes(ledger, self.job)
        for one in planned_wholes(ledger):
            if not ((whole := wholes.one(one.doc_id)) and whole.mergeable):
                wholes.forget_pending(one.doc_id)
        requests = [(whole, self._request(ledger, whole, merging)) for whole, merging in self._due(ledger)]
        form_no = form_number(ledger, self.form, prompt_sha=self.prompt_sha) if requests else None
        seqs = [
            wholes.admit_merging(whole, replace(request, form_no=form_no), run_no=run_no) for whole, request in requests
        ]
        return min(seqs, default=None)

    def _due(self, ledger: Ledger) -> Iterator[tuple[Whole, MergingAnswer | None]]:
        """Yield the plan's documents whose parts all have answers, if no request has merged just these answers."""
        wholes = Wholes(ledger, self.job)
        doc_ids = [*self._tried_again(wholes), *(one.doc_id for one in planned_wholes(ledger))]
        for whole in map(wholes.one, dict.fromkeys(doc_ids)):
            if whole and whole.mergeable:
                merging = wholes.merging(whole)
                if self._is_due(whole, merging):
                    yield whole, merging

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
        return Prepared(whole.merging_digest, built.request, None, (), built.tokens if wanted.counts else None)

    def _built(self, whole: Whole, max_tokens: int | None) -> Built:
        columns = dict.fromkeys(self.columns, ELSEWHERE)
        answers = whole.merging_text.removeprefix(PREFACE)
        document = Document(whole.doc_id, whole.source, answers, columns, preface=PREFACE)
        return self.builder.build(document, max_tokens=max_tokens)

    def _request(self, ledger: Ledger, whole: Whole, merging: MergingAnswer | None) -> MergingRequest:
        of = whole.merging_digest
        max_tokens = self._allowed(merging) if merging and merging.of == of else None
        built = self._built(whole, max_tokens)
        if self.builder.excess(built.tokens):
            why = f"the answers of {len(whole.parts)} parts are too long to be merged by one request"
            return MergingRequest(of, reason=f'{why}; merge = "rules" in [source] merges them without a request')
        requests = self.chain.requests(built.request)
        number, outcome = self._current(ledger, requests)
        return MergingRequest(
            of,
            max_tokens=max_tokens,
            request_id=requests[number].request_id,
            model=self.chain.models[number].price.name,
            tokens=built.tokens,
            asks_for=requests[number].max_tokens,
            again=outcome in self.selection.again,
        )

    def _current(self, ledger: Ledger, requests: Sequence[Request]) -> tuple[int, Outcome | None]:
        """Find the model whose request counts, by its number in the chain, and how this request has ended."""
        known = known_requests(ledger, (one.request_id for one in requests))
        ends = [known[one.request_id].outcome if one.request_id in known else None for one in requests]
        number = self.chain.current_model([None if end in self.selection.again else end for end in ends], at=None)
        return number, ends[number]

    def _allowed(self, merging: MergingAnswer) -> int | None:
        """Give the `max_tokens` of a request that is made again: more than before, if the answer was truncated."""
        if merging.outcome is not Outcome.TRUNCATED or Outcome.TRUNCATED not in self.selection.again:
            return merging.max_tokens
        doubled = self.selection.max_tokens or 2 * (merging.max_tokens or self.max_tokens)
        allowed = min(doubled, self.chain.models[0].price.max_output_tokens)
        return allowed if allowed != self.max_tokens else None

    def _is_due(self, whole: Whole, merging: MergingAnswer | None) -> bool:
        if merging is None or merging.outcome is None or merging.outcome in self.selection.again:
            return True
        return merging.of != whole.merging_digest

    def _is_left(self, ledger: Ledger, whole: Whole | None) -> bool:
        """Whether a request is still to be sent for a document that has no part to send."""
        if whole is None or not whole.mergeable:
            return whole is not None and not whole.settled
        merging = Wholes(ledger, self.job).merging(whole)
        if not self._is_due(whole, merging):
            return False
        max_tokens = merging.max_tokens if merging and merging.of == whole.merging_digest else None
        _, outcome = self._current(ledger, self.chain.requests(self._built(whole, max_tokens).request))
        return outcome is None or outcome in self.selection.again

    def _tried_again(self, wholes: Wholes) -> list[str]:
        """List the documents whose merging request has failed and is selected by `retry`."""
        again = self.selection.again
        failed = wholes.failed_merging(again) if again else ()
        return [ref.doc_id for ref in failed if self.selection.takes(ref)]
