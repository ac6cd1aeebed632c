"""One rate limit as this side keeps it: an aiolimiter bucket, and a carry that mends what the bucket lacks.

* aiolimiter lets a full bucket through at once, so a limit a minute is passed twofold in the first minute. The bucket
  here holds half a second. It holds time and not units, so that the rate may change under way.
* An amount above the bucket raises. Charges are split into parts; a long document waits its time.
* There is no refund. The signed carry, in the limit's own units, is what is owed (it waits for the bucket) or in credit
  (it does not): settling an attempt puts `actual - estimate` there.

The API's own bucket holds more, as a rule a minute's worth, and the headers of its answers say how much is left in it.
What they prove to be there beyond a reserve becomes a credit; what is missing from the reserve, because somebody else
uses the same key, becomes a debt. So the carry follows `reserve - level`. `tests/benchmarks/pacing.py` measures it.
"""

import asyncio
import math

from aiolimiter import AsyncLimiter

BURST_S = 0.5
FASTEST = 2.0
"""How many times the rate a credit is spent at: in many small steps, so that headers are heard in between."""
RESERVE_S = 2.0
"""Left in the API's bucket for errors of estimates, in seconds at the full rate."""
RESERVE_SHARE, HIGHEST_SHARE = 0.4, 0.8
"""Of a bucket that holds only a few seconds' worth; the more, the more often requests were turned away."""
SHARE_RISES, SHARE_FALLS_S = 0.1, 300.0
"""By how much after each time, and how many seconds it takes to fall by 1."""
LEAST_REPORTED = 4
"""A bucket that never held more than so many times what its headers are rounded to tells nothing."""
SMOOTHED_S = 0.1
STALE = 3
"""Nor does an answer that took so many times longer than the bucket takes to fill."""


class TokenBucket:
    """One limit of one model. Amounts are requests or tokens; times are seconds."""

    def __init__(self, per_minute: float | None, *, rounding: float) -> None:
        """`rounding` is what the API rounds `remaining` to; `per_minute` None: there is no limit."""
        self.carry = 0.0
        self.charged = 0.0
        """All that was ever charged, as far as it has been settled by what was really used."""
        self.per_second: float | None = None
        self._rounding = rounding
        self._most_told = 0.0
        self._share = RESERVE_SHARE
        self._level = 0.0
        """What is probably in the API's bucket; the amounts under way make what each answer tells a little wrong."""
        self._told_at = -math.inf
        self.set_limit(per_minute)

    def __repr__(self) -> str:
        return f"Allowance(per_second={self.per_second}, carry={self.carry:g}, told={self._most_told:g})"

    def set_limit(self, per_minute: float | None) -> None:
        """Change the limit; None: there is none."""
        per_second = per_minute / 60 if per_minute else None
        if per_second == self.per_second:
            return
        self.per_second = per_second
        # A bucket below one unit could never be charged for one request.
        self._burst_s = max(BURST_S, 1 / per_second) if per_second else BURST_S
        self._bucket = AsyncLimiter(self._burst_s, self._burst_s)

    async def charge(self, amount: float, *, share: float) -> None:
        """Wait until there is room for the amount and for what is owed, at this share of the rate."""
        self.charged += amount
        if self.per_second is None:
            return
        per_second, least = self.per_second * share, amount / FASTEST if self.in_credit else 0.0
        self.carry += amount
        # What is larger than the API's bucket never is in it: a full one is waited for, and the rest is owed.
        owed = max(0.0, amount - (self._most_told - self._reserve)) if self._is_told else 0.0
        # The carry may change while this waits: an answer that settles or tells something helps or delays at once.
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
        """Add what was really used beyond the charge; a negative difference is given back, at most a bucketful.

        The API's bucket was full while it was not used: dozens of refunds would let as many requests through at once,
        and the next storm of 429s would be our own.
        """
        self.charged += difference
        if self.per_second is None:
            return
        if difference >= 0:
            self.carry += difference
        else:
            self.carry = min(self.carry, max(self.carry + difference, -self.per_second * self._burst_s))

    def told(
        self, remaining: float, *, now: float, sent_at: float, since: float, under_way: float, spends: bool = True
    ) -> None:
        """Take what the API said was left, in the answer to a request sent at `sent_at`.

        `since` was used after it was sent, and may be in what was said or not, since nobody knows whether that was
        measured when the request came or when it was answered; `under_way` will be used yet. `spends`: whether what is
        stored there is taken as a credit.
        """
        likely = self._likely(remaining, now=now, sent_at=sent_at, since=since)
        since_told_s = now - self._told_at
        self._share = max(RESERVE_SHARE, self._share - since_told_s / SHARE_FALLS_S)
        self._told_at = now
        if likely is None:
            return
        self._level += (likely - self._level) * -math.expm1(-since_told_s / SMOOTHED_S)
        if spends:
            surely = remaining - since - under_way - self._rounding
            self.carry = min(self.carry, self._reserve - surely)
        self.carry = max(self.carry, self._reserve - self._level)

    def turned_away(self, remaining: float, *, now: float, sent_at: float, since: float) -> None:
        """The same for a request that was turned away: what was believed to be there was not."""
        self._share = min(HIGHEST_SHARE, self._share + SHARE_RISES)
        likely = self._likely(remaining, now=now, sent_at=sent_at, since=since)
        if likely is not None:
            self.carry, self._level, self._told_at = self._reserve - likely, likely, now

    @property
    def in_credit(self) -> bool:
        """Whether headers granted more than a refund does."""
        return self.per_second is not None and self.carry < -self.per_second * self._burst_s - 1

    def is_below(self, per_minute: float | None) -> bool:
        """Whether less is wanted than this limit of the API: then what is left in its bucket is left on purpose."""
        return self.per_second is not None and per_minute is not None and self.per_second < per_minute / 60

    def forfeit(self) -> None:
        """Give up a credit: the headers that granted it were wrong."""
        self.carry = max(self.carry, 0.0)

    def _likely(self, remaining: float, *, now: float, sent_at: float, since: float) -> float | None:
        """What is in the API's bucket now; None when the headers cannot tell."""
        self._most_told = max(self._most_told, remaining)
        if self.per_second is None or not self._is_told:
            return None
        refilled = self.per_second * (now - sent_at)
        return None if refilled > STALE * self._most_told else min(remaining, remaining + refilled - since)

    @property
    def _reserve(self) -> float:
        return min(RESERVE_S * (self.per_second or 0.0), self._share * self._most_told)

    @property
    def _is_told(self) -> bool:
        return self._most_told >= LEAST_REPORTED * self._rounding
