"""The rate limiter of the models that share limits: three limits a minute, and requests are admitted in their order.

aiolimiter serves whoever waits for least first, and lets newcomers overtake, so long documents would starve. A FIFO
lock in front leaves at most one waiter at the buckets. `token_bucket.py` mends what else aiolimiter lacks.

A 429 stops everyone once, for as long as the API asks. After each such episode the rate limiter is a little more
cautious for a while; when the headers say nothing, there is nothing else to go by. Where the API says that usage grows
too fast (`ramp_limit_exceeded`), half of the rate is left, and grows back over minutes.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

from batchrun.catalog.rate_limits import RateLimits
from batchrun.execution.stream.learned_rate import LearnedRate
from batchrun.execution.stream.token_bucket import TokenBucket
from batchrun.execution.usage_counters import LimitsInForce, UsageCounters
from batchrun.reply import ReportedLimit, ReportedLimits, Usage

CUT, LARGEST_CUT, SOON_S = 0.02, 0.08, 10.0
"""The share by which a 429 cuts the rate. The cut doubles, up to the largest, when the 429 before was so recent."""
LEAST_CAUTIOUS, REGAINED_A_SECOND = 0.5, 0.001
SLOWEST, EASING_S = 0.05, 180.0
"""The least share of the rate after `ramp_limit_exceeded`, and how long the full rate takes to come back."""
NEVER = -math.inf


@dataclass(frozen=True, slots=True)
class Charge:
    """What one attempt was charged, and the counts at that time: later use cannot be in the headers of the answer."""

    input_tokens: float
    output_tokens: float
    at: float
    requests_then: float
    input_tokens_then: float
    produced_then: float


class RateLimiter:
    """Paces all requests that draw on the same limits, from many workers in one event loop. Times are the loop's."""

    def __init__(
        self, limits: RateLimits, *, clock: Callable[[], float], counters: UsageCounters | None = None
    ) -> None:
        self._limits = limits
        self._requests = TokenBucket(limits.requests_per_minute * limits.headroom, rounding=1)
        self._input = TokenBucket(limits.input_tokens_per_minute * limits.headroom, rounding=1_000)
        self._output = TokenBucket(limits.output_tokens_per_minute * limits.headroom, rounding=1_000)
        self._buckets = (self._requests, self._input, self._output)
        self._produced = 0.0
        """The output tokens of all attempts that have ended."""
        self._turn = asyncio.Lock()
        self._line = asyncio.Lock()
        """Where requests wait that do not go ahead: the first of them waits for the turn."""
        self._clock = clock
        self._counters = counters or UsageCounters()
        self._paused_until = NEVER
        self._heard_of = NEVER
        """When the request was admitted whose answer was the latest to say something of the limits."""
        self._trusts_credit = True
        self.reported = LimitsInForce()
        """The limits as the API reported them last."""
        self._caution, self._cut, self._cut_at = 1.0, CUT, NEVER
        self._ease, self._eased_at = 1.0, NEVER
        self._learned_rate = LearnedRate(clock)

    # --- before the send

    async def admit(self, *, input_tokens: float, output_tokens: float, ahead: bool = False) -> Charge:
        """Wait for this request's turn and charge the request. Returns what the other methods need.

        A request that goes `ahead` waits for one of the others at most.
        """
        async with nullcontext() if ahead else self._line, self._turn:
            await self._sleep("http_429", self._pause_s)
            await self._charge("requests", self._requests, 1.0)
            await self._charge("input tokens", self._input, input_tokens)
            await self._charge("output tokens", self._output, output_tokens)
            await self._sleep("requests", self._learned_rate.wait_s)
            await self._sleep("http_429", self._pause_s)  # one may have begun while this request waited at a bucket
            self._learned_rate.passes()
        return Charge(
            input_tokens, output_tokens, self._clock(), self._requests.charged, self._input.charged, self._produced
        )

    async def _charge(self, cause: str, bucket: TokenBucket, amount: float) -> None:
        began = self._clock()
        await bucket.charge(amount, share=self.share)
        self._counters.waited(cause, self._clock() - began)

    async def _sleep(self, cause: str, left_s: Callable[[], float]) -> None:
        while (wait_s := left_s()) > 0:  # the wait may be prolonged meanwhile
            await asyncio.sleep(wait_s)
            self._counters.waited(cause, wait_s)

    def _pause_s(self) -> float:
        return self._paused_until - self._clock()

    @property
    def is_busy(self) -> bool:
        """Whether a request waits for its turn, or for room."""
        return self._turn.locked()

    @property
    def share(self) -> float:
        """How much of the limits is used just now."""
        return self._eased * self._cautious

    @property
    def _eased(self) -> float:
        return min(1.0, self._ease + (self._clock() - self._eased_at) / EASING_S)

    @property
    def _cautious(self) -> float:
        return min(1.0, self._caution + (self._clock() - self._cut_at) * REGAINED_A_SECOND)

    # --- after the answer

    def settle(self, charge: Charge, usage: Usage | None) -> None:
        """Correct the charge by what the reply really used. Cache reads do not count to the input limit."""
        if usage is None:  # a lost answer keeps its charge
            self._produced += charge.output_tokens
            return
        self._input.settle(usage.input_tokens + usage.cache_write_tokens - charge.input_tokens)
        self._output.settle(usage.output_tokens - charge.output_tokens)
        self._produced += usage.output_tokens

    def hear(self, charge: Charge, reported: ReportedLimits | None) -> None:
        """Take what the headers of an answer say: the limits, and how much of each limit is remaining.

        Without any such header there is no limit but what the job file states: then only answers of 429 pace.
        """
        if charge.at < self._heard_of:  # answers that come out of order speak of the past
            return
        reported = believable(reported, charge)
        if self._heard_of == NEVER and self._tells_nothing(reported) and "requests_per_minute" in self._limits.learned:
            self._learned_rate.resume(self._limits.requests_per_minute)
        self._learn(reported)
        self._heard_of = charge.at
        now, in_flight = self._clock(), self._output.charged - self._produced
        for bucket, one, since in self._each(charge, reported):
            if one.remaining is not None:
                bucket.hear(
                    one.remaining,
                    spends=self._trusts_credit and not bucket.is_below(one.limit),
                    now=now,
                    sent_at=charge.at,
                    since=since,
                    in_flight=in_flight if bucket is self._output else 0.0,
                )

    def turned_away(
        self,
        charge: Charge,
        *,
        wait_s: float,
        reported: ReportedLimits | None,
        ramp: bool = False,
        is_asked: bool = True,
    ) -> bool:
        """Take a 429: everyone waits. Returns whether this began a pause; inside a pause it can only prolong it.

        `is_asked` says whether the API asked for the wait. Otherwise the learnt rate knows better how long to wait.
        """
        if any(bucket.in_credit for bucket in self._buckets) and not ramp:
            # What granted the credit speaks of another bucket than the one that is enforced.
            self._trusts_credit = False
            for bucket in self._buckets:
                bucket.forfeit()
        told = believable(reported, charge)
        if self._tells_nothing(told) and not ramp:
            wait_s = self._learned_rate.turned_away(sent_at=charge.at, asked_s=wait_s if is_asked else None)
        began = self.pause(wait_s)
        if began and ramp:
            self._ease, self._eased_at = max(SLOWEST, self._eased / 2), self._clock()
        elif began:
            self._be_cautious()
        self.refund(charge)
        if reported:
            self._learn(told)
            self._correct_levels(charge, told)
        return began

    def cancel(self, charge: Charge) -> None:
        """Give the whole charge back: nothing was sent."""
        self._requests.settle(-1)
        self._learned_rate.cancel()
        self.refund(charge)

    def refund(self, charge: Charge) -> None:
        """Give back the tokens of an attempt that was turned away.

        The request itself stays charged: a refunded one would make the retry unpaced, and a storm of 429s feeds itself.
        """
        self._input.settle(-charge.input_tokens)
        self._output.settle(-charge.output_tokens)

    def pause(self, seconds: float) -> bool:
        """Stop everyone for a while. Returns whether this began a pause; inside a pause it can only prolong it."""
        now = self._clock()
        began = self._paused_until <= now
        self._paused_until = max(self._paused_until, now + seconds)
        return began

    # --- what is known of the limits

    @property
    def limits(self) -> LimitsInForce:
        """The limits that are kept, headroom included."""
        kept = LimitsInForce(*(
            None if bucket.per_second is None else round(bucket.per_second * 60) for bucket in self._buckets
        ))  # fmt: skip
        learned = self._learned_rate.per_minute
        return replace(kept, requests=min(learned, kept.requests or learned)) if learned else kept

    @property
    def requests_per_second(self) -> float | None:
        """How many requests the binding limit lets pass just now, by their mean charges; None without any limit."""
        mean = max(1.0, self._requests.charged)
        rates = [
            bucket.per_second * mean / max(bucket.charged, 1.0)
            for bucket in self._buckets
            if bucket.per_second is not None
        ]
        if learned := self._learned_rate.per_minute:
            rates.append(learned / 60)
        return min(rates, default=None)

    @property
    def learned_requests_per_minute(self) -> int | None:
        """The rate that answers of 429 have taught in this run, or None if the API tells its limits or gave no 429."""
        return self._learned_rate.confirmed_per_minute

    @property
    def is_silent(self) -> bool:
        """Whether no limit was ever reported by the API, and none is stated in the job file."""
        return self.reported == LimitsInForce() and not self._limits.from_job_file

    def _tells_nothing(self, reported: ReportedLimits) -> bool:
        told = (reported.requests, reported.input_tokens, reported.output_tokens)
        return self.reported == LimitsInForce() and not any(one.limit for one in told)

    def _learn(self, reported: ReportedLimits) -> None:
        """Keep what the API reports in the place of what was assumed, and of what the job file states if it is less."""
        self.reported = LimitsInForce(
            requests=reported.requests.limit or self.reported.requests,
            input_tokens=reported.input_tokens.limit or self.reported.input_tokens,
            output_tokens=reported.output_tokens.limit or self.reported.output_tokens,
        )
        self._learn_one("requests_per_minute", self._requests, reported.requests)
        self._learn_one("input_tokens_per_minute", self._input, reported.input_tokens)
        self._learn_one("output_tokens_per_minute", self._output, reported.output_tokens)

    def _learn_one(self, key: str, bucket: TokenBucket, reported: ReportedLimit) -> None:
        stated = key in self._limits.from_job_file
        if reported.limit:
            per_minute = min(getattr(self._limits, key), reported.limit) if stated else reported.limit
            bucket.set_limit(per_minute * self._limits.headroom)
        elif not stated and self._heard_of == NEVER:
            bucket.set_limit(None)

    def _correct_levels(self, charge: Charge, reported: ReportedLimits) -> None:
        """Take the levels from a 429. The charge of the attempt that was turned away has been refunded."""
        now = self._clock()
        for bucket, one, since in self._each(charge, reported):
            if one.remaining is not None:
                refunded = charge.input_tokens if bucket is self._input else 0.0
                bucket.turned_away(one.remaining, now=now, sent_at=charge.at, since=since + refunded)

    def _each(self, charge: Charge, reported: ReportedLimits) -> Iterator[tuple[TokenBucket, ReportedLimit, float]]:
        """Yield each bucket, what is reported of the limit, and what was charged or, of output, produced since then."""
        yield self._requests, reported.requests, self._requests.charged - charge.requests_then
        yield self._input, reported.input_tokens, self._input.charged - charge.input_tokens_then
        yield self._output, reported.output_tokens, self._produced - charge.produced_then

    def _be_cautious(self) -> None:
        now, before = self._clock(), self._cautious
        self._cut = min(LARGEST_CUT, 2 * self._cut) if now - self._cut_at < SOON_S else CUT
        self._caution, self._cut_at = max(LEAST_CAUTIOUS, before - self._cut), now


def believable(reported: ReportedLimits | None, charge: Charge) -> ReportedLimits:
    """Return what is told of the limits, without limits that not even this one request would keep to."""
    told = reported or ReportedLimits()
    return ReportedLimits(
        requests=_at_least(told.requests, 1.0),
        input_tokens=_at_least(told.input_tokens, charge.input_tokens),
        output_tokens=_at_least(told.output_tokens, charge.output_tokens),
    )


def _at_least(told: ReportedLimit, amount: float) -> ReportedLimit:
    return ReportedLimit() if told.limit is not None and told.limit < amount else told
