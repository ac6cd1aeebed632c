"""What a request will take in tokens and dollars, as intervals, from counts that are not Claude's own."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from batchrun.catalog.price import ModelPrice, Rates
from batchrun.estimation.calibration import Calibration, Prompts
from batchrun.estimation.interval import CONFIDENCE, Interval, together
from batchrun.estimation.reply_length import ReplyLength
from batchrun.estimation.text_class import TextClass, factor
from batchrun.request import Ttl

MOST_PER_COUNTED, MOST_PER_EXPECTED = 1.8, 1.25
UNSEEN_TOKENS = 500
ENDLESS = 2**62
MESSAGE_TOKENS = 8
"""What the API adds around a message; 6 to 9 in recorded exchanges of all generations."""
_PROSE_RATIO = 1.13
_SCHEMA_OVERHEAD = 100
_SCHEMA_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class RequestTokens:
    """What is known of a request before it is sent, and what the ledger keeps of it."""

    counted: int
    """cl100k tokens of what differs from request to request: the document and its columns in the prompt."""
    text_class: TextClass
    guessed: bool = False
    """Whether that is a guess from its size: then only its bytes bound it from above."""


def fixed_tokens(*, prompt: int, schema: int) -> int:
    """Give the cl100k tokens that are the same in every request.

    `prompt` counts the system prompt and the template without the document, `schema` the schema as compact JSON.
    The API renders the schema into a system prompt of its own: recorded structured requests to 4.5 models, with
    schemas of 39 to 149 cl100k tokens, took 100 + 2.0 x schema Claude tokens more than their prompts did, to within 16.
    That is brought back to cl100k here, because the estimator multiplies everything by the factor of the model.
    """
    rendered = (_SCHEMA_OVERHEAD + _SCHEMA_RATIO * schema + MESSAGE_TOKENS) / _PROSE_RATIO
    return prompt + math.ceil(rendered)


@dataclass(frozen=True)
class Estimator:
    """Claude's tokens and the cost of one request, for one model, prompt and schema."""

    price: ModelPrice
    fixed_tokens: int
    """cl100k tokens that every request carries; see the function of that name."""
    output: Interval
    """Tokens of a reply, on average over the job."""
    output_scatter: float = 0.0
    """Standard deviation of one reply's tokens around that; 0 while it is only guessed."""
    calibration: Calibration | None = None
    """What counted requests tell of this model's tokens; None: only the priors are known."""
    ttl: Ttl | None = None
    """For how long the fixed beginning may be marked for the cache: it bounds the worst case."""

    def input(self, tokens: RequestTokens) -> Interval:
        """Estimate all of a request's input. Its fixed part errs with the document: an upper bound of both together."""
        return self.inputs({tokens.text_class: Prompts(1, tokens.counted)})

    def inputs(self, classes: Mapping[TextClass, Prompts], *, fixed: float = 1.0) -> Interval:
        """Estimate the input of many requests together; `fixed`: by how much the fixed part counts."""
        if self.calibration:
            return self.calibration.prompts(classes, fixed=fixed)
        return together([self._inputs(kind, prompts, fixed) for kind, prompts in classes.items()])

    def _inputs(self, text_class: TextClass, prompts: Prompts, weight: float) -> Interval:
        document, fixed = factor(self.price.tokenizer, text_class), self.fixed_input.times(weight)
        return Interval(
            prompts.requests * fixed.mean + prompts.counted * document.mean,
            prompts.requests * fixed.low + prompts.counted * document.low,
            prompts.requests * fixed.high + prompts.counted * document.high,
        )

    def most_prompt_tokens(self, tokens: RequestTokens, *, body_bytes: int) -> int:
        """Bound a request's prompt from above: by its cl100k count, or by its bytes where that is less.

        No text measured made more than 1.75 tokens of a cl100k token, and a byte-level tokenizer makes at most one of a
        byte. UNSEEN_TOKENS covers what the API adds on its own. What was counted by the API itself may raise the bound.
        """
        if tokens.guessed:
            return body_bytes + UNSEEN_TOKENS
        counted = MOST_PER_COUNTED * (self.fixed_tokens + tokens.counted)
        if self.calibration:
            counted = max(counted, MOST_PER_EXPECTED * self.input(tokens).high)
        return min(math.ceil(counted), body_bytes) + UNSEEN_TOKENS

    def worst_case_nusd(self, tokens: RequestTokens, *, body_bytes: int, max_tokens: int) -> int:
        """Bound a request's cost from above: what is set aside before it is sent."""
        prompt_tokens = self.most_prompt_tokens(tokens, body_bytes=body_bytes)
        fixed = math.ceil(MOST_PER_COUNTED * self.fixed_tokens) + UNSEEN_TOKENS
        return self.price.worst_case_nusd(
            prompt_tokens=prompt_tokens, max_tokens=max_tokens, prefix_tokens=min(fixed, prompt_tokens), ttl=self.ttl
        )

    def expected_nusd(self, tokens: RequestTokens) -> int:
        """Give a request's cost at the means, in the band that its prompt is expected to fall in."""
        prompt_tokens = self.input(tokens).mean
        return math.ceil(self.at_rates(self.price.rates_for(prompt_tokens), prompt_tokens, self.output.mean))

    @cached_property
    def fixed_input(self) -> Interval:
        """Claude tokens of the fixed part."""
        if self.calibration:
            return self.calibration.fixed
        return factor(self.price.tokenizer, TextClass.PROSE).times(self.fixed_tokens)

    def document_tokens(self, tokens: RequestTokens) -> float:
        """Give the mean of Claude's tokens of the document alone, for `max_document_tokens`."""
        return tokens.counted * self.factor(tokens.text_class)

    def factor(self, text_class: TextClass) -> float:
        """Claude tokens per cl100k token, on average."""
        if self.calibration:
            return self.calibration.factor(text_class)
        return factor(self.price.tokenizer, text_class).mean

    @property
    def scatter(self) -> float:
        """How far a document's tokens lie from what its class makes expect, as a share; 0 while that is not known."""
        return self.calibration.scatter if self.calibration else 0.0

    def at_rates(self, rates: Rates, prompt_tokens: float, output_tokens: float) -> float:
        """Price a request; which band its prompt falls into is the caller's matter."""
        return (prompt_tokens * rates.input + output_tokens * rates.output) / self.price.divisor

    def reaches_band(self, tokens: RequestTokens) -> bool:
        """Whether the request may fall into the band of long prompts, so that it has to be priced by itself."""
        return tokens.counted >= self.long[tokens.text_class]

    @cached_property
    def long(self) -> Mapping[TextClass, int]:
        """From how many cl100k tokens on a request of each class may fall into the band of long prompts."""
        return {kind: self._long(kind) for kind in TextClass}

    def _long(self, text_class: TextClass) -> int:
        if self.price.band is None:
            return ENDLESS
        room = self.price.band.above_tokens / (1 + 4 * self.scatter)
        candidates = range(self.price.band.above_tokens + 1)
        return bisect_left(candidates, room, key=lambda count: self.input(RequestTokens(count, text_class)).high)

    def of(self, price: ModelPrice, reply: ReplyLength) -> "Estimator":
        """The same requests to another model; what was learnt holds only where the tokenizer is the same."""
        same = price.tokenizer == self.price.tokenizer
        return replace(
            self,
            price=price,
            output=reply.average,
            output_scatter=reply.scatter,
            calibration=self.calibration if same else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a number of requests will take together."""

    documents: int
    input: Interval
    output: Interval
    cost_nusd: Interval
    fixed_tokens: float
    """Claude tokens of the part that every request carries."""
    confidence: float = CONFIDENCE

    @property
    def cost_usd(self) -> Interval:
        """The cost as people read it."""
        return self.cost_nusd.times(1e-9)

    @property
    def upper_nusd(self) -> int:
        """What counts against a budget."""
        return math.ceil(self.cost_nusd.high)

    def plus(self, other: "Estimate") -> "Estimate":
        """With other requests of the same job: what one is wrong about, so is the other."""
        return replace(
            self,
            documents=self.documents + other.documents,
            input=self.input.plus(other.input),
            output=self.output.plus(other.output),
            cost_nusd=self.cost_nusd.plus(other.cost_nusd),
        )
