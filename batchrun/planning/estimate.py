"""What a job will take in tokens and dollars, as intervals, from counts that are not Claude's own.

A factor's error is the same for every document of a class, so it does not average out over many documents: within a
class the half widths add up. Classes, and the length of the replies, are independent of each other: their half widths
combine in quadrature. The low and the high side are kept apart, since the factors are not symmetric.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

from batchrun.planning.interval import CONFIDENCE, Interval
from batchrun.planning.model_price import ModelPrice
from batchrun.planning.text_class import TextClass, factor
from batchrun.request import Ttl

MOST_PER_COUNTED = 1.8
UNSEEN_TOKENS = 500
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


def fixed_tokens(*, prompt: int, schema: int) -> int:
    """Give the cl100k tokens that are the same in every request.

    `prompt` counts the system prompt and the template without the document, `schema` the schema as compact JSON.
    The API renders the schema into a system prompt of its own: recorded structured requests to 4.5 models, with
    schemas of 39 to 149 cl100k tokens, took 100 + 2.0 x schema Claude tokens more than their prompts did, to within 16.
    That is brought back to cl100k here, because the estimator multiplies everything by the factor of the model.
    """
    rendered = (_SCHEMA_OVERHEAD + _SCHEMA_RATIO * schema + MESSAGE_TOKENS) / _PROSE_RATIO
    return prompt + math.ceil(rendered)


@dataclass(frozen=True, slots=True)
class _Cost:
    """A request's cost in nano-USD, and how far each of its two causes may move it."""

    mean: float
    input_below: float
    input_above: float
    output_below: float
    output_above: float


@dataclass(frozen=True)
class Estimator:
    """Claude's tokens and the cost of one request, for one model, prompt and schema."""

    price: ModelPrice
    fixed_tokens: int
    """cl100k tokens that every request carries; see the function of that name."""
    output: Interval
    """Tokens of a reply, on average over the job."""
    ttl: Ttl | None = None
    """For how long the fixed beginning may be marked for the cache: it bounds the worst case."""

    def input(self, tokens: RequestTokens) -> Interval:
        """Estimate all of a request's input. Its fixed part errs with the document: an upper bound of both together."""
        document = factor(self.price.tokenizer, tokens.text_class)
        fixed, counted = self.fixed_input, tokens.counted
        return Interval(
            fixed.mean + counted * document.mean,
            fixed.low + counted * document.low,
            fixed.high + counted * document.high,
        )

    def most_prompt_tokens(self, tokens: RequestTokens, *, body_bytes: int) -> int:
        """Bound a request's prompt from above: by its cl100k count, or by its bytes where that is less.

        No text measured made more than 1.75 tokens of a cl100k token, and a byte-level tokenizer makes at most one of a
        byte. UNSEEN_TOKENS covers what the API adds on its own.
        """
        counted = math.ceil(MOST_PER_COUNTED * (self.fixed_tokens + tokens.counted))
        return min(counted, body_bytes) + UNSEEN_TOKENS

    def worst_case_nusd(self, tokens: RequestTokens, *, body_bytes: int, max_tokens: int) -> int:
        """Bound a request's cost from above: what is set aside before it is sent."""
        prompt_tokens = self.most_prompt_tokens(tokens, body_bytes=body_bytes)
        fixed = math.ceil(MOST_PER_COUNTED * self.fixed_tokens) + UNSEEN_TOKENS
        return self.price.worst_case_nusd(
            prompt_tokens=prompt_tokens, max_tokens=max_tokens, prefix_tokens=min(fixed, prompt_tokens), ttl=self.ttl
        )

    @cached_property
    def fixed_input(self) -> Interval:
        """Claude tokens of the fixed part."""
        return factor(self.price.tokenizer, TextClass.PROSE).times(self.fixed_tokens)

    def document_tokens(self, tokens: RequestTokens) -> float:
        """Give the mean of Claude's tokens of the document alone, for `max_document_tokens`."""
        return tokens.counted * factor(self.price.tokenizer, tokens.text_class).mean

    def cost_nusd(self, tokens: RequestTokens) -> Interval:
        """Estimate one request's cost, at the rates of the band that its prompt falls in."""
        cost = self.causes(self.input(tokens))
        return Interval(
            cost.mean,
            cost.mean - math.hypot(cost.input_below, cost.output_below),
            cost.mean + math.hypot(cost.input_above, cost.output_above),
        )

    def causes(self, prompt: Interval) -> _Cost:
        """Split the uncertainty of a request's cost; each side is priced in the band that the prompt reaches there."""
        mean = self._price(prompt.mean, self.output.mean)
        low = self._price(prompt.low, self.output.mean)
        high = self._price(prompt.high, self.output.mean)
        return _Cost(
            mean=mean,
            input_below=mean - low,
            input_above=high - mean,
            output_below=low - self._price(prompt.low, self.output.low),
            output_above=self._price(prompt.high, self.output.high) - high,
        )

    def _price(self, prompt_tokens: float, output_tokens: float) -> float:
        rates = self.price.rates_for(prompt_tokens)
        return (prompt_tokens * rates.input + output_tokens * rates.output) / self.price.divisor


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


@dataclass(slots=True)
class _Sides:
    """Half widths that add up, because their error is one and the same."""

    below: float = 0.0
    above: float = 0.0

    def add(self, below: float, above: float) -> None:
        self.below += below
        self.above += above


@dataclass(slots=True)
class _Total:
    """A sum whose errors come from several independent causes."""

    mean: float = 0.0
    causes: dict[str, _Sides] = field(default_factory=dict)

    def cause(self, name: str) -> _Sides:
        if name not in self.causes:
            self.causes[name] = _Sides()
        return self.causes[name]

    @property
    def high(self) -> float:
        return self.mean + math.hypot(*(cause.above for cause in self.causes.values()))

    def interval(self) -> Interval:
        low = self.mean - math.hypot(*(cause.below for cause in self.causes.values()))
        return Interval(self.mean, max(low, 0.0), self.high)


class EstimateSum:
    """The running sum over requests, in memory that does not grow with them."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self._documents = 0
        self._input = _Total()
        self._cost = _Total()

    def add(self, tokens: RequestTokens) -> None:
        """Add one request."""
        prompt = self._estimator.input(tokens)
        cost = self._estimator.causes(prompt)
        self._documents += 1
        self._input.mean += prompt.mean
        self._input.cause(tokens.text_class).add(prompt.mean - prompt.low, prompt.high - prompt.mean)
        self._cost.mean += cost.mean
        self._cost.cause(tokens.text_class).add(cost.input_below, cost.input_above)
        self._cost.cause("reply").add(cost.output_below, cost.output_above)

    @property
    def upper_nusd(self) -> int:
        """The cost's upper bound so far. It never falls when a request is added."""
        return math.ceil(self._cost.high)

    def estimate(self) -> Estimate:
        """Give the sum so far."""
        return Estimate(
            documents=self._documents,
            input=self._input.interval(),
            output=self._estimator.output.times(self._documents),
            cost_nusd=self._cost.interval(),
            fixed_tokens=self._estimator.fixed_input.mean,
        )
