"""Whether the beginning that all requests share is marked for the prompt cache, for how long, and what it then costs.

Writing to the cache costs more than plain input, reading from it much less; both as the model's row of the price table
says. A marked beginning shorter than the model's minimum is not cached and costs what it always does. All prices here
are in multiples of the input price, which batches halve like everything else.
"""

import math
from dataclasses import dataclass

from batchrun.catalog.price import ModelPrice, Rates
from batchrun.estimation.interval import Interval
from batchrun.job.key_types import CacheMode
from batchrun.request import Ttl

LEAST_MINIMUM = 512
"""Tokens: no model caches less (API documentation, prompt caching, 2026-10-08)."""
TYPICAL_BATCH_HITS = Interval(0.7, 0.3, 0.98)
"""Shares of hits in batches: "typically 30 to 98%" (API documentation, batch processing); the mean is a guess."""
MEASURED_SPREAD = 0.3
"""How far the next batch's share may be from what was measured."""
EXTRA_WRITES, EXTRA_WRITES_AN_HOUR = 2, 1
"""Of a stream, besides the first: after pauses, and where requests meet before the first one is readable."""
FORGETS_S: dict[Ttl, float] = {"5m": 240.0, "1h": 3300.0}
"""Requests further apart than this may find the cache empty: the time to live, less a margin."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What every request of a job begins with, as far as it can be marked."""

    tokens: Interval
    """Claude tokens, schema included."""
    obstacle: str | None = None
    """Why nothing can be marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the decision depends on, for one route."""

    prefix: Prefix
    minimum: int | None
    """The least tokens that the model caches; None: not known."""
    price: ModelPrice
    requests: int
    batched: bool
    seconds: float
    """How long the run takes."""
    measured: float | None = None
    """The share of hits in the job's earlier runs on this route; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """What was decided for one route."""

    ttl: Ttl | None
    """None: nothing is marked."""
    reason: str
    hit_rate: Interval
    """The share of requests that read the prefix instead of writing it, if it is cached at all."""
    tokens: Interval
    """Of the prefix that is cached: 0 where it is surely too short, or not marked; `low` is 0 where that may be."""
    break_even: float | None = None
    """The share of hits above which it pays; None: it never does."""
    break_even_requests: int | None = None
    """From how many requests on one write pays."""

    def multiples(self, rates: Rates) -> Interval:
        """What a token of the prefix costs on average, in multiples of the input price."""
        if self.ttl is None or not self.tokens.high:
            return Interval(1.0, 1.0, 1.0)
        best, mean, worst = (
            prefix_multiple(rates, self.ttl, hits)
            for hits in (self.hit_rate.high, self.hit_rate.mean, self.hit_rate.low)
        )
        if not self.tokens.low:  # perhaps it is not cached
            best, worst = min(best, 1.0), max(worst, 1.0)
        return Interval(mean if self.tokens.mean else 1.0, best, worst)

    def saving(self, rates: Rates) -> Interval:
        """What a request saves on average, in tokens at the input price; negative where caching costs more."""
        multiples = self.multiples(rates)
        tokens = self.tokens.mean or self.tokens.high  # if it is longer than expected
        return Interval(
            self.tokens.mean * (1 - multiples.mean), tokens * (1 - multiples.high), tokens * (1 - multiples.low)
        )


def prefix_multiple(rates: Rates, ttl: Ttl, hits: float) -> float:
    """What a cached token costs on average, in multiples of the input price, when this share of requests reads it."""
    return prefix_nusd_per_token(rates, ttl, hits) / rates.input if rates.input else 1.0


def prefix_nusd_per_token(rates: Rates, ttl: Ttl, hits: float) -> float:
    """The same in nano-USD, streamed."""
    return hits * rates.cache_read + (1 - hits) * rates.cache_write(ttl)


def break_even(rates: Rates, ttl: Ttl) -> float | None:
    """The share of hits above which caching is cheaper, (w - 1) / (w - r); None: at no share."""
    write, plain, read = rates.cache_write(ttl), rates.input, rates.cache_read
    if read >= plain:
        return None
    return (write - plain) / (write - read) if write > plain else 0.0


def break_even_requests(rates: Rates, ttl: Ttl) -> int | None:
    """From how many requests on one write and the reads after it are cheaper; None: never."""
    share = break_even(rates, ttl)
    return None if share is None else math.floor(1 / (1 - share)) + 1


def costliest_ttl(mode: CacheMode, prefix: Prefix, *, minimum: int | None = None, streams: bool = False) -> Ttl | None:
    """The dearest mark that is to be expected, for worst cases that are planned with before it is decided.

    None: there will be none. `streams`: whether it is known that nothing is batched. What is reserved when a request is
    sent is the worst case of its own mark: of a stream so slow that it is marked for an hour, more than was planned.
    """
    least = LEAST_MINIMUM if minimum is None else minimum
    if mode == "off" or prefix.obstacle or (mode == "auto" and prefix.tokens.high < least):
        return None
    if mode == "auto":
        return "5m" if streams else "1h"
    return mode


def decide_caching(mode: CacheMode, facts: Circumstances) -> Caching:
    """Decide for one route: as the job file says, or whatever is expected to be cheapest."""
    if mode == "off":
        return _off("[prompt] cache is off")
    if facts.prefix.obstacle:
        return _off(f"nothing can be marked: {facts.prefix.obstacle}")
    if mode == "auto":
        return _cheapest(facts)
    problem = _problem(facts, mode)
    return _on(facts, mode, f"as [prompt] cache says, although {problem}" if problem else "as [prompt] cache says")


def if_cached(decided: Caching, facts: Circumstances) -> Caching | None:
    """Caching on a route, also where it was decided against; None where nothing can be cached."""
    if facts.prefix.obstacle or facts.prefix.tokens.high < _minimum(facts):
        return None
    usual: Ttl = "1h" if facts.batched else "5m"
    return decided if decided.ttl else _on(facts, usual, decided.reason)


def _cheapest(facts: Circumstances) -> Caching:
    """Mark for the time to live that suits the route, for the other one when only that pays, or not at all."""
    choices: tuple[Ttl, ...] = ("1h", "5m") if facts.batched or _gap_s(facts) > FORGETS_S["5m"] else ("5m", "1h")
    problems = {ttl: _problem(facts, ttl) for ttl in choices}
    for ttl, problem in problems.items():
        if problem is None:
            return _on(facts, ttl, _why(facts, ttl))
    return _off(str(problems[choices[0]]))


def _problem(facts: Circumstances, ttl: Ttl) -> str | None:
    """Why marking is not expected to be cheaper, or None."""
    if facts.prefix.tokens.high < _minimum(facts):
        return (
            f"what all requests begin with is at most {facts.prefix.tokens.high:,.0f} tokens,"
            f" and {facts.price.name} caches {_minimum(facts):,} or more"
        )
    share, least = break_even(facts.price.rates, ttl), break_even_requests(facts.price.rates, ttl)
    if share is None or least is None:
        return f"{facts.price.name} reads from its cache at no lower price"
    if facts.requests < least:
        return f"it takes {least} requests to pay, and there are {facts.requests}"
    if not facts.batched and (gap_s := _gap_s(facts)) > FORGETS_S[ttl]:
        return f"requests are about {gap_s / 60:,.0f} minutes apart, and the cache forgets within {ttl}"
    hits = _hits(facts).mean
    if hits > share:
        return None
    return f"{_percent(hits)} of the requests are expected to read it, and {_percent(share)} have to"


def _on(facts: Circumstances, ttl: Ttl, reason: str) -> Caching:
    tokens, minimum = facts.prefix.tokens, _minimum(facts)
    reached = Interval(*(size if size >= minimum else 0.0 for size in (tokens.mean, tokens.low, tokens.high)))
    return Caching(
        ttl=ttl,
        reason=reason,
        hit_rate=_hits(facts),
        tokens=reached,
        break_even=break_even(facts.price.rates, ttl),
        break_even_requests=break_even_requests(facts.price.rates, ttl),
    )


def _off(reason: str) -> Caching:
    nothing = Interval(0.0, 0.0, 0.0)
    return Caching(ttl=None, reason=reason, hit_rate=nothing, tokens=nothing)


def _why(facts: Circumstances, ttl: Ttl) -> str:
    rates, tokens = facts.price.rates, facts.prefix.tokens
    share = _hits(facts).mean
    words = (
        f"all requests begin with the same {tokens.mean:,.0f} tokens or so, which cost"
        f" {prefix_multiple(rates, ttl, share):.2g} of their price when {_percent(share)} of the requests read them"
    )
    if tokens.low >= _minimum(facts) and facts.minimum is not None:
        return words
    if facts.minimum is None:
        return f"{words}; the least that {facts.price.name} caches is not known, and less than that costs nothing more"
    return (
        f"{words}; it is not certain that they are the {facts.minimum:,} that {facts.price.name} needs,"
        " and fewer cost nothing more"
    )


def _percent(share: float) -> str:
    """Rounded down: all of them is another matter than nearly all."""
    return f"{math.floor(100 * share + 1e-9)}%"


def _minimum(facts: Circumstances) -> int:
    return LEAST_MINIMUM if facts.minimum is None else facts.minimum


def _gap_s(facts: Circumstances) -> float:
    return facts.seconds / max(facts.requests, 1)


def _hits(facts: Circumstances) -> Interval:
    """The share of requests that find the prefix in the cache. The first one never does."""
    most = 1 - 1 / max(facts.requests, 1)
    if facts.batched:
        return _batch_hits(facts.measured).capped(most)
    extra = EXTRA_WRITES + EXTRA_WRITES_AN_HOUR * facts.seconds / 3600
    low = max(0.0, most - extra / max(facts.requests, 1))
    measured = 1.0 if facts.measured is None else facts.measured
    return Interval(min(most, measured), min(low, measured), most)


def _batch_hits(measured: float | None) -> Interval:
    if measured is None:
        return TYPICAL_BATCH_HITS
    return Interval(measured, max(0.0, measured - MEASURED_SPREAD), min(1.0, measured + MEASURED_SPREAD))
