"""Whether prefix and documents are marked for the prompt cache, for how long, and what they then cost.

Writing to the cache costs more than plain input, and reading from the cache much less: the model's row of the price
table has both prices. A marked prefix shorter than the model's minimum is not cached and costs the plain price. All
prices here are in multiples of the input price, which batches halve like everything else.

The prefix is what all requests of a job begin with. A document is marked where several turns ask about the document,
one after the other, by words that stand behind the document.
"""

import math
from dataclasses import dataclass, replace

from batchrun.catalog.price import ModelPrice, Rates
from batchrun.estimation.interval import NOTHING, Interval
from batchrun.job.key_types import CacheMode
from batchrun.request import Ttl

LEAST_MINIMUM = 512
"""The least tokens that any model caches (API documentation, prompt caching, 2026-10-08)."""
TYPICAL_BATCH_HITS = Interval(0.7, 0.3, 0.98)
"""Shares of hits in batches: "typically 30 to 98%" (API documentation, batch processing). The mean is a guess."""
MEASURED_SPREAD = 0.3
"""How far the next batch's share of hits may be from the measured share."""
EXTRA_WRITES, EXTRA_WRITES_AN_HOUR = 2, 1
"""Writes of a stream besides the first one: after pauses, and for requests sent before the first write is readable."""
DOCUMENT_HITS = Interval(0.99, 0.95, 1.0)
"""The share of further turns that read the document, when streaming: the next turn follows the reply at once, and the
pauses in which the cache forgets are outages. A guess."""
DOCUMENT_HITS_IN_BATCHES = Interval(0.3, 0.0, 0.98)
"""The same in batches, where every turn is a batch of its own, and most batches end within an hour. A guess."""
FORGETS_S: dict[Ttl, float] = {"5m": 240.0, "1h": 3300.0}
"""Seconds between requests from which on the cache may be empty: the time to live, less a margin."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The part of a prompt that every request of a job begins with and that can be marked."""

    tokens: Interval
    """Tokens as Claude counts them, schema included."""
    obstacle: str | None = None
    """Why nothing can be marked. None if the prefix can be marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachingFacts:
    """The facts that the decision about one route depends on."""

    prefix: Prefix
    minimum: int | None
    """The least tokens that the model caches. None if the number is not known."""
    price: ModelPrice
    requests: int
    batched: bool
    seconds: float
    """How many seconds the run takes."""
    measured: float | None = None
    """The share of hits in the job's earlier runs on this route. None if the share is not known."""
    document_turns: int = 1
    """How many turns ask about a document by words behind the document. 1 where something else comes first."""

    @property
    def least(self) -> int:
        """The least tokens that the model caches, or that any model caches if the model's number is not known."""
        return least_cached(self.minimum)

    @property
    def gap_s(self) -> float:
        """The average time between two requests."""
        return self.seconds / max(self.requests, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """The decision about one route."""

    ttl: Ttl | None
    """The time to live of the mark. None if nothing is marked."""
    reason: str
    hit_rate: Interval
    """The share of requests that read the prefix instead of writing it, if the prefix is cached at all."""
    tokens: Interval
    """The tokens of the cached prefix: 0 if the prefix is surely too short, or not marked. `low` is 0 if it may be."""
    break_even: float | None = None
    """The share of hits above which the cache pays. None if the cache never pays."""
    break_even_requests: int | None = None
    """The number of requests from which on one write pays."""
    document_ttl: Ttl | None = None
    """The time to live of the mark at the end of a document that several turns ask about. None if none is marked."""
    document_hits: Interval = NOTHING
    """The share of a document's further turns that read the document."""

    @property
    def marks(self) -> bool:
        """Whether anything is marked."""
        return self.ttl is not None or self.document_ttl is not None

    def document_saving(self, rates: Rates, turns: int) -> Interval:
        """Return what the turns of a marked document save together, in multiples of the document's price as input."""
        if self.document_ttl is None:
            return NOTHING
        write = rates.cache_write(self.document_ttl) / rates.input
        mean, low, high = (
            turns - write - (turns - 1) * prefix_multiple(rates, self.document_ttl, hits)
            for hits in (self.document_hits.mean, self.document_hits.low, self.document_hits.high)
        )
        return Interval(mean, low, high)

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
        tokens = self.tokens.mean or self.tokens.high  # the prefix may be longer than expected
        return Interval(
            self.tokens.mean * (1 - multiples.mean), tokens * (1 - multiples.high), tokens * (1 - multiples.low)
        )


def prefix_multiple(rates: Rates, ttl: Ttl, hits: float) -> float:
    """Return what a cached token costs on average, in multiples of the input price. `hits` is the share of reads."""
    nusd = hits * rates.cache_read + (1 - hits) * rates.cache_write(ttl)
    return nusd / rates.input if rates.input else 1.0


def break_even(rates: Rates, ttl: Ttl) -> float | None:
    """Return the share of hits above which caching is cheaper, (w - 1) / (w - r), or None if there is no such share."""
    write, plain, read = rates.cache_write(ttl), rates.input, rates.cache_read
    if read >= plain:
        return None
    return (write - plain) / (write - read) if write > plain else 0.0


def break_even_requests(rates: Rates, ttl: Ttl) -> int | None:
    """Return the number of requests from which on one write with its reads is cheaper, or None if there is none."""
    share = break_even(rates, ttl)
    return None if share is None else math.floor(1 / (1 - share)) + 1


def costliest_ttl(mode: CacheMode, prefix: Prefix, *, minimum: int | None = None, streams: bool = False) -> Ttl | None:
    """Return the costliest mark that is to be expected, for worst cases that are needed before caching is decided.

    Returns None if there will be no mark. `streams` says whether it is known that nothing is batched. When a request is
    sent, the worst case of its own mark is reserved: that is more than was planned if a stream is so slow that it is
    marked for an hour.
    """
    least = least_cached(minimum)
    if mode == "off" or prefix.obstacle or (mode == "auto" and prefix.tokens.high < least):
        return None
    if mode == "auto":
        return "5m" if streams else "1h"
    return mode


def least_cached(minimum: int | None) -> int:
    """Return the least tokens that a model caches; `minimum` is the model's own number, if that is known."""
    return LEAST_MINIMUM if minimum is None else minimum


def longest(one: Ttl | None, other: Ttl | None) -> Ttl | None:
    """Return the longer, and costlier, of two times to live; None stands for no mark."""
    return "1h" if "1h" in {one, other} else one or other


def document_ttl(mode: CacheMode, rates: Rates, *, turns: int, batched: bool) -> Ttl | None:
    """Return for how long documents are marked that so many turns ask about. Returns None if the mark does not pay.

    The turns of a stream follow one another at once. When the next batch is asked, nobody knows: documents in batches
    are marked only if the job file says an hour.
    """
    ttl: Ttl = "1h" if batched else "5m"
    if mode == "off" or (batched and mode != "1h"):
        return None
    least = break_even_requests(rates, ttl)
    return ttl if turns > 1 and least is not None and turns >= least else None


def costliest_document_ttl(mode: CacheMode, rates: Rates, *, turns: int, streams: bool) -> Ttl | None:
    """Return the costliest mark of documents that is to be expected, as `costliest_ttl` does for the prefix."""
    streamed, batched = (document_ttl(mode, rates, turns=turns, batched=batched) for batched in (False, True))
    return streamed if streams else longest(streamed, batched)


def decide_caching(mode: CacheMode, facts: CachingFacts) -> Caching:
    """Decide for one route: what the job file says, or what is expected to be cheapest."""
    rates, turns = facts.price.rates, facts.document_turns
    return marking_documents(_decide_prefix(mode, facts), mode, rates, turns=turns, batched=facts.batched)


def marking_documents(caching: Caching, mode: CacheMode, rates: Rates, *, turns: int, batched: bool) -> Caching:
    """Return the decision with what is decided for documents that so many turns ask about."""
    ttl = document_ttl(mode, rates, turns=turns, batched=batched)
    hits = DOCUMENT_HITS_IN_BATCHES if batched else DOCUMENT_HITS
    return replace(caching, document_ttl=ttl, document_hits=hits if ttl else NOTHING)


def _decide_prefix(mode: CacheMode, facts: CachingFacts) -> Caching:
    if mode == "off":
        return _off("[prompt] cache is off")
    if facts.prefix.obstacle:
        return _off(f"nothing can be marked: {facts.prefix.obstacle}")
    if mode == "auto":
        return _cheapest(facts)
    problem = _problem(facts, mode)
    return _on(facts, mode, f"as [prompt] cache says, although {problem}" if problem else "as [prompt] cache says")


def if_cached(decided: Caching, facts: CachingFacts) -> Caching | None:
    """Return the caching of a route, even if it was decided against, or None if nothing can be cached."""
    if decided.document_ttl:
        return decided
    if facts.prefix.obstacle or facts.prefix.tokens.high < facts.least:
        return None
    usual: Ttl = "1h" if facts.batched else "5m"
    return decided if decided.ttl else _on(facts, usual, decided.reason)


def _cheapest(facts: CachingFacts) -> Caching:
    """Mark for the time to live that suits the route, for the other time if only that one pays, or not at all."""
    choices: tuple[Ttl, ...] = ("1h", "5m") if facts.batched or facts.gap_s > FORGETS_S["5m"] else ("5m", "1h")
    problems = {ttl: _problem(facts, ttl) for ttl in choices}
    for ttl, problem in problems.items():
        if problem is None:
            return _on(facts, ttl, _why(facts, ttl))
    return _off(str(problems[choices[0]]))


def _problem(facts: CachingFacts, ttl: Ttl) -> str | None:
    """Return why marking is not expected to be cheaper, or None if it is."""
    if facts.prefix.tokens.high < facts.least:
        return (
            f"what all requests begin with is at most {facts.prefix.tokens.high:,.0f} tokens,"
            f" and {facts.price.name} caches {facts.least:,} or more"
        )
    share, least = break_even(facts.price.rates, ttl), break_even_requests(facts.price.rates, ttl)
    if share is None or least is None:
        return f"{facts.price.name} reads from its cache at no lower price"
    if facts.requests < least:
        return f"it takes {least} requests to pay, and there {'is' if facts.requests == 1 else 'are'} {facts.requests}"
    if not facts.batched and facts.gap_s > FORGETS_S[ttl]:
        return f"requests are about {facts.gap_s / 60:,.0f} minutes apart, and the cache forgets within {ttl}"
    hits = _hits(facts).mean
    if hits > share:
        return None
    return f"{_percent(hits)} of the requests are expected to read it, and {_percent(share)} have to"


def _on(facts: CachingFacts, ttl: Ttl, reason: str) -> Caching:
    tokens = facts.prefix.tokens
    reached = Interval(*(size if size >= facts.least else 0.0 for size in (tokens.mean, tokens.low, tokens.high)))
    return Caching(
        ttl=ttl,
        reason=reason,
        hit_rate=_hits(facts),
        tokens=reached,
        break_even=break_even(facts.price.rates, ttl),
        break_even_requests=break_even_requests(facts.price.rates, ttl),
    )


def _off(reason: str) -> Caching:
    return Caching(ttl=None, reason=reason, hit_rate=NOTHING, tokens=NOTHING)


def _why(facts: CachingFacts, ttl: Ttl) -> str:
    rates, tokens = facts.price.rates, facts.prefix.tokens
    share = _hits(facts).mean
    words = (
        f"all requests begin with the same {tokens.mean:,.0f} tokens or so, which cost"
        f" {prefix_multiple(rates, ttl, share):.2g} of their price when {_percent(share)} of the requests read them"
    )
    if tokens.low >= facts.least and facts.minimum is not None:
        return words
    if facts.minimum is None:
        return f"{words}; the least that {facts.price.name} caches is not known, and less than that costs nothing more"
    return (
        f"{words}; it is not certain that they are the {facts.minimum:,} that {facts.price.name} needs,"
        " and fewer cost nothing more"
    )


def _percent(share: float) -> str:
    """Round a share down: all requests is another matter than nearly all."""
    return f"{math.floor(100 * share + 1e-9)}%"


def _hits(facts: CachingFacts) -> Interval:
    """Return the share of requests that find the prefix in the cache. The first request never does."""
    most, measured = 1 - 1 / max(facts.requests, 1), facts.measured
    if facts.batched:
        if measured is None:
            return TYPICAL_BATCH_HITS.capped(most)
        return Interval(measured, max(0.0, measured - MEASURED_SPREAD), measured + MEASURED_SPREAD).capped(most)
    extra = EXTRA_WRITES + EXTRA_WRITES_AN_HOUR * facts.seconds / 3600
    low = max(0.0, most - extra / max(facts.requests, 1))
    return Interval(most, low, most) if measured is None else Interval(min(most, measured), min(low, measured), most)
