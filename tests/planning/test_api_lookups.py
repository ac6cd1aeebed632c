"""Having the API count some requests: in order, a few at a time, and never a reason to stop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from batchrun.errors import EnvironmentProblem
from batchrun.planning.api_lookups import AT_ONCE, PER_SECOND, TIMEOUT_S, OnlineCounts, count_online
from batchrun.providers import AttemptError
from batchrun.reply import Cause, Failure
from batchrun.request import Request

pytestmark = pytest.mark.usefixtures("virtual_time")


def request(number: int) -> Request:
    return Request.of({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": f"text {number}"}]})


REQUESTS = [request(number) for number in range(40)]


def failing(message: str) -> AttemptError:
    return AttemptError(Failure(cause=Cause.STATUS, status=429, message=message))


@dataclass
class Counter:
    """Says of the n-th request what the script says, after so long; a factory of itself."""

    script: Callable[[int], int | AttemptError] = lambda number: 100 + number
    takes_s: Callable[[int], float] = lambda number: 0.1
    key: bool = True
    asked_at: dict[int, float] = field(default_factory=dict)
    under_way: int = 0
    most_under_way: int = 0
    timeout_s: float | None = None
    closed: int = 0

    def check(self) -> None:
        if not self.key:
            raise EnvironmentProblem("no API key: it is not set.", hint="set it")

    def make_counter(self, *, timeout_s: float) -> "Counter":
        self.timeout_s = timeout_s
        return self

    async def count(self, request: Request) -> int:
        number = REQUESTS.index(request)
        self.asked_at[number] = asyncio.get_running_loop().time()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.takes_s(number))
        self.under_way -= 1
        said = self.script(number)
        if isinstance(said, AttemptError):
            raise said
        return said

    async def close(self) -> None:
        self.closed += 1


def counted(counter: Counter, requests: Sequence[Request] = REQUESTS) -> OnlineCounts:
    return asyncio.run(count_online(counter, requests))


def test_counts_stand_in_the_order_of_the_requests() -> None:
    counter = Counter(takes_s=lambda number: 0.1 if number % 3 else 5.0)

    counts = counted(counter)

    assert list(counts.tokens) == [100 + number for number in range(40)]
    assert counts.problem is None
    assert (counter.timeout_s, counter.closed) == (TIMEOUT_S, 1)


def test_only_so_many_are_asked_at_once() -> None:
    counter = Counter(takes_s=lambda _: 5.0)

    counted(counter)

    assert counter.most_under_way == AT_ONCE


def test_the_rate_stays_below_the_lowest_tier() -> None:
    counter = Counter(takes_s=lambda _: 0.0)

    counted(counter)

    assert len([at for at in counter.asked_at.values() if at - min(counter.asked_at.values()) < 0.01]) == PER_SECOND
    assert max(counter.asked_at.values()) >= 9 / PER_SECOND, "the others wait for their turn"


def test_nothing_is_begun_after_a_failure_and_the_first_is_told() -> None:
    def script(number: int) -> int | AttemptError:
        return failing(f"failure {number}") if number in {10, 12} else 100 + number

    counter = Counter(script)

    counts = counted(counter)

    told = [number for number, tokens in enumerate(counts.tokens) if tokens is not None]
    assert counts.problem == "failure 10"
    assert set(range(10)) <= set(told)
    assert set(told) == set(counter.asked_at) - {10, 12}, "what was under way still counts"
    assert max(counter.asked_at) < 10 + AT_ONCE
    assert (counter.under_way, counter.closed) == (0, 1)


def test_a_failure_while_others_wait_for_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.planning.api_lookups.PER_SECOND", 1)
    counter = Counter(lambda _: failing("later"), takes_s=lambda _: 0.0)

    counts = counted(counter)

    assert counts.problem == "later"
    assert list(counter.asked_at) == [0], "a call that has not begun is none that was under way"


def test_without_a_key_nobody_is_asked() -> None:
    counter = Counter(key=False)

    counts = counted(counter)

    assert list(counts.tokens) == [None] * 40
    assert counts.problem == "no API key: it is not set."
    assert counter.asked_at == {}


def test_nothing_to_count() -> None:
    assert list(counted(Counter(), []).tokens) == []


def test_connections_are_closed_whatever_happens() -> None:
    def script(number: int) -> int:
        raise RuntimeError("a bug")

    counter = Counter(script)

    with pytest.raises(RuntimeError, match="a bug"):
        counted(counter)

    assert counter.closed == 1
