"""What requests whose tokens are known tell of the others: Claude's tokens of a prompt, as a line over cl100k's count.

    prompt tokens = fixed + factor(text class) x counted

Fixed part and factors begin as the priors of the model's tokenizer say and are corrected by one observation after the
other (recursive least squares, which is a Kalman filter whose state stands still). So two observations say a little,
two thousand nearly everything, and a class that nobody has observed moves with the others, as far as they are akin.
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
"""A normal variable stays within so many standard deviations nine times in ten."""
KINSHIP = 0.5
"""How far the factors of two classes err together: a tokenizer that is finer than believed is so for all texts."""
SCATTER, SCATTER_WEIGHT, LEAST_SCATTER = 0.05, 4.0, 0.01
"""How far single texts of one class differ, as a share: 1.4 to 7% was measured (`algorithms-study.md` 2.1). The
weight is in observations."""
FIXED_SHARE = 0.25
"""How uncertain the fixed part is before anything was seen, beside the factor of prose."""
LEAST_FACTOR = 0.1
"""Fewer tokens than that of a cl100k token are not believed, whatever an endpoint says: no estimate falls below 0."""
ROUNDING = 2.0
"""Tokens by which even a known prompt differs from the line."""
_CLASSES = tuple(TextClass)


@dataclass(frozen=True, slots=True)
class Observation:
    """One request of the job whose prompt Claude has counted."""

    text_class: TextClass
    counted: int
    """cl100k tokens of the document."""
    prompt_tokens: int


class Prompts(NamedTuple):
    """Requests whose documents are of one class of text, together."""

    requests: int
    counted: int
    """cl100k tokens of all their documents."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The line as far as it is known: means, their covariance, and how far single requests lie from it."""

    requests: int
    """Observations it rests on."""
    scatter: float
    """Standard deviation of a document's tokens around the line, as a share of them."""
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    bias: float
    """What the whole of it may be off by, as a share at the bounds: of the evidence itself."""

    def factor(self, text_class: TextClass) -> float:
        """Claude tokens per cl100k token."""
        return self.mean[_index(text_class)]

    @property
    def fixed(self) -> Interval:
        """Claude tokens of the part that every request carries."""
        return self.prompts({TextClass.PROSE: Prompts(1, 0)})

    def prompts(self, classes: Mapping[TextClass, Prompts], *, fixed: float = 1.0) -> Interval:
        """Claude tokens of many requests together; how far single requests differ is not in it.

        `fixed`: by how much the fixed part counts.
        """
        weights = [0.0] * len(self.mean)
        for kind, prompts in classes.items():
            weights[0] += fixed * prompts.requests
            weights[_index(kind)] += prompts.counted
        mean = math.fsum(map(operator.mul, weights, self.mean))
        variance = math.fsum(
            weight * math.fsum(map(operator.mul, weights, row))
            for weight, row in zip(weights, self.covariance, strict=True)
        )
        half = math.hypot(self._quantile * math.sqrt(max(variance, 0.0)), self.bias * mean)
        return Interval(mean, max(mean - half, 0.0), mean + half)

    @property
    def _quantile(self) -> float:
        """Student's, to the first order: the scatter is estimated too."""
        return Z * (1 + (Z**2 + 1) / (4 * (self.requests + SCATTER_WEIGHT)))


def calibrate(
    observations: Sequence[Observation],
    *,
    tokenizer: Tokenizer,
    fixed_tokens: float,
    bias: float,
    step: float = 0.0,
) -> Calibration | None:
    """Correct the tokenizer's priors by what was observed; None when nothing was. `fixed_tokens` in cl100k tokens.

    `step`: how far apart, in cl100k tokens of all documents, those were that were drawn by their size; 0 when that had
    no influence. A document weighs as much as it stands for, itself or a step, so that the total is without bias.
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
    """Each with the size that its document's scatter is a share of: the less, the more tokens it stands for."""
    shares = [max(float(one.counted), step) if one.counted else 0.0 for one in observations]
    usual = math.fsum(share**2 for share in shares) / max(math.fsum(shares), 1.0)
    return [
        (one, one.counted * math.sqrt(usual / share) if share else 0.0)
        for one, share in zip(observations, shares, strict=True)
    ]


def _scatter(line: "_Line", weighed: Sequence[tuple[Observation, float]]) -> float:
    """From the distances to the line, with the usual scatter as so many observations more."""
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
        """`deviation`: of the document, in cl100k tokens."""
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
