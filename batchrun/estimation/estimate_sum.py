"""The estimate of many requests together, in memory that does not grow with their number.

A factor's error is the same for every document of a class, so this error does not average out over many documents:
within a class the half widths add up. The length of the replies, the sampling, and the scatter of single requests err
independently of the factor: their half widths combine in quadrature. The low and the high side are kept apart, since
the priors are not symmetric.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from batchrun.estimation.calibration import Prompts, Z
from batchrun.estimation.estimate import Estimate, Estimator, RequestTokens
from batchrun.estimation.interval import NOTHING, Interval, together
from batchrun.estimation.text_class import TextClass


@dataclass(frozen=True, slots=True)
class Group:
    """The sum of requests of one class of text."""

    text_class: TextClass
    requests: int
    counted: int
    """cl100k tokens of all their documents."""
    squares: float
    """The sum of the squares of each document's cl100k tokens."""


@dataclass(slots=True)
class _Sides:
    """The half widths below and above a sum. They add up, because their error is the same."""

    below: float = 0.0
    above: float = 0.0

    def add(self, below: float, above: float) -> None:
        self.below += below
        self.above += above


class EstimateSum:
    """The running sum over requests."""

    def __init__(
        self,
        estimator: Estimator,
        *,
        unsampled: Mapping[TextClass, float] | None = None,
        saving: Interval = NOTHING,
    ) -> None:
        """Begin with no request.

        `unsampled` is the standard deviation of the guessed tokens, in cl100k tokens of each class. `saving` is what a
        cached prefix saves of a request on average, in tokens at the price of input; negative if the cache costs more.
        The bounds of `saving` are about the rate of hits: the length of the prefix errs with the fixed part.
        """
        self._estimator = estimator
        self._unsampled = unsampled or {}
        self._saving = saving
        self._paid = 1.0 - saving.mean / estimator.fixed_input.mean if saving.mean else 1.0
        """The weight of the fixed part, at the price of input."""
        self._rates = 0.0
        """The prices of a token of input, in nano-USD, summed over the requests."""
        self._documents = 0
        self._longest = 0.0
        """The tokens of the replies if each is as long as its request allows."""
        self._prompts: dict[TextClass, Prompts] = {}
        self._plain: dict[TextClass, Prompts] = {}
        """The requests that cannot reach the band of long prompts: they are priced together."""
        self._alone = 0.0
        """The cost of the other requests, each priced by itself."""
        self._alone_input, self._output = _Sides(), _Sides()
        self._most_above = 0.0
        """How far the cost of the longest replies that are possible lies above the cost of the expected ones."""
        self._token_variance = self._cost_variance = self._reply_variance = 0.0

    def add(self, tokens: RequestTokens) -> None:
        """Add one request."""
        if self._estimator.reaches_band(tokens):
            self._add_alone(tokens)
        else:
            self.add_group(Group(tokens.text_class, 1, tokens.counted, tokens.counted**2))

    def add_group(self, group: Group) -> None:
        """Add requests none of which reaches the band of long prompts."""
        one, rates = self._estimator, self._estimator.price.rates
        _gather(self._plain, group)
        reply = rates.output / one.price.divisor
        self._output.add(
            group.requests * (one.output.mean - one.output.low) * reply,
            group.requests * (one.output.high - one.output.mean) * reply,
        )
        self._rates += group.requests * rates.input / one.price.divisor
        self._cost_variance += self._count(group) * (rates.input / one.price.divisor) ** 2
        self._most_above += group.requests * (one.most_output - one.output.mean) * reply
        self._reply_variance += group.requests * (one.output_scatter * reply) ** 2

    def _add_alone(self, tokens: RequestTokens) -> None:
        """Add a request by itself: each side is priced in the band that the prompt reaches on that side."""
        one = self._estimator
        prompt, output = one.input(tokens), one.output
        mean, low, high = (self._expected(side, output.mean) for side in (prompt.mean, prompt.low, prompt.high))
        input_rate = self._expected_at(prompt.mean, 1.0, 0.0)  # tokens read from the cache count to the band too
        self._alone += mean - self._saving.mean * input_rate
        self._rates += input_rate
        self._alone_input.add(max(mean - low, 0.0), max(high - mean, 0.0))
        self._output.add(low - self._expected(prompt.low, output.low), self._expected(prompt.high, output.high) - high)
        self._most_above += (one.most_output - output.mean) * self._expected_at(prompt.high, 0.0, 1.0)
        self._cost_variance += self._variance(prompt.mean)
        self._reply_variance += (one.output_scatter * self._output_rate(prompt.mean)) ** 2
        self._count(Group(tokens.text_class, 1, tokens.counted, tokens.counted**2))

    def _count(self, group: Group) -> float:
        """Count requests, whichever way they are priced. Returns the variance of their tokens."""
        _gather(self._prompts, group)
        self._documents += group.requests
        self._longest += group.requests * self._estimator.most_output
        variance = group.squares * (self._estimator.scatter * self._estimator.factor(group.text_class)) ** 2
        self._token_variance += variance
        return variance

    def _beyond(self, prompt_tokens: float) -> float:
        """Return how likely a request with a prompt of this expected length falls into the band of long prompts."""
        band, deviation = self._estimator.price.band, self._estimator.scatter * prompt_tokens
        if band is None or not deviation:
            return float(band is not None and prompt_tokens > band.above_tokens)
        return 0.5 * math.erfc((band.above_tokens - prompt_tokens) / (deviation * math.sqrt(2)))

    def _expected(self, prompt_tokens: float, output_tokens: float) -> float:
        return self._expected_at(prompt_tokens, prompt_tokens, output_tokens)

    def _expected_at(self, prompt_tokens: float, input_tokens: float, output_tokens: float) -> float:
        """Price tokens of a request whose prompt has `prompt_tokens`, by how likely the prompt is in each band."""
        one, band, beyond = self._estimator, self._estimator.price.band, self._beyond(prompt_tokens)
        assert band is not None
        below = one.at_rates(one.price.rates, input_tokens, output_tokens)
        return below + beyond * (one.at_rates(band.rates, input_tokens, output_tokens) - below)

    def _variance(self, prompt_tokens: float) -> float:
        one, band, beyond = self._estimator, self._estimator.price.band, self._beyond(prompt_tokens)
        assert band is not None
        below = one.at_rates(one.price.rates, prompt_tokens, one.output.mean)
        jump = one.at_rates(band.rates, prompt_tokens, one.output.mean) - below
        own = one.scatter * prompt_tokens * one.price.rates_for(prompt_tokens).input
        return beyond * (1 - beyond) * jump**2 + (own / one.price.divisor) ** 2

    def _output_rate(self, prompt_tokens: float) -> float:
        return self._estimator.price.rates_for(prompt_tokens).output / self._estimator.price.divisor

    def _cost(self) -> Interval:
        one = self._estimator
        rate = one.price.rates.input / one.price.divisor
        plain = one.inputs(self._plain, fixed=self._paid).times(rate)
        replies = sum(prompts.requests for prompts in self._plain.values()) * one.output.mean
        mean = plain.mean + replies * one.price.rates.output / one.price.divisor + self._alone
        inputs = Interval(
            mean,
            mean - (plain.mean - plain.low) - self._alone_input.below,
            mean + (plain.high - plain.mean) + self._alone_input.above,
        )
        found = _Sides(
            below=self._rates * (self._saving.high - self._saving.mean),
            above=self._rates * (self._saving.mean - self._saving.low),
        )
        independent = [self._replies(), _around_zero(found), self._random(self._cost_variance, rate)]
        return together([inputs, *independent])

    def _replies(self) -> Interval:
        """Return how far the cost of the replies may be off; none of them is longer than `max_tokens` allows."""
        scatter = Z * math.sqrt(self._reply_variance)
        below, above = (math.hypot(side, scatter) for side in (self._output.below, self._output.above))
        return Interval(0.0, -below, min(above, self._most_above))

    def _random(self, variance: float, rate: float) -> Interval:
        """Return the scatter of single requests and the sampling error; neither has a direction."""
        deviations = [deviation * self._estimator.factor(kind) * rate for kind, deviation in self._unsampled.items()]
        half = Z * math.hypot(math.sqrt(variance), *deviations)
        return Interval(0.0, -half, half)

    def estimate(self) -> Estimate:
        """Return the estimate of all requests so far."""
        one = self._estimator
        half = Z * one.output_scatter * math.sqrt(self._documents)
        return Estimate(
            documents=self._documents,
            input=together([one.inputs(self._prompts), self._random(self._token_variance, 1.0)]),
            output=together([one.output.times(self._documents), Interval(0.0, -half, half)]).capped(self._longest),
            cost_nusd=self._cost(),
            fixed_tokens=one.fixed_input.mean,
        )


def _gather(classes: dict[TextClass, Prompts], group: Group) -> None:
    before = classes.get(group.text_class, Prompts(0, 0))
    classes[group.text_class] = Prompts(before.requests + group.requests, before.counted + group.counted)


def _around_zero(sides: _Sides) -> Interval:
    return Interval(0.0, -sides.below, sides.above)
