"""How long replies take: log-normal around a time to the first token and a pace of tokens."""

import math
from statistics import NormalDist
from typing import NamedTuple

_STANDARD = NormalDist()
_TINY = 1e-12  # the normal distribution has no value at 0


def spread_factor(spread: float, chance: float) -> float:
    """Return the factor on a median; `chance` in [0, 1) says how lucky the case is, `spread` is of the logarithm."""
    return math.exp(spread * _STANDARD.inv_cdf(max(chance, _TINY)))


class Latency(NamedTuple):
    """Medians, and the spread of their logarithms."""

    first_token_s: float = 0.8
    tokens_per_s: float = 90.0
    spread: float = 0.35

    def wait_for_first_token(self, chance: float) -> float:
        """Return the seconds before anything comes; `chance` in [0, 1) says how lucky the request is."""
        return self.first_token_s * spread_factor(self.spread, chance)

    def time_to_produce(self, tokens: int, chance: float) -> float:
        """Return the seconds from the first token to the last."""
        return tokens / self.tokens_per_s * spread_factor(self.spread, chance)


INSTANT = Latency(first_token_s=0.0, tokens_per_s=math.inf, spread=0.0)
"""Replies at once: for tests and for measuring the client."""
