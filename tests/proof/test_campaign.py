"""A seed stands for the same projects, faults and kills; and the program keeps its promises."""

import random

import pytest

from batchrun.cli import run
from batchrun.cli.commands.prove import LANES_IMPORT
from batchrun.proof.campaign import kills, prove, variant
from batchrun.proof.moments import RANDOM


def drawn(seed: str, number: int) -> tuple[object, object]:
    rng = random.Random(seed)
    one = variant(number, rng)
    return one, kills(one.route, rng)


def test_a_seed_draws_the_same_again() -> None:
    assert drawn("1/7", 7) == drawn("1/7", 7)
    assert drawn("1/7", 7) != drawn("2/7", 7)


def test_both_routes_and_every_kind_of_moment_are_drawn() -> None:
    routes, patterns = set(), set()
    for number in range(1, 40):
        one, several = drawn(f"1/{number}", number)
        routes.add(one.route)  # type: ignore[attr-defined]
        patterns |= {kill.only or RANDOM for kill in several}  # type: ignore[attr-defined]
    assert routes == {"stream", "batch"}
    assert len(patterns) == 11


def test_batches_of_another_provider_are_drawn_alone() -> None:
    drawn_there = [variant(number, random.Random(number), "openai") for number in range(1, 9)]
    assert {(one.route, one.provider) for one in drawn_there} == {("batch", "openai")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provider", "least_deaths", "at_once", "routes"),
    [("anthropic", 40, None, ("stream", "batch")), ("openai", 10, 2, ("batch",))],
)
def test_the_promises_hold(provider: str, least_deaths: int, at_once: int | None, routes: tuple[str, ...]) -> None:
    deaths: list[int] = []
    record = prove(
        run,
        preload=LANES_IMPORT,
        provider=provider,
        seed=1,
        least_deaths=least_deaths,
        only=None,
        at_once=at_once,
        progress=lambda so_far, _: deaths.append(so_far.deaths),
    )
    assert not record.breaches, record.breaches
    assert deaths == sorted(deaths)
    assert record.deaths >= least_deaths
    assert record.trials == len(deaths)
    assert all(sum(record.deaths_at[route].values()) > 5 for route in routes)
    assert record.repeats <= record.in_flight
    assert record.faults
