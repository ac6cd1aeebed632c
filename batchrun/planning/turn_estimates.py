"""The estimate of planned documents that are asked for their fields in a turn or in several.

A document's choice of fields says what each of the document's turns asks for. All turns carry the document, and each
turn has a schema and a reply of its own.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import attrgetter

from batchrun.estimation.estimate import Estimate, Estimator
from batchrun.estimation.estimate_sum import EstimateSum
from batchrun.estimation.further_turns import PastTurns, PastVotes, further_turns, further_votes, votes_each
from batchrun.estimation.interval import NOTHING, Interval
from batchrun.estimation.reply_length import Replies, reply_length
from batchrun.estimation.text_class import TextClass
from batchrun.job.load import JobFile
from batchrun.planning.calibration_data import asked_tokens
from batchrun.planning.plan_tokens import TO_SEND, PlannedTokens, Subset
from batchrun.planning.reply_forecast import guessed_reply
from batchrun.strategy.plan import PartlyAsked
from batchrun.strategy.prompt_caching import Caching, least_cached


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEstimates:
    """Estimates the requests of a plan's documents, for any model and route."""

    job: JobFile
    tokens: PlannedTokens
    own: Estimator
    """The estimator of the job's own model, with what was learnt."""
    unsampled: Mapping[TextClass, float]
    """The standard deviation of the guessed tokens, in cl100k tokens of each class."""
    replies: Mapping[tuple[str, ...], Replies]
    """The past replies of the job's own model that answer some of the fields, by these fields."""
    further: PastTurns | None
    """What the job's past says of turns that mend and continue answers; None without such a past."""
    votes: PastVotes = field(default_factory=PastVotes)
    """How many votes the job's latest answers took."""

    def of(self, estimator: Estimator, subset: Subset = TO_SEND, *, caching: Caching | None = None) -> Estimate:
        """Estimate some documents with all their turns, also those that mend answers and continue lists as before.

        `caching` says what the cache saves.
        """
        found = self.tokens.choices(subset.which)
        if set(found) <= {None}:
            asked = self._added_up(estimator, subset, _saving(estimator, caching))
        else:
            each = [self._of_choice(estimator, choices, subset, caching) for choices in found]
            asked = reduce(Estimate.plus, each)
        form = self.job.form
        if each_votes := self.votes_each(asked.documents):
            turns = max(1, len(form.groups))
            asked = asked.plus(further_votes(each_votes, asked, least=form.least_votes, turns=turns))
        return asked if self.further is None else asked.plus(further_turns(self.further, asked, self.own.price))

    def votes_each(self, documents: int) -> Interval | None:
        """Estimate how many votes each document takes. Returns None for a job without votes, and for no documents."""
        form = self.job.form
        if form.votes == 1 or not documents:
            return None
        return votes_each(self.votes, least=form.least_votes, most=form.votes, documents=documents)

    def read_again(self, caching: Caching) -> float:
        """Estimate the tokens of documents to send that the job's own model reads from the cache."""
        if caching.document_ttl is None:
            return 0.0
        behind, least = self._document_alone(self.own), self._least_cached(self.own, attrgetter("mean"))
        once = {
            choices: self._added_up(behind, Subset(choices=choices, least=least)).input.mean
            for choices in self.tokens.choices()
            if choices
        }
        further = sum((len(json.loads(choices)) - 1) * tokens for choices, tokens in once.items())
        return further * caching.document_hits.mean

    def partly_asked(self, estimator: Estimator, caching_of_all: Caching) -> PartlyAsked | None:
        """Price the documents that are asked for some fields alone, beside all their fields again.

        `caching_of_all` says what the cache saves if all fields are asked for again.
        """
        partly = self.tokens.partly()
        if not partly or self.job.form.votes > 1:
            return None
        fields = {name for choices, _ in partly for turn in json.loads(choices) for name in turn}
        costs = [self._of_choice(estimator, choices, TO_SEND, None).cost_nusd.mean for choices, _ in partly]
        whole = [self._asked_again(estimator, choices, caching_of_all).cost_nusd.mean for choices, _ in partly]
        return PartlyAsked(
            documents=sum(number for _, number in partly),
            fields=tuple(name for name in self.job.form.fields if name in fields),
            nusd=math.ceil(sum(costs)),
            whole_nusd=math.ceil(sum(whole)),
        )

    def _asked_again(self, estimator: Estimator, choices: str, caching: Caching) -> Estimate:
        """Estimate all fields of the documents to send that are asked for a choice of fields."""
        subset, groups = Subset(choices=choices), self.job.form.groups
        return self._in_turns(estimator, groups, subset, caching) if groups else self._added_up(estimator, subset)

    def _of_choice(
        self, estimator: Estimator, choices: str | None, subset: Subset, caching: Caching | None
    ) -> Estimate:
        """Estimate those of the documents that are asked for a choice of fields; None stands for all fields."""
        chosen = replace(subset, choices=choices)
        if choices is None:
            return self._added_up(estimator, chosen, _saving(estimator, caching))
        return self._in_turns(estimator, json.loads(choices), chosen, caching)

    def _in_turns(
        self, estimator: Estimator, asked: Sequence[Sequence[str]], subset: Subset, caching: Caching | None
    ) -> Estimate:
        """Estimate some documents as if each of them was asked for these fields, turn by turn."""
        # Some fields of a done document are asked by a schema so short that the prefix may not be cached.
        saving = _saving(estimator, caching) if len(asked) > 1 else NOTHING
        turns = [self._added_up(self._asking_for(estimator, fields), subset, saving) for fields in asked]
        documents, further = turns[0].documents, sum(turn.documents for turn in turns[1:])
        whole = replace(reduce(Estimate.plus, turns), documents=documents, further_requests=further)
        if caching is None or caching.document_ttl is None or not further:
            return whole
        cost, saved = whole.cost_nusd, self._saved_by_documents(estimator, subset, caching, turns=len(asked))
        return replace(whole, cost_nusd=Interval(cost.mean - saved.mean, cost.low - saved.high, cost.high - saved.low))

    def _saved_by_documents(self, estimator: Estimator, subset: Subset, caching: Caching, *, turns: int) -> Interval:
        """Estimate what the turns save that read a document from the cache, besides the prefix.

        The bounds fit to those of the cost: `high` is what is saved where tokens and cost are fewest, and `low` where
        they are most. `high` counts all documents that may be long enough for the cache, and `low` only those that
        surely are.
        """
        share = caching.tokens.mean / estimator.fixed_input.mean if caching.ttl else 0.0
        behind = self._document_alone(estimator, without=round(share * estimator.fixed_tokens))

        def cost(side: Callable[[Interval], float]) -> Interval:
            return self._added_up(behind, replace(subset, least=self._least_cached(estimator, side))).cost_nusd

        multiples = caching.document_saving(estimator.price.rates, turns)
        expected, surely, maybe = cost(attrgetter("mean")), cost(attrgetter("low")), cost(attrgetter("high"))
        fewest = surely if multiples.low > 0 else maybe
        return Interval(multiples.mean * expected.mean, multiples.low * fewest.high, multiples.high * maybe.low)

    def _least_cached(self, estimator: Estimator, side: Callable[[Interval], float]) -> Mapping[TextClass, int]:
        """Return the cl100k tokens from which on a document of each class is cached, on one side of its range."""
        return self._document_alone(estimator).least_counted(least_cached(estimator.price.min_cacheable_tokens), side)

    def _asking_for(self, estimator: Estimator, fields: Sequence[str]) -> Estimator:
        """Return the estimator of requests that ask for some of the fields, with what the own model's past says."""
        if tuple(fields) == self.job.form.fields:
            return estimator
        form, model = self.job.form.only(fields), self.job.spec.model
        replies = self.replies.get(tuple(fields)) if estimator.price.name == self.own.price.name else None
        reply = reply_length(guessed_reply(form, model, estimator.price), replies, most=model.max_tokens)
        fixed = estimator.fixed_tokens - asked_tokens(self.job.form) + asked_tokens(form)
        return replace(
            estimator,
            fixed_tokens=fixed,
            fixed_share=fixed / estimator.fixed_tokens,
            output=reply.average,
            output_scatter=reply.scatter,
        )

    def _document_alone(self, estimator: Estimator, *, without: int = 0) -> Estimator:
        """Return the estimator of what stands before the words that ask.

        `without` says how many cl100k tokens of the prefix are left out.
        """
        fixed = estimator.fixed_tokens - asked_tokens(self.job.form) - without
        return replace(
            estimator,
            fixed_tokens=max(0, fixed),
            output=NOTHING,
            output_scatter=0.0,
            most_output=0.0,
            calibration=None,
        )

    def _added_up(self, estimator: Estimator, subset: Subset, saving: Interval = NOTHING) -> Estimate:
        """Estimate one request for each of some documents; `saving` is what the cached prefix saves of a request."""
        total = EstimateSum(estimator, unsampled=self.unsampled, saving=saving)
        for group in self.tokens.groups(estimator.long, subset):
            total.add_group(group)
        for one in self.tokens.longer(estimator.long, subset):
            total.add(one)
        return total.estimate()


def _saving(estimator: Estimator, caching: Caching | None) -> Interval:
    """Return what the cached prefix saves of each request, in tokens at the price of input."""
    return caching.saving(estimator.price.rates) if caching else NOTHING
