"""One row of the price table: a model's prices and properties, and the exact arithmetic of a request's cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from batchrun.answers.asking import ToolChoice
from batchrun.reply import Usage
from batchrun.request import Ttl

Tokenizer = Literal["new", "old", "cl100k_base", "o200k_base", "unknown"]
"""Claude's tokenizers, from version 4.7 on and before, OpenAI's by their names, and that of a server of one's own."""
MOST_TOOL_PROMPT = 804
"""The most tokens of the system prompt that the API adds for tools, of all models that are published."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices in whole nano-USD per token, by the API's classes of token."""

    input: int
    output: int
    cache_write_5m: int
    cache_write_1h: int
    cache_read: int

    def cost_nusd(self, usage: Usage) -> int:
        """Price every class of token of a reply."""
        return (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_write_5m_tokens * self.cache_write_5m
            + usage.cache_write_1h_tokens * self.cache_write_1h
            + usage.cache_read_tokens * self.cache_read
        )

    def cache_write(self, ttl: Ttl) -> int:
        """Give the price of a token that is written to the prompt cache."""
        return self.cache_write_1h if ttl == "1h" else self.cache_write_5m

    def costliest_prefix(self, ttl: Ttl) -> int:
        """Give the most that a token marked for the cache can cost: a prefix below the minimum is plain input."""
        return max(self.input, self.cache_write(ttl), self.cache_read)


@dataclass(frozen=True, slots=True)
class Band:
    """Other rates for requests whose prompt is longer than `above_tokens`, their output included."""

    above_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class PublishedLimits:
    """Requests and tokens a minute that the Start tier grants, as published."""

    requests_per_minute: int
    input_tokens_per_minute: int
    output_tokens_per_minute: int
    shared: str | None = None
    """The name of the bucket that several models draw on. None for a model that has its limits for itself."""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """The rates that one request was priced by, and the table that they are from."""

    model: str
    table_date: date
    valid_from: date | None
    source: str
    above_tokens: int | None
    """The bound of the band, if the prompt was longer than the bound."""
    divisor: int
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """One model of the price table."""

    name: str
    rates: Rates
    band: Band | None = None
    context_window: int
    max_output_tokens: int
    tokenizer: Tokenizer
    effort_levels: tuple[str, ...] = ()
    """The efforts that the model takes; empty if it takes none."""
    default_effort: str | None = None
    thinking: tuple[str, ...] = ()
    """The values of `thinking` that the model accepts."""
    thinks_by_default: bool = False
    forced_tools: bool = True
    """Whether a request may force the model to call a tool."""
    tool_prompt_tokens: Mapping[ToolChoice, int]
    """The tokens of the system prompt that the API adds to a request with tools."""
    max_effort_without_thinking: str | None = None
    """The highest effort at which thinking may be switched off; None for every effort."""
    retires: date | None = None
    """The announced day of retirement; None while no day is announced."""
    valid_from: date | None = None
    """The first day of these prices; None if they have no first day."""
    min_cacheable_tokens: int | None = None
    """The shortest prefix that the API caches (prompt caching page); None if unknown. A shorter one fails silently."""
    limits: PublishedLimits
    table_date: date
    """The date of the table this row is from."""
    source: str
    """The name of that table, as shown to people."""
    divisor: int = 1
    """The divisor of every sum: 2 in Message Batches, where half of a rate need not be a whole number."""

    @property
    def bucket(self) -> str:
        """The name of the rate limits that the model draws on; two providers, which come before a `/`, share none."""
        if self.limits.shared is None:
            return self.name
        provider, slash, _ = self.name.partition("/")
        return f"{provider}/{self.limits.shared}" if slash else self.limits.shared

    @property
    def in_batches(self) -> "ModelPrice":
        """The same model in Message Batches: half of every column (pricing page, Batch API)."""
        return replace(self, divisor=2)

    def tool_choice(self, thinking: str | None) -> ToolChoice:
        """Choose how a request with this `thinking` may ask for a call of a tool.

        A model that is asked to think refuses to be forced. A model that thinks unless told otherwise takes the force,
        and does not think.
        """
        return "forced" if self.forced_tools and thinking in {None, "disabled"} else "auto"

    def rates_for(self, prompt_tokens: float) -> Rates:
        """Choose the rates of a request by the length of its whole prompt, cached or not."""
        if self.band is not None and prompt_tokens > self.band.above_tokens:
            return self.band.rates
        return self.rates

    def row(self, usage: Usage) -> PriceRow:
        """Return the price row by which `cost_nusd` prices a request."""
        rates = self.rates_for(usage.prompt_tokens)
        above = self.band.above_tokens if self.band and rates is self.band.rates else None
        return PriceRow(self.name, self.table_date, self.valid_from, self.source, above, self.divisor, rates)

    def cost_nusd(self, usage: Usage) -> int:
        """Price one request exactly. Never sum usages first: the band is decided request by request."""
        return self._divided(self.rates_for(usage.prompt_tokens).cost_nusd(usage))

    def worst_case_nusd(
        self, *, prompt_tokens: int, max_tokens: int, prefix_tokens: int = 0, ttl: Ttl | None = None
    ) -> int:
        """Bound the cost of a request from above, whatever comes back; thinking counts inside `max_tokens`.

        `prompt_tokens` bounds the prompt, see `Estimator.most_prompt_tokens`. `prefix_tokens` bounds the part of the
        prompt that is marked for the cache, for the time `ttl`.
        """
        short = prompt_tokens if self.band is None else min(prompt_tokens, self.band.above_tokens)
        worst = _bound(self.rates, short, max_tokens=max_tokens, marked=prefix_tokens, ttl=ttl)
        if self.band is None or prompt_tokens <= self.band.above_tokens:
            return self._divided(worst)
        other = _bound(self.band.rates, prompt_tokens, max_tokens=max_tokens, marked=prefix_tokens, ttl=ttl)
        return self._divided(max(worst, other))

    def _divided(self, cost_nusd: int) -> int:
        return -(-cost_nusd // self.divisor)  # rounded up


def _bound(rates: Rates, prompt_tokens: int, *, max_tokens: int, marked: int, ttl: Ttl | None) -> int:
    dearer = rates.costliest_prefix(ttl) - rates.input if ttl else 0
    return prompt_tokens * rates.input + min(marked, prompt_tokens) * dearer + max_tokens * rates.output
