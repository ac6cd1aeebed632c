"""Rows of the plan that need no judgement: of documents new to the ledger, and of answered documents as they were.

The rows are made from columns. `PageClassifier.rows` makes the same rows, one by one, of whatever documents there are.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.outcome import Outcome
from batchrun.planning.plan_rows import Asks, PlanColumns
from batchrun.planning.weighing import Asked, Page, Weighed
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.plan import Kind

KNOWN_DOCUMENTS = """
select j.key, d.doc_id, d.content_sha, r.request_id, d.outcome is null and r.outcome = 'succeeded',
    r.counted_tokens, coalesce(r.guessed, 0), r.text_class
from json_each(?) j cross join documents d on d.job = ? and d.doc_id = j.value left join requests r using (request_no)
"""
KNOWN_REQUESTS = "select value from json_each(?) where exists (select 1 from requests where request_id = value)"
SAME = (
    "doc_id", "source", "place", "content_sha", "note", "pages", "reader", "bytes_sha", "source_columns", "whole",
    "markup",
)  # fmt: skip
"""The columns that a row has from its weighed document as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickRows:
    """Makes rows of one plan."""

    ledger: Ledger
    job: str
    chain: ModelChain
    asks: Asks
    """What a request asks of which nothing is answered."""
    judges: bool
    """Whether answers are held against rules, so that answered documents need judgement."""

    def rows(self, numbers: Sequence[int], page: Page) -> tuple[list[PlanColumns], list[int]]:
        """Make what rows can be made. Returns these rows, and where the other documents stand in the page."""
        if not page.number:
            return [], []
        columns: Any = Weighed._make(page.columns)
        known, answered = self._known(columns)
        uncounted = [at for at, one in enumerate(columns.counted) if one is None and columns.asked[at]]
        new = self._new([at for at in uncounted if at not in known] if known else uncounted, columns)
        quick = list[PlanColumns]()
        if new:
            own: dict[str, Any] = {"text_class": [columns.text_class[at].value for at in new]}
            own |= {name: [value] * len(new) for name, value in self.asks._asdict().items()}
            quick.append(self._rows(Kind.NEW, new, numbers, columns) | own)
        if answered:
            names = "counted_tokens", "guessed", "text_class"
            own = {name: [tokens[at] for tokens in answered.values()] for at, name in enumerate(names)}
            own |= {"known_outcome": [Outcome.SUCCEEDED.value] * len(answered), "same_text": [1] * len(answered)}
            quick.append(self._rows(Kind.REUSABLE, list(answered), numbers, columns) | own)
        if len(new) + len(answered) == page.number:
            return quick, []
        made = answered.keys() | set(new)
        return quick, [at for at in range(page.number) if at not in made]

    def _known(self, columns: Any) -> tuple[set[int], dict[int, Sequence[Any]]]:
        """Find the documents that the job knows, and the tokens of those that are answered and as they were."""
        known, answered = set(), {}
        values = json.dumps(columns.doc_id), self.job
        for at, doc_id, sha, request_id, has_answer, *tokens in self.ledger.connection.execute(KNOWN_DOCUMENTS, values):
            known.add(at)
            asked = columns.asked[at]
            is_same = doc_id == columns.doc_id[at] and sha == columns.content_sha[at]
            if has_answer and is_same and len(asked) == 1 and asked[0][0][0] == request_id and not self.judges:
                answered[at] = tokens
        return known, answered

    def _new(self, those: list[int], columns: Any) -> list[int]:
        """Leave out documents with a request that some job has made."""
        ids = json.dumps([request_id for at in those for request_id, _, _ in columns.asked[at][0]])
        made = {one for (one,) in self.ledger.connection.execute(KNOWN_REQUESTS, (ids,))}
        if not made:
            return those
        return [at for at in those if made.isdisjoint([request_id for request_id, _, _ in columns.asked[at][0]])]

    def _rows(self, kind: Kind, those: list[int], numbers: Sequence[int], columns: Any) -> dict[str, Sequence[Any]]:
        """Make the columns that rows have of either kind. The requests of the rows are those to the first model."""
        asked = [columns.asked[at][0] for at in those]
        constants = {"kind": kind.value, "model": self.chain.models[0].price.name, "same_text": 0, "older": 0}
        return {
            "planned_no": [numbers[at] for at in those],
            **{name: list(map(getattr(columns, name).__getitem__, those)) for name in SAME},
            **{name: [value] * len(those) for name, value in constants.items()},
            "request_id": [one[0][0] for one in asked],
            "asks_for": [one[0][1] for one in asked],
            "bytes": list(map(columns.size.__getitem__, those)),
            "asked": [asked_json(self.chain, one) for one in asked],
        }


def asked_json(chain: ModelChain, asked: Asked) -> str | None:
    """Name the requests to the models of a chain by id, with their models, as JSON. Returns None without a chain."""
    if len(asked) == 1:
        return None
    names = (model.price.name for model in chain.models)
    return json.dumps({request_id: name for (request_id, _, _), name in zip(asked, names, strict=True)})
