"""How long answers take: log-normal around a time to the first token and a pace of tokens."""

import math
from dataclasses import dataclass
from statistics import NormalDist

_STANDARD = NormalDist()
_TINY = 1e-12  # the normal distribution has no value at 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Medians, and the spread of their logarithms."""

    first_token_s: float = 0.8
    tokens_per_s: float = 90.0
    spread: float = 0.35

    def wait_for_first_token(self, chance: float) -> float:
        """Return the seconds before anything comes; `chance` in [0, 1) says how lucky this request is."""
        return self.first_token_s * self._factor(chance)

    def time_to_produce(self, tokens: int, chance: float) -> float:
        """Return the seconds from the first token to the last."""
        return tokens / self.tokens_per_s * self._factor(chance)

    def _factor(self, chance: float) -> float:
        return math.exp(self.spread * _STANDARD.inv_cdf(max(chance, _TINY)))


INSTANT = Latency(first_token_s=0.0, tokens_per_s=math.inf, spread=0.0)
"""Answers at once: for tests and for measuring the client."""
