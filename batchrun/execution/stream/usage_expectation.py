"""What a request will probably use, learned from what earlier requests used."""

from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.reply import Usage

MEMORY = 0.99
PRIOR_WEIGHT = 3_000.0
"""How many input tokens of replies weigh as much as the estimate from before any reply."""
READS_MEMORY = 0.9
"""The memory for reads from the prompt cache: the prefix is found or missed for many requests in a row."""
PRIOR_REPLIES = 2
"""Replies' worth of belief in the guess of how long replies are, which is made from the schema."""


class UsageRatio:
    """Actual over estimated usage, with recent requests counting most."""

    def __init__(self, belief: float = PRIOR_WEIGHT) -> None:
        self._belief = belief
        self._actual = self._estimated = 0.0

    def learn(self, *, actual: float, estimated: float) -> None:
        """Take one settled request into account."""
        self._actual = MEMORY * self._actual + actual
        self._estimated = MEMORY * self._estimated + estimated

    @property
    def value(self) -> float:
        """The factor for an estimate."""
        return (self._actual + self._belief) / (self._estimated + self._belief)


class UsageExpectation:
    """Expected tokens of requests of one job, for pacing only: money is reserved at its worst case."""

    def __init__(self, estimator: Estimator, *, shares_writes: bool = True) -> None:
        """Begin with the estimate. `shares_writes` says whether other requests read what a request writes."""
        self._estimator = estimator
        self._shares_writes = shares_writes
        self._input, self._output = UsageRatio(), UsageRatio(max(1.0, PRIOR_REPLIES * estimator.output.mean))
        self._read: float | None = None
        """Tokens that a request finds in the prompt cache; None until something was written or found there."""

    def input_tokens(self, tokens: RequestTokens) -> float:
        """Return the expected input tokens that count to the limit. Tokens read from the cache do not count."""
        return max(1.0, self._estimator.input(tokens).mean * self._input.value - (self._read or 0.0))

    def output_tokens(self) -> float:
        """Return the output tokens that replies have needed. The limit counts those, and not `max_tokens`."""
        return self._estimator.output.mean * self._output.value

    def learn(self, tokens: RequestTokens, usage: Usage) -> None:
        """Compare one reply's usage with the estimate."""
        self._input.learn(actual=usage.prompt_tokens, estimated=self._estimator.input(tokens).mean)
        self._output.learn(actual=usage.output_tokens, estimated=self._estimator.output.mean)
        read = usage.cache_read_tokens
        if self._read is None:  # what this request has written is there from now on
            self._read = float(read + (usage.cache_write_tokens if self._shares_writes else 0)) or None
        else:
            self._read = READS_MEMORY * self._read + (1 - READS_MEMORY) * read
