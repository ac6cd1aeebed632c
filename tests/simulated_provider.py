"""The simulated API as a provider in memory: what a client of it would see over HTTP, in any loop's time.

With `tests/virtual_time.py` a run of an hour takes seconds. The server's side goes on without the client, as over
HTTP: an answer nobody waits for any more is produced, counted and billed all the same.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import assert_never

from batchrun.providers import AttemptError, Provider
from batchrun.providers.anthropic.errors import is_answer_lost
from batchrun.providers.anthropic.message_parsing import reply_from
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.providers.anthropic.retry_after import retry_after_s
from batchrun.reply import Cause, Failure, Reply
from batchrun.request import Request
from batchrun.simulator.api_error import ApiError
from batchrun.simulator.faults.kinds import HtmlPage, Wire
from batchrun.simulator.http.responses import retry_after
from batchrun.simulator.replies.message_json import new_id, to_json
from batchrun.simulator.simulator import WITH_LIMIT_HEADERS, Delivery, Simulator, Unanswered
from batchrun.simulator.usage.rate_limits import Levels, limit_headers

BEGAN_WALL = 1_795_000_000.0
"""Seconds since 1970 at the loop's time 0, as the headers tell them."""


@dataclass(slots=True)
class Arrival:
    """One request as the server saw it."""

    at_s: float
    """The time of arrival by the loop's clock."""
    in_flight: int
    """Requests being answered, this one included."""
    status: int | None = None
    """The time of the end; None if there is no answer, or not yet."""
    input_tokens: int = 0
    output_tokens: int = 0
    """Billed; 0 until produced."""
    done_s: float | None = None
    """When the answer was there, or an error was."""


@dataclass
class SimulatedProvider:
    """Sends requests to a simulator that shares the loop's clock; also a factory of itself."""

    simulator: Simulator
    timeout_s: float = 600.0
    arrivals: list[Arrival] = field(default_factory=list)
    in_flight: int = 0
    closed: bool = False
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.simulator.epoch_s = BEGAN_WALL

    async def send(self, request: Request) -> Reply:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.timeout_s):
                reply = await self._arrive(request)
        except TimeoutError as error:
            words = f"no answer within {self.timeout_s:g} s"
            raise AttemptError(Failure(cause=Cause.TIMEOUT, message=words)) from error
        return replace(reply, first_byte_s=asyncio.get_running_loop().time() - began)

    async def close(self) -> None:
        self.closed = True

    def check(self) -> None:
        """As a factory: there is always a key."""

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        """As a factory of itself; `concurrency` is the caller's own matter."""
        self.timeout_s = timeout_s
        return self

    async def _arrive(self, request: Request) -> Reply:
        self.in_flight += 1
        arrival = Arrival(at_s=asyncio.get_running_loop().time(), in_flight=self.in_flight)
        self.arrivals.append(arrival)
        try:
            return await self._answer(request, arrival)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: Request, arrival: Arrival) -> Reply:
        body_sha = hashlib.sha256(request.wire).digest()
        decision = self.simulator.decide(request.wire, body_sha, now=arrival.at_s)
        match decision:
            case Unanswered(answer=ApiError() as error):
                raise AttemptError(self._rejected(decision, error, arrival))
            case Unanswered(answer=HtmlPage() as page):
                arrival.status, arrival.done_s = page.status, arrival.at_s
                words = f"HTTP {page.status} without the API's error body"
                failure = Failure(cause=Cause.STATUS, status=page.status, message=words)
                raise AttemptError(replace(failure, in_doubt=is_answer_lost(failure)))
            case Unanswered(answer=Wire.HANG):
                await asyncio.Event().wait()
                raise AssertionError
            case Unanswered():
                raise _dropped()
            case Delivery():
                return await self._produced(decision, arrival)
            case _:
                assert_never(decision)

    def _rejected(self, rejected: Unanswered, error: ApiError, arrival: Arrival) -> Failure:
        arrival.status, arrival.done_s = error.status, arrival.at_s
        headers = {"request-id": self._request_id()}
        if rejected.card and error.status in WITH_LIMIT_HEADERS:
            now = arrival.at_s
            headers |= self._limit_headers(self.simulator.levels(rejected.card, now=now))
        if rejected.retry_after_s is not None:
            headers["retry-after"] = retry_after(rejected.retry_after_s)
        failure = Failure(
            cause=Cause.STATUS,
            message=error.message,
            status=error.status,
            error_type=error.type,
            error_code=error.error_code,
            retry_after_s=retry_after_s(headers),
            api_request_id=headers["request-id"],
            limits=reported_limits(headers),
        )
        return replace(failure, in_doubt=is_answer_lost(failure))

    async def _produced(self, answered: Delivery, arrival: Arrival) -> Reply:
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[dict[str, str]] = loop.create_future()
        loop.call_later(answered.first_token_s + answered.producing_s, self._produce, answered, arrival, sent)
        return reply_from(to_json(answered.body), await sent)

    def _produce(self, answered: Delivery, arrival: Arrival, sent: "asyncio.Future[dict[str, str]]") -> None:
        """Bill, then send, though the client may be gone."""
        now = asyncio.get_running_loop().time()
        self.simulator.produced(answered, now=now)
        arrival.input_tokens, arrival.output_tokens = answered.used.input_tokens, answered.output_tokens
        arrival.done_s = now
        if answered.wire is Wire.RESET_AFTER:
            if not sent.done():
                sent.set_exception(_dropped())
            return
        arrival.status = 200
        if not sent.done():
            levels = answered.levels or self.simulator.levels(answered.card, now=now)
            sent.set_result({"request-id": self._request_id(), **self._limit_headers(levels)})

    def _limit_headers(self, levels: Levels) -> dict[str, str]:
        return dict(limit_headers(levels, epoch_s=self.simulator.epoch_s))

    def _request_id(self) -> str:
        return new_id("req_011C", next(self._numbers))


def _dropped() -> AttemptError:
    return AttemptError(Failure(cause=Cause.DROPPED, message="the connection broke: simulated"))
