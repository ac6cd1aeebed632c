"""One rate limit as this side keeps it: an aiolimiter bucket, and a carry that mends what aiolimiter lacks.

* aiolimiter lets a full bucket through at once, so that the first minute would use a limit a minute twice. The bucket
  here holds half a second. The bucket holds time and not units, so that the rate may change while a request waits.
* aiolimiter raises on an amount above the bucket. Here a charge is split into parts, and a long document waits longer.
* aiolimiter knows no refund. The signed carry, in the limit's own units, is a debt that waits for the bucket, or a
  credit that does not wait: settling an attempt adds `actual - estimate` to the carry.

The API's own bucket holds more, as a rule a minute's worth, and the headers of an answer say how much is left in the
API's bucket. What is proven to be there beyond a reserve becomes a credit. What is missing from the reserve, because
somebody else uses the same key, becomes a debt. So the carry follows `reserve - level`. `tests/benchmarks/pacing.py`
measures how well.
"""

import asyncio
import math

from aiolimiter import AsyncLimiter

BURST_S = 0.5
FASTEST = 2.0
"""How many times the rate a credit is spent at. The steps are small, so that headers are read in between."""
RESERVE_S, SHARED_RESERVE_S = 2.0, 8.0
"""The reserve in the API's bucket for errors of estimates, in seconds at the full rate. The second number counts from
when less than a second's worth was left: others draw on the limit too. All of them see that, and only who keeps the
same reserve as they do gets an equal share."""
RESERVE_SHARE, HIGHEST_SHARE = 0.4, 0.8
"""The reserve as a share of a bucket that holds only a few seconds' worth: at first, and after many refusals."""
SHARE_RISES, SHARE_FALLS_S = 0.1, 300.0
"""Each refusal raises the share by the first number. The share would fall by 1 in the second number of seconds."""
LEAST_REPORTED = 4
"""A bucket proves nothing if its fullest level is less than so many times the rounding of the headers."""
SMOOTHED_S = 0.1
STALE = 3
"""An answer proves nothing if the answer took more than so many times as long as the bucket takes to fill."""


class TokenBucket:
    """One limit of one model. Amounts are requests or tokens; times are seconds."""

    def __init__(self, per_minute: float | None, *, rounding: float) -> None:
        """`per_minute` is None when there is no limit. The API rounds `remaining` to multiples of `rounding`."""
        self.carry = 0.0
        self.charged = 0.0
        """All that was ever charged, with the charges of settled attempts corrected to what was used."""
        self.per_second: float | None = None
        self._rounding = rounding
        self._fullest = 0.0
        """The fullest level of the API's bucket that headers ever reported."""
        self._share, self._reserve_s = RESERVE_SHARE, RESERVE_S
        self._level = 0.0
        """What is probably in the API's bucket. Requests in flight make what each answer says a little wrong."""
        self._reported_at = -math.inf
        self.set_limit(per_minute)

    def set_limit(self, per_minute: float | None) -> None:
        """Change the limit. None means that there is no limit."""
        per_second = per_minute / 60 if per_minute else None
        if per_second == self.per_second:
            return
        self.per_second = per_second
        # A bucket below one unit could never be charged for one request.
        self._burst_s = max(BURST_S, 1 / per_second) if per_second else BURST_S
        self._bucket = AsyncLimiter(self._burst_s, self._burst_s)

    async def charge(self, amount: float, *, share: float) -> None:
        """Wait until there is room for the amount and for any debt, at this share of the rate."""
        self.charged += amount
        if self.per_second is None:
            return
        per_second, least = self.per_second * share, amount / FASTEST if self.in_credit else 0.0
        self.carry += amount
        # An amount larger than the API's bucket never fits in there: wait for a full bucket, and owe the rest.
        owed = max(0.0, amount - (self._fullest - self._reserve)) if self._is_reported else 0.0
        # The carry may change during the wait: an answer that is settled or read helps or delays at once.
        paid = 0.0
        try:
            while (due := max(self.carry - owed, min(least - paid, amount - owed - paid))) > 0:
                part = min(due, per_second * self._burst_s)
                await self._bucket.acquire(min(part / per_second, self._burst_s))
                self.carry -= part
                paid += part
        except asyncio.CancelledError:
            self.charged -= amount
            self.carry -= max(0.0, amount - paid)
            raise

    def settle(self, difference: float) -> None:
        """Add what was used beyond the charge. A negative difference is given back, but at most a bucketful.

        The API's bucket was full while nobody used the bucket: dozens of refunds would let as many requests through at
        once, and the next storm of 429s would be our own.
        """
        self.charged += difference
        if self.per_second is None:
            return
        if difference >= 0:
            self.carry += difference
        else:
            self.carry = min(self.carry, max(self.carry + difference, -self.per_second * self._burst_s))

    def hear(
        self, remaining: float, *, now: float, sent_at: float, since: float, in_flight: float, spends: bool = True
    ) -> None:
        """Take what the API said was remaining, in the answer to a request sent at `sent_at`.

        `since` was used after the send. Nobody knows whether `remaining` counts that use, because the API may measure
        when a request comes or when the request is answered. `in_flight` is yet to be used. `spends` says whether what
        the API's bucket holds becomes a credit.
        """
        likely = self._likely(remaining, now=now, sent_at=sent_at, since=since)
        elapsed_s = now - self._reported_at
        self._share = max(RESERVE_SHARE, self._share - elapsed_s / SHARE_FALLS_S)
        self._reported_at = now
        if likely is None:
            return
        self._level += (likely - self._level) * -math.expm1(-elapsed_s / SMOOTHED_S)
        if spends:
            surely = remaining - since - in_flight - self._rounding
            self.carry = min(self.carry, self._reserve - surely)
        self.carry = max(self.carry, self._reserve - self._level)
        self._notice_others(likely)

    def turned_away(self, remaining: float, *, now: float, sent_at: float, since: float) -> None:
        """Take what the API said was remaining when a request was turned away: the level was overestimated."""
        self._share = min(HIGHEST_SHARE, self._share + SHARE_RISES)
        likely = self._likely(remaining, now=now, sent_at=sent_at, since=since)
        if likely is not None:
            self.carry, self._level, self._reported_at = self._reserve - likely, likely, now
            self._notice_others(likely)

    @property
    def in_credit(self) -> bool:
        """Whether headers granted more than a refund does."""
        return self.per_second is not None and self.carry < -self.per_second * self._burst_s - 1

    def is_below(self, per_minute: float | None) -> bool:
        """Return whether less is wanted than this limit of the API: then the rest is left in the API's bucket."""
        return self.per_second is not None and per_minute is not None and self.per_second < per_minute / 60

    def forfeit(self) -> None:
        """Give up a credit: the headers that granted the credit were wrong."""
        self.carry = max(self.carry, 0.0)

    def _likely(self, remaining: float, *, now: float, sent_at: float, since: float) -> float | None:
        """Return what is probably in the API's bucket now, or None when the headers prove nothing."""
        self._fullest = max(self._fullest, remaining)
        if self.per_second is None or not self._is_reported:
            return None
        refilled = self.per_second * (now - sent_at)
        return None if refilled > STALE * self._fullest else min(remaining, remaining + refilled - since)

    def _notice_others(self, likely: float) -> None:
        if likely < (self.per_second or 0.0):
            self._reserve_s = SHARED_RESERVE_S

    @property
    def _reserve(self) -> float:
        return min(self._reserve_s * (self.per_second or 0.0), self._share * self._fullest)

    @property
    def _is_reported(self) -> bool:
        return self._fullest >= LEAST_REPORTED * self._rounding
