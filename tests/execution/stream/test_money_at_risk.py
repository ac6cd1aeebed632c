"""`run.max_at_risk_usd`: what all requests in flight may cost at their worst stays within the bound."""

import asyncio

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject
from virtual_time import run

from batchrun.execution.stream.money_at_risk import MoneyAtRisk


async def most_held(most_nusd: int | None, amounts: list[int]) -> int:
    """Hold each amount for a second; returns the most that was held at once."""
    at_risk, held, most = MoneyAtRisk(most_nusd), 0, 0

    async def hold(nusd: int) -> None:
        nonlocal held, most
        async with at_risk.holding(nusd):
            held += nusd
            most = max(most, held)
            await asyncio.sleep(1)
            held -= nusd

    async with asyncio.TaskGroup() as group:
        for nusd in amounts:
            group.create_task(hold(nusd))
    return most


@pytest.mark.parametrize(
    ("most", "amounts", "held"),
    [
        (10, [4] * 20, 8),
        (10, [3, 3, 25, 3, 3], 25),
        (10, [10, 10], 10),
        (None, [4] * 20, 80),
    ],
)
def test_no_more_is_held_than_the_bound_and_what_is_above_goes_alone(
    most: int | None, amounts: list[int], held: int
) -> None:
    assert run(most_held(most, amounts)) == held


def test_who_is_canceled_holds_nothing() -> None:
    async def scenario() -> None:
        at_risk = MoneyAtRisk(10)

        async def hold() -> None:
            async with at_risk.holding(10):
                await asyncio.sleep(5)

        tasks = [asyncio.create_task(hold()) for _ in range(3)]
        await asyncio.sleep(1)
        tasks[1].cancel()
        tasks[0].cancel()
        await asyncio.wait_for(tasks[2], 6)

    run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bound", "in_flight"), [("", 16), ("max_at_risk_usd = 0.006", 2), ("max_at_risk_usd = 0.001", 1)]
)
def test_a_run_keeps_to_the_bound(project: TrialProject, bound: str, in_flight: int) -> None:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 400', run=f"max_concurrency = 16\n{bound}")
    project.documents(20)  # each costs about $0.0028 at its worst
    provider = ScriptedProvider(latency_s=0.1)

    assert project.execute(provider) is None

    assert provider.most_in_flight == in_flight
    assert set(project.statuses().values()) == {"succeeded"}
