"""The gate every request passes before it is sent: three limits per minute, first come first served.

The buckets are aiolimiter's; what it lacks is mended around them, through its public interface only:

* It lets a full bucket through at once, so a limit per minute is passed twofold in the first minute. Buckets here
  hold half a second of requests and of tokens, and refill at the same rate.
* Waiters are served smallest first and newcomers barge in, so long documents starve. A FIFO lock in front leaves
  at most one waiter at the buckets.
* An amount above the bucket raises. Charges are split into chunks; a long document waits its time.
* There is no refund. Each limit has a signed carry that is added to the next charge: settling an attempt puts
  `actual - estimate` there, so an overestimate is given back and an underestimate is paid later.

Measured in `algorithms-study.md` 1.3: 99.7 to 100.2% of the limit and no 429 at estimate biases of 0.65 to 1.5.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from batchrun.planning.limits import RateLimits
from batchrun.reply import ToldLimits, Usage

BURST_S = 0.5
UNLIMITED = 10**12


@dataclass(frozen=True, slots=True)
class Charge:
    """What one attempt was charged at the gate."""

    input_tokens: float
    output_tokens: float


class Allowance:
    """One limit: an aiolimiter bucket with a carry."""

    def __init__(self, per_minute: float, *, burst_s: float) -> None:
        per_second = per_minute / 60
        # A bucket below one unit could never be charged for one request.
        self._size = max(1.0, per_second * burst_s)
        self._bucket = AsyncLimiter(self._size, self._size / per_second)
        self.carry = 0.0

    async def charge(self, amount: float) -> None:
        """Wait until the limit has room for the amount and what is carried over."""
        due, self.carry = amount + self.carry, 0.0
        if due <= 0:
            self.carry = due
            return
        while due > 0:
            part = min(due, self._size)
            await self._bucket.acquire(part)
            due -= part

    def give_back(self, amount: float) -> None:
        """Return a charge, but never more than a bucketful.

        Dozens of refunds at once would let as many requests through at once: the next storm of 429s would be our own.
        """
        self.carry = min(self.carry, max(self.carry - amount, -self._size))

    def __repr__(self) -> str:
        return f"Allowance(size={self._size:g}, carry={self.carry:g})"


class Gate:
    """Paces all requests to one model. One event loop, many workers."""

    def __init__(self, limits: RateLimits, *, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._requests = self._allowance(limits.requests_per_minute)
        self._input = self._allowance(limits.input_tokens_per_minute)
        self._output = self._allowance(limits.output_tokens_per_minute)
        self._turn = asyncio.Lock()
        self._clock = clock
        self._paused_until = 0.0

    def _allowance(self, per_minute: float) -> Allowance:
        return Allowance(per_minute * self._limits.headroom, burst_s=BURST_S)

    def learn(self, told: ToldLimits) -> None:
        """Take what the API tells for limits that the job file does not state: until then they were assumed.

        A limit that is neither stated nor told is none: then only answers of 429 pace.
        """
        stated = self._limits.from_job_file
        if "requests_per_minute" not in stated:
            self._requests = self._allowance(told.requests.limit or UNLIMITED)
        if "input_tokens_per_minute" not in stated:
            self._input = self._allowance(told.input_tokens.limit or UNLIMITED)
        if "output_tokens_per_minute" not in stated:
            self._output = self._allowance(told.output_tokens.limit or UNLIMITED)

    async def admit(self, *, input_tokens: float, output_tokens: float) -> Charge:
        """Wait for this request's turn and charge it; returns what `settle` needs."""
        async with self._turn:
            await self._pause_over()
            await self._requests.charge(1)
            await self._input.charge(input_tokens)
            await self._output.charge(output_tokens)
            await self._pause_over()  # one may have begun while this request waited at a bucket
        return Charge(input_tokens, output_tokens)

    async def _pause_over(self) -> None:
        while (wait_s := self._paused_until - self._clock()) > 0:  # noqa: ASYNC110 - it may be prolonged meanwhile
            await asyncio.sleep(wait_s)

    def settle(self, charge: Charge, usage: Usage | None) -> None:
        """Correct the charge by what the reply really used. Cache reads do not count to the input limit."""
        if usage is not None:
            self._input.carry += usage.input_tokens + usage.cache_write_tokens - charge.input_tokens
            self._output.carry += usage.output_tokens - charge.output_tokens

    def cancel(self, charge: Charge) -> None:
        """Give everything back: nothing was sent."""
        self._requests.give_back(1)
        self.refund(charge)

    def refund(self, charge: Charge) -> None:
        """Give back the tokens of an attempt that was turned away.

        The request itself stays charged: a refunded one would make the retry unpaced, and a storm of 429s feeds itself.
        """
        self._input.give_back(charge.input_tokens)
        self._output.give_back(charge.output_tokens)

    def pause(self, seconds: float) -> bool:
        """Stop everyone for a while. Returns whether this began a pause; inside one it can only prolong it."""
        now = self._clock()
        began = self._paused_until <= now
        self._paused_until = max(self._paused_until, now + seconds)
        return began
