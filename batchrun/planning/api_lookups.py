"""What the API answers free of charge before anything is sent: the tokens of some requests, and the ends of models.

Failures here never stop a run.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from aiolimiter import AsyncLimiter

from batchrun.catalog.notices import life_notice
from batchrun.errors import EnvironmentProblem
from batchrun.providers import AttemptError, ModelDirectory, TokenCounter
from batchrun.providers.anthropic.errors import is_missing, is_unknown_model
from batchrun.request import Request

AT_ONCE = 8
PER_SECOND = 30
"""The Start tier grants 2,000 a minute (API documentation, token counting)."""
TIMEOUT_S = 20.0
NO_MODELS = "the API at this address tells nothing of models: whether they are about to retire is not known"


class CounterFactory(Protocol):
    """Makes the clients of the API's free services, inside a running loop."""

    def check(self) -> None:
        """Raise UsageProblem for an unusable address, EnvironmentProblem if there is no key to ask with."""
        ...

    def make_counter(self, *, timeout_s: float) -> TokenCounter:
        """Make a counter of tokens."""
        ...

    def make_models(self, *, timeout_s: float) -> ModelDirectory:
        """Make a directory of models."""
        ...


@dataclass(frozen=True, slots=True)
class OnlineCounts:
    """The API's counts of the tokens of requests."""

    tokens: Sequence[int | None]
    """The counts in the order of the requests; None where the API gave none."""
    problem: str | None
    """The first reason why the API gave no count, in the API's words."""


async def count_online(factory: CounterFactory, requests: Sequence[Request]) -> OnlineCounts:
    """Have the API count requests, a few at a time. After a failed call no further call begins."""
    try:
        factory.check()
    except EnvironmentProblem as problem:
        return OnlineCounts([None] * len(requests), str(problem))
    return await _count_all(factory, requests)


async def _count_all(factory: CounterFactory, requests: Sequence[Request]) -> OnlineCounts:
    counter = factory.make_counter(timeout_s=TIMEOUT_S)
    limiter, places = AsyncLimiter(PER_SECOND, 1), asyncio.Semaphore(AT_ONCE)
    problems: list[str] = []

    async def count(request: Request) -> int | None:
        async with places:
            if not problems:
                await limiter.acquire()
            if problems:  # perhaps a call failed while this one waited
                return None
            try:
                return await counter.count(request)
            except AttemptError as error:
                problems.append(str(error))
                return None

    try:
        tokens = await asyncio.gather(*map(count, requests))
    finally:
        await counter.close()
    return OnlineCounts(tokens, problems[0] if problems else None)


async def notices_online(factory: CounterFactory, models: Sequence[str], *, today: date) -> tuple[str, ...]:
    """Ask the Models API where models are in their lives. Returns a sentence for each model that ends or is missing.

    Other failures say nothing of a model: the first request, or the counts, will report them.
    """
    try:
        factory.check()
    except EnvironmentProblem:
        return ()
    return tuple(dict.fromkeys(notice for notice in await _notices(factory, models, today) if notice))


async def _notices(factory: CounterFactory, models: Sequence[str], today: date) -> list[str | None]:
    directory = factory.make_models(timeout_s=TIMEOUT_S)

    async def notice(name: str) -> str | None:
        try:
            return life_notice(replace(await directory.life(name), name=name), today=today)
        except AttemptError as error:
            if is_unknown_model(error.failure, name):
                return f"the API has no model {name} for this key"
            return NO_MODELS if is_missing(error.failure) else None

    try:
        return list(await asyncio.gather(*map(notice, models)))
    finally:
        await directory.close()
