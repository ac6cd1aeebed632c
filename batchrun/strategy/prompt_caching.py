"""Whether the prefix that all requests share is marked for the prompt cache, for how long, and what the prefix costs.

Writing to the cache costs more than plain input, and reading from the cache much less; both prices are in the model's
row of the price table. A marked prefix shorter than the model's minimum is not cached and costs the plain price. All
prices here are multiples of the input price, which batches halve like every other price.
"""

import math
from dataclasses import dataclass

from batchrun.catalog.price import ModelPrice, Rates
from batchrun.estimation.interval import Interval
from batchrun.job.key_types import CacheMode
from batchrun.request import Ttl

LEAST_MINIMUM = 512
"""The fewest tokens that any model caches (API documentation, prompt caching, 2026-10-08)."""
TYPICAL_BATCH_HITS = Interval(0.7, 0.3, 0.98)
"""Shares of hits in batches: "typically 30 to 98%" (API documentation, batch processing); the mean is a guess."""
MEASURED_SPREAD = 0.3
"""How far the next batch's share of hits may be from the measured share."""
EXTRA_WRITES, EXTRA_WRITES_AN_HOUR = 2, 1
"""Writes of a stream besides the first write: after pauses, and by requests that start before the first is readable."""
FORGETS_S: dict[Ttl, float] = {"5m": 240.0, "1h": 3300.0}
"""Seconds between requests from which on the cache may be empty: the time to live, less a margin."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning that all requests of a job share, as far as the beginning can be marked."""

    tokens: Interval
    """Tokens as Claude counts them, schema included."""
    obstacle: str | None = None
    """Why nothing can be marked. None if the prefix can be marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachingFacts:
    """The facts that the decision about one route depends on."""

    prefix: Prefix
    minimum: int | None
    """The fewest tokens that the model caches. None if the number is not known."""
    price: ModelPrice
    requests: int
    batched: bool
    seconds: float
    """How many seconds the run takes."""
    measured: float | None = None
    """The share of hits in the job's earlier runs on this route. None if there were none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """The decision about one route."""

    ttl: Ttl | None
    """The time to live of the mark. None if nothing is marked."""
    reason: str
    hit_rate: Interval
    """The share of requests that read the prefix instead of writing the prefix, if the prefix is cached at all."""
    tokens: Interval
    """Tokens of the cached prefix: 0 if the prefix is surely too short or not marked. `low` is 0 if that may be."""
    break_even: float | None = None
    """The share of hits above which caching pays. None if caching never pays."""
    break_even_requests: int | None = None
    """The number of requests from which on one write pays. None if caching never pays."""

    def multiples(self, rates: Rates) -> Interval:
        """Return what a token of the prefix costs on average, in multiples of the input price."""
        if self.ttl is None or not self.tokens.high:
            return Interval(1.0, 1.0, 1.0)
        best, mean, worst = (
            prefix_multiple(rates, self.ttl, hits)
            for hits in (self.hit_rate.high, self.hit_rate.mean, self.hit_rate.low)
        )
        if not self.tokens.low:  # perhaps the prefix is not cached
            best, worst = min(best, 1.0), max(worst, 1.0)
        return Interval(mean if self.tokens.mean else 1.0, best, worst)

    def saving(self, rates: Rates) -> Interval:
        """Return what a request saves on average, in tokens at the input price. Negative if caching costs more."""
        multiples = self.multiples(rates)
        tokens = self.tokens.mean or self.tokens.high  # if the prefix is longer than expected
        return Interval(
            self.tokens.mean * (1 - multiples.mean), tokens * (1 - multiples.high), tokens * (1 - multiples.low)
        )


def prefix_multiple(rates: Rates, ttl: Ttl, hits: float) -> float:
    """Return what a cached token costs on average, in multiples of the input price; `hits` is the share of reads."""
    return prefix_nusd_per_token(rates, ttl, hits) / rates.input if rates.input else 1.0


def prefix_nusd_per_token(rates: Rates, ttl: Ttl, hits: float) -> float:
    """Return what a cached token costs on average when streamed, in nano-USD; `hits` is the share of reads."""
    return hits * rates.cache_read + (1 - hits) * rates.cache_write(ttl)


def break_even(rates: Rates, ttl: Ttl) -> float | None:
    """Return the share of hits above which caching is cheaper, (w - 1) / (w - r), or None if there is no such share."""
    write, plain, read = rates.cache_write(ttl), rates.input, rates.cache_read
    if read >= plain:
        return None
    return (write - plain) / (write - read) if write > plain else 0.0


def break_even_requests(rates: Rates, ttl: Ttl) -> int | None:
    """Return the number of requests from which on one write and the reads after it are cheaper, or None if never."""
    share = break_even(rates, ttl)
    return None if share is None else math.floor(1 / (1 - share)) + 1


def costliest_ttl(mode: CacheMode, prefix: Prefix, *, minimum: int | None = None, streams: bool = False) -> Ttl | None:
    """Return the costliest time to live that a mark may get, for worst cases before the mark is decided.

    Returns None if there will be no mark. `streams` says that nothing is batched. A request that is sent reserves the
    worst case of its own mark, which is more than was planned if the stream is so slow that the mark is for an hour.
    """
    least = LEAST_MINIMUM if minimum is None else minimum
    if mode == "off" or prefix.obstacle or (mode == "auto" and prefix.tokens.high < least):
        return None
    if mode == "auto":
        return "5m" if streams else "1h"
    return mode


def decide_caching(mode: CacheMode, facts: CachingFacts) -> Caching:
    """Decide about one route: as the job file says, or what is expected to be cheapest."""
    if mode == "off":
        return _off("[prompt] cache is off")
    if facts.prefix.obstacle:
        return _off(f"nothing can be marked: {facts.prefix.obstacle}")
    if mode == "auto":
        return _cheapest(facts)
    problem = _problem(facts, mode)
    return _on(facts, mode, f"as [prompt] cache says, although {problem}" if problem else "as [prompt] cache says")


def if_cached(decided: Caching, facts: CachingFacts) -> Caching | None:
    """Return the caching of a route even if the decision was against caching. Returns None if nothing can be cached."""
    if facts.prefix.obstacle or facts.prefix.tokens.high < _minimum(facts):
        return None
    usual: Ttl = "1h" if facts.batched else "5m"
    return decided if decided.ttl else _on(facts, usual, decided.reason)


def _cheapest(facts: CachingFacts) -> Caching:
    """Mark for the time to live that suits the route, for the other one if only that one pays, or not at all."""
    choices: tuple[Ttl, ...] = ("1h", "5m") if facts.batched or _gap_s(facts) > FORGETS_S["5m"] else ("5m", "1h")
    problems = {ttl: _problem(facts, ttl) for ttl in choices}
    for ttl, problem in problems.items():
        if problem is None:
            return _on(facts, ttl, _why(facts, ttl))
    return _off(str(problems[choices[0]]))


def _problem(facts: CachingFacts, ttl: Ttl) -> str | None:
    """Say why marking is not expected to be cheaper. Returns None if marking is."""
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


def _on(facts: CachingFacts, ttl: Ttl, reason: str) -> Caching:
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


def _why(facts: CachingFacts, ttl: Ttl) -> str:
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
    """Write a share rounded down, because 100% has to mean all."""
    return f"{math.floor(100 * share + 1e-9)}%"


def _minimum(facts: CachingFacts) -> int:
    return LEAST_MINIMUM if facts.minimum is None else facts.minimum


def _gap_s(facts: CachingFacts) -> float:
    return facts.seconds / max(facts.requests, 1)


def _hits(facts: CachingFacts) -> Interval:
    """Return the share of requests that find the prefix in the cache. The first request never does."""
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
