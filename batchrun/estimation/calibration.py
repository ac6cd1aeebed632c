"""Claude's tokens of a prompt as a line over cl100k's count, learnt from requests whose tokens are known.

    prompt tokens = fixed + factor(text class) x counted

The fixed part and the factors begin as the priors of the model's tokenizer, and one observation after the other
corrects them (recursive least squares, which is a Kalman filter whose state stands still). So two observations say a
little and two thousand nearly everything, and a class without observations moves with the others, as far as they are
akin.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from batchrun.catalog.price import Tokenizer
from batchrun.estimation.interval import Interval
from batchrun.estimation.text_class import TextClass, factor

Z = 1.645
"""The number of standard deviations within which a normal variable stays nine times in ten."""
KINSHIP = 0.5
"""How far the factors of two classes err together: a tokenizer that is finer than believed is finer for all texts."""
SCATTER, SCATTER_WEIGHT, LEAST_SCATTER = 0.05, 4.0, 0.01
"""How far single texts of one class differ, as a share: 1.4 to 7% was measured on 3,600 contracts, texts and
programs, with the public tokenizer of Claude 2. The weight is a number of observations."""
FIXED_SHARE = 0.25
"""How uncertain the fixed part is before any observation, as a share."""
LEAST_FACTOR = 0.1
"""The least factor that is believed, whatever an endpoint says: no estimate falls below 0."""
ROUNDING = 2.0
"""The number of tokens by which even a known prompt differs from the line."""
_CLASSES = tuple(TextClass)


@dataclass(frozen=True, slots=True)
class Observation:
    """One request of the job whose prompt Claude has counted."""

    text_class: TextClass
    counted: int
    """cl100k tokens of the document."""
    prompt_tokens: int


class Prompts(NamedTuple):
    """The sum of requests whose documents are of one class of text."""

    requests: int
    counted: int
    """cl100k tokens of all their documents."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of the line: means, their covariance, and how far single requests lie from the line."""

    requests: int
    """How many observations the line rests on."""
    scatter: float
    """The standard deviation of a document's tokens around the line, as a share of these tokens."""
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    bias: float
    """How far the evidence itself may be off, as a share at the bounds."""

    def factor(self, text_class: TextClass) -> float:
        """Return Claude tokens per cl100k token."""
        return self.mean[_index(text_class)]

    @property
    def fixed(self) -> Interval:
        """The Claude tokens of the part that every request carries."""
        return self.prompts({TextClass.PROSE: Prompts(1, 0)})

    def prompts(self, classes: Mapping[TextClass, Prompts], *, fixed: float = 1.0) -> Interval:
        """Estimate Claude's tokens of many requests together, without the scatter of single requests.

        `fixed` is the weight of the fixed part.
        """
        weights = [0.0] * len(self.mean)
        for kind, prompts in classes.items():
            weights[0] += fixed * prompts.requests
            weights[_index(kind)] += prompts.counted
        mean = math.fsum(map(operator.mul, weights, self.mean))
        variance = math.fsum(
            weight * math.fsum(map(operator.mul, weights, row))
            for weight, row in zip(weights, self.covariance, strict=True)
            if weight
        )
        half = math.hypot(self._quantile * math.sqrt(max(variance, 0.0)), self.bias * mean)
        return Interval(mean, max(mean - half, 0.0), mean + half)

    @property
    def _quantile(self) -> float:
        """Student's quantile, to the first order, because the scatter is estimated too."""
        return Z * (1 + (Z**2 + 1) / (4 * (self.requests + SCATTER_WEIGHT)))


def calibrate(
    observations: Sequence[Observation],
    *,
    tokenizer: Tokenizer,
    fixed_tokens: float,
    bias: float,
    step: float = 0.0,
) -> Calibration | None:
    """Correct the tokenizer's priors by observations. Returns None without observations.

    `fixed_tokens` is in cl100k tokens. `step` is how far apart the observed documents were drawn by their size, in
    cl100k tokens of all documents; 0 if they were not drawn by size. A document weighs as much as it stands for, itself
    or a step, so that the total is without bias.
    """
    if not observations:
        return None
    weighed = _weighed(observations, step)
    first = _Line.prior(tokenizer, fixed_tokens)
    for one, size in weighed:
        first.learn(one, deviation=SCATTER * size)
    scatter = _scatter(first, weighed)
    line = _Line.prior(tokenizer, fixed_tokens)
    for one, size in weighed:
        line.learn(one, deviation=scatter * size)
    return Calibration(
        requests=len(observations),
        scatter=scatter,
        mean=tuple(line.mean),
        covariance=tuple(map(tuple, line.covariance)),
        bias=bias,
    )


def _weighed(observations: Sequence[Observation], step: float) -> list[tuple[Observation, float]]:
    """Pair each observation with the size that its scatter is a share of: the less, the more tokens it stands for."""
    shares = [max(float(one.counted), step) if one.counted else 0.0 for one in observations]
    usual = math.fsum(share**2 for share in shares) / max(math.fsum(shares), 1.0)
    return [
        (one, one.counted * math.sqrt(usual / share) if share else 0.0)
        for one, share in zip(observations, shares, strict=True)
    ]


def _scatter(line: "_Line", weighed: Sequence[tuple[Observation, float]]) -> float:
    """Find the scatter from the distances to the line; the usual scatter counts as SCATTER_WEIGHT observations."""
    squares = SCATTER_WEIGHT * SCATTER**2
    weight = SCATTER_WEIGHT
    for one, size in weighed:
        if size > 0:
            factor_ = line.mean[_index(one.text_class)]
            squares += ((one.prompt_tokens - line.mean[0] - factor_ * one.counted) / (factor_ * size)) ** 2
            weight += 1
    return max(LEAST_SCATTER, math.sqrt(squares / weight))


@dataclass(slots=True)
class _Line:
    mean: list[float]
    covariance: list[list[float]]

    @classmethod
    def prior(cls, tokenizer: Tokenizer, fixed_tokens: float) -> "_Line":
        factors = [factor(tokenizer, one) for one in _CLASSES]
        deviations = [(one.high - one.low) / (2 * Z) for one in factors]
        prose = factor(tokenizer, TextClass.PROSE)
        fixed = fixed_tokens * prose.mean
        covariance = [[0.0] * (len(_CLASSES) + 1) for _ in range(len(_CLASSES) + 1)]
        covariance[0][0] = (FIXED_SHARE * fixed) ** 2
        for row, one in enumerate(deviations, 1):
            for column, other in enumerate(deviations, 1):
                covariance[row][column] = one * other * (1.0 if row == column else KINSHIP)
        return cls([fixed, *(one.mean for one in factors)], covariance)

    def learn(self, one: Observation, *, deviation: float) -> None:
        """Correct the line by an observation; `deviation` is the document's, in cl100k tokens."""
        index = _index(one.text_class)
        gains = [row[0] + one.counted * row[index] for row in self.covariance]
        expected = self.mean[0] + one.counted * self.mean[index]
        noise = (deviation * self.mean[index]) ** 2 + ROUNDING**2
        total = gains[0] + one.counted * gains[index] + noise
        off = (one.prompt_tokens - expected) / total
        fixed, *factors = (mean + gain * off for mean, gain in zip(self.mean, gains, strict=True))
        self.mean = [max(fixed, 0.0), *(max(factor_, LEAST_FACTOR) for factor_ in factors)]
        self.covariance = [
            [cell - gain * other / total for cell, other in zip(row, gains, strict=True)]
            for row, gain in zip(self.covariance, gains, strict=True)
        ]


def _index(text_class: TextClass) -> int:
    return 1 + _CLASSES.index(text_class)
