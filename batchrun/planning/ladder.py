"""A ladder of models: who answers first, and who answers when that one does not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from batchrun.outcome import Outcome
from batchrun.planning.limits import Learnt, RateLimits
from batchrun.planning.model_price import ModelPrice
from batchrun.request import Request

OUTAGE = "outage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One model of a ladder, with what it takes of the job's parameters."""

    price: ModelPrice
    limits: RateLimits
    max_tokens: int
    effort: str | None
    thinking: str | None

    def request(self, first: Request) -> Request:
        """The same request to this model."""
        params = json.loads(first.body)
        if params["model"] == self.price.name:
            return first
        params["model"] = self.price.name
        return Request.of(params)


@dataclass(frozen=True, slots=True)
class Ladder:
    """The first rung is the job's own model."""

    rungs: tuple[Rung, ...]
    fallback_on: frozenset[str]

    def seasoned(self, learnt: Mapping[str, Learnt]) -> "Ladder":
        """With what earlier runs learnt of the limits of its models."""
        rungs = (replace(rung, limits=rung.limits.seasoned(learnt.get(rung.price.name))) for rung in self.rungs)
        return replace(self, rungs=tuple(rungs))

    def standing(self, known: Sequence[Outcome | None], *, at: int | None) -> int:
        """The rung whose request a document stands for, from the outcomes of its requests to each model.

        `at` is the rung that it stood at before, None for a new document. What ended in a way that another model may
        mend passes to the next one; what had its answer from a later one in an outage keeps it.
        """
        rung = at if at is not None and known[at] is not None else 0
        while (outcome := known[rung]) is not None and self.falls_back(rung, outcome):
            rung += 1
        return rung

    def falls_back(self, rung: int, why: str) -> bool:
        """Whether the next model answers when this one ended so."""
        return rung + 1 < len(self.rungs) and why in self.fallback_on
