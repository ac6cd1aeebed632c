"""The tokens and dollars of a request as intervals, from counts that are not Claude's own."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from batchrun.catalog.price import MOST_TOOL_PROMPT, ModelPrice, Rates, Tokenizer
from batchrun.estimation.calibration import Calibration, Prompts
from batchrun.estimation.interval import CONFIDENCE, Interval, together
from batchrun.estimation.reply_length import ReplyLength
from batchrun.estimation.text_class import TextClass, factor
from batchrun.request import Ttl

MOST_PER_COUNTED, MOST_PER_EXPECTED = 1.8, 1.25
MOST_PER_NATIVE: Mapping[TextClass, Mapping[Tokenizer, float]] = {
    TextClass.PAGES: {"old": 1.8, "new": 3.1, "cl100k_base": 3.1, "o200k_base": 3.1, "unknown": 3.1},
    TextClass.IMAGE: {"old": 1.1, "new": 1.1, "cl100k_base": 2.6, "o200k_base": 2.6, "unknown": 4.0},
}
"""The most tokens of a counted token of files. A page that is rendered as large as models with the new tokenizer see
any image has 4,784 tokens of 1,575 counted; of an image the most is counted already. OpenAI's small models count a
patch of 32 pixels up to 2.46 times (OpenAI's guide to images)."""
UNSEEN_TOKENS = 500
UNSEEN_WITH_TOOL = UNSEEN_TOKENS + MOST_TOOL_PROMPT
"""The same for requests with a tool, to which the API adds one more system prompt."""
ENDLESS = 2**62
MESSAGE_TOKENS = 8
"""How many tokens the API adds around a message: 6 to 9 in recorded exchanges of all generations."""
_PROSE_RATIO = 1.13


@dataclass(frozen=True, slots=True)
class RequestTokens:
    """What is known of a request's tokens before the request is sent; the ledger keeps this."""

    counted: int
    """The cl100k tokens that differ from request to request: the document and its columns in the prompt."""
    text_class: TextClass
    guessed: bool = False
    """Whether `counted` is a guess from the document's size: then only the bytes bound the tokens from above."""


def fixed_tokens(*, prompt: int, overhead: float, turns: int = 0) -> int:
    """Give the cl100k tokens that are the same in every request.

    `prompt` counts the system prompt, the messages of examples and the template without the document, `overhead` is
    that of the answer's mode, and `turns` counts the messages of examples.
    The overhead is converted to cl100k here, because the estimator multiplies everything by the model's factor.
    """
    return prompt + math.ceil((overhead + MESSAGE_TOKENS * (1 + turns)) / _PROSE_RATIO)


def as_older_tokens(tokens: int, tokenizer: Tokenizer) -> float:
    """Convert tokens that a model is known to take, so that `fixed_tokens` and the model's factor give them again."""
    return tokens * _PROSE_RATIO / factor(tokenizer, TextClass.PROSE).mean


@dataclass(frozen=True)
class Estimator:
    """Claude's tokens and the cost of one request, for one model, prompt and schema."""

    price: ModelPrice
    fixed_tokens: int
    """The cl100k tokens that every request carries; see the function of the same name."""
    output: Interval
    """The tokens of a reply, on average over the job."""
    output_scatter: float = 0.0
    """The standard deviation of one reply's tokens around the average; 0 while the average is only guessed."""
    most_output: float = math.inf
    """The most tokens of one reply, `max_tokens`: no estimate of replies is above."""
    calibration: Calibration | None = None
    """What counted requests say of this model's tokens; None while only the priors are known."""
    unseen_tokens: int = UNSEEN_TOKENS
    """What bounds the tokens that the API adds on its own, and that the bytes of a request do not show."""
    fixed_share: float = 1.0
    """The fixed part as a share of the fixed part that the calibration knows: requests for some fields have less."""
    ttl: Ttl | None = None
    """The longest time for which the prefix may be marked for the cache. The mark raises the worst case."""
    marks_documents: bool = False
    """Whether all of a prompt may be marked, and not the prefix alone."""

    def input(self, tokens: RequestTokens) -> Interval:
        """Estimate all of a request's input. The fixed part errs with the document, so that their bounds add up."""
        return self.inputs({tokens.text_class: Prompts(1, tokens.counted)})

    def inputs(self, classes: Mapping[TextClass, Prompts], *, fixed: float = 1.0) -> Interval:
        """Estimate the input of many requests together; `fixed` is the weight of the fixed part."""
        if self.calibration:
            return self.calibration.prompts(classes, fixed=fixed * self.fixed_share)
        return together([self._inputs(kind, prompts, fixed) for kind, prompts in classes.items()])

    def _inputs(self, text_class: TextClass, prompts: Prompts, weight: float) -> Interval:
        documents = factor(self.price.tokenizer, text_class).times(prompts.counted)
        return self.fixed_input.times(weight).times(prompts.requests).plus(documents)

    def most_prompt_tokens(self, tokens: RequestTokens, *, body_bytes: int, added_bytes: int = 0) -> int:
        """Bound a request's prompt from above: by its cl100k count, or by its bytes if they are fewer.

        No measured text made more than 1.75 tokens of a cl100k token, and a byte-level tokenizer makes at most one of
        a byte. `unseen_tokens` covers what the API adds on its own. Counts by the API itself may raise the bound.
        The bytes of a file bound nothing: an image of one colour has few bytes and many tokens. `added_bytes` are those
        of a conversation behind the request.
        """
        is_native = tokens.text_class.is_native
        if tokens.guessed and not is_native:
            return body_bytes + added_bytes + self.unseen_tokens
        most = MOST_PER_NATIVE[tokens.text_class][self.price.tokenizer] if is_native else MOST_PER_COUNTED
        counted = MOST_PER_COUNTED * self.fixed_tokens + most * tokens.counted
        if self.calibration:
            counted = max(counted, MOST_PER_EXPECTED * self.input(tokens).high)
        bound = math.ceil(counted) if is_native else min(math.ceil(counted), body_bytes)
        return bound + added_bytes + self.unseen_tokens

    def worst_case_nusd(self, tokens: RequestTokens, *, body_bytes: int, max_tokens: int, added_bytes: int = 0) -> int:
        """Bound a request's cost from above. This amount is reserved before the request is sent."""
        prompt_tokens = self.most_prompt_tokens(tokens, body_bytes=body_bytes, added_bytes=added_bytes)
        fixed = math.ceil(MOST_PER_COUNTED * self.fixed_tokens) + self.unseen_tokens
        marked = prompt_tokens if self.marks_documents else min(fixed, prompt_tokens)
        return self.price.worst_case_nusd(
            prompt_tokens=prompt_tokens, max_tokens=max_tokens, prefix_tokens=marked, ttl=self.ttl
        )

    def expected_nusd(self, tokens: RequestTokens) -> int:
        """Give a request's cost at the means, in the band that its prompt is expected to fall in."""
        prompt_tokens = self.input(tokens).mean
        return math.ceil(self.at_rates(self.price.rates_for(prompt_tokens), prompt_tokens, self.output.mean))

    @cached_property
    def fixed_input(self) -> Interval:
        """The Claude tokens of the fixed part."""
        if self.calibration:
            return self.calibration.fixed.times(self.fixed_share)
        return factor(self.price.tokenizer, TextClass.PROSE).times(self.fixed_tokens)

    def document_tokens(self, tokens: RequestTokens) -> float:
        """Give the mean of Claude's tokens of the document alone, for `max_document_tokens`."""
        return tokens.counted * self.factor(tokens.text_class)

    def factor(self, text_class: TextClass) -> float:
        """Return Claude tokens per cl100k token, on average."""
        if self.calibration:
            return self.calibration.factor(text_class)
        return factor(self.price.tokenizer, text_class).mean

    @property
    def scatter(self) -> float:
        """How far a document's tokens lie from the mean of its class, as a share; 0 while no scatter is known."""
        return self.calibration.scatter if self.calibration else 0.0

    def at_rates(self, rates: Rates, prompt_tokens: float, output_tokens: float) -> float:
        """Price a request at rates that the caller has chosen by the band of its prompt."""
        return (prompt_tokens * rates.input + output_tokens * rates.output) / self.price.divisor

    def reaches_band(self, tokens: RequestTokens) -> bool:
        """Whether the request may fall into the band of long prompts, and so is priced by itself."""
        return tokens.counted >= self.long[tokens.text_class]

    @cached_property
    def long(self) -> Mapping[TextClass, int]:
        """The cl100k tokens from which on a request of each class may fall into the band of long prompts."""
        return {kind: self._long(kind) for kind in TextClass}

    def _long(self, text_class: TextClass) -> int:
        if self.price.band is None:
            return ENDLESS
        room = self.price.band.above_tokens / (1 + 4 * self.scatter)
        return self._least(room, text_class, lambda prompt: prompt.high, most=self.price.band.above_tokens)

    def least_counted(self, tokens: int, side: Callable[[Interval], float]) -> Mapping[TextClass, int]:
        """Return the cl100k tokens from which on a prompt of each class has so many tokens, on one side of its range.

        No more than `tokens` cl100k tokens are tried.
        """
        return {kind: self._least(tokens, kind, side, most=tokens) for kind in TextClass}

    def _least(self, tokens: float, kind: TextClass, side: Callable[[Interval], float], *, most: int) -> int:
        return bisect_left(range(most + 1), tokens, key=lambda count: side(self.input(RequestTokens(count, kind))))

    def of(self, price: ModelPrice, reply: ReplyLength) -> "Estimator":
        """Return the estimator of the same requests to another model. A calibration is kept for the same tokenizer."""
        same = price.tokenizer == self.price.tokenizer
        return replace(
            self,
            price=price,
            output=reply.average,
            output_scatter=reply.scatter,
            most_output=reply.most,
            calibration=self.calibration if same else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimate of a number of requests together."""

    documents: int
    input: Interval
    output: Interval
    cost_nusd: Interval
    fixed_tokens: float
    """The Claude tokens of the part that every request carries."""
    confidence: float = CONFIDENCE
    further_requests: int = 0
    """How many requests ask for further groups of fields, beyond one request for each document."""

    @property
    def requests(self) -> int:
        """The number of requests that are estimated."""
        return self.documents + self.further_requests

    @property
    def cost_usd(self) -> Interval:
        """The cost in US dollars."""
        return self.cost_nusd.times(1e-9)

    @property
    def upper_nusd(self) -> int:
        """The upper bound of the cost, which counts against a budget."""
        return math.ceil(self.cost_nusd.high)

    @property
    def upper_tokens(self) -> int:
        """The upper bound of the tokens, input and output together, which counts against a budget of tokens."""
        return math.ceil(self.input.high + self.output.high)

    def times(self, share: float) -> "Estimate":
        """Return the estimate of a share of the requests."""
        counts = {name: round(share * getattr(self, name)) for name in ("documents", "further_requests")}
        parts = {name: getattr(self, name).times(share) for name in ("input", "output", "cost_nusd")}
        return replace(self, **counts, **parts)

    def plus(self, other: "Estimate") -> "Estimate":
        """Add other requests of the same job. Both estimates err in the same direction, so that their bounds add up."""
        return replace(
            self,
            documents=self.documents + other.documents,
            further_requests=self.further_requests + other.further_requests,
            input=self.input.plus(other.input),
            output=self.output.plus(other.output),
            cost_nusd=self.cost_nusd.plus(other.cost_nusd),
        )
