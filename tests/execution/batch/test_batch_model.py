"""An exhaustive check of the batch protocol: in no state that `batch_model` can get into is anything paid twice.

A search through all states, breadth first, checks that no request is billed twice, that the cap holds, and that the run
can still finish from wherever it got to. Protocols that are broken on purpose must be found out: a check that cannot
fail proves nothing.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from batch_model import COST, DOCUMENTS, WAIT, Protocol, World, steps

from batchrun.execution.batch.reconcile import Answer, Missed, Resend, Unproven, reconcile
from batchrun.store.ledger.batch_records import Batch


@dataclass(frozen=True)
class Found:
    states: int
    broken: str | None = None
    """The first promise that is broken, and by which steps."""


def broken(world: World, protocol: Protocol) -> str | None:
    billed = world.billed
    if any(times > 1 for times in billed.values()):
        return "billed twice"
    if world.committed > protocol.cap or COST * billed.total() > protocol.cap:
        return "the cap is passed"
    if world.settled - billed.keys():
        return "settled and never answered"
    return "not billed as booked" if world.done and billed.total() != len(DOCUMENTS) else None


def search(protocol: Protocol, first: World) -> Found:
    """Breadth first, so that what is found is found by the fewest steps. Worlds go by their numbers: a hash is dear."""
    gc.disable()  # worlds by the hundred thousand have no cycles, and would be looked through again and again
    try:
        return searched(protocol, first)
    finally:
        gc.enable()


def searched(protocol: Protocol, first: World) -> Found:
    numbers = {first: 0}
    worlds = [first]
    came_from: list[tuple[int, str]] = [(-1, "")]
    led_to: list[list[int]] = [[]]
    for number, world in enumerate(worlds):  # the list grows meanwhile
        if promise := broken(world, protocol):
            return Found(len(worlds), f"{promise}: {path(number, came_from)}")
        for name, after in steps(world, protocol):
            known = numbers.setdefault(after, len(worlds))
            if known == len(worlds):
                worlds.append(after)
                came_from.append((number, name))
                led_to.append([])
            led_to[known].append(number)
    finishing = [number for number, world in enumerate(worlds) if world.done]
    can_finish = set(finishing)
    while finishing:
        before = [one for one in led_to[finishing.pop()] if one not in can_finish]
        can_finish.update(before)
        finishing += before
    stuck = next((number for number in range(len(worlds)) if number not in can_finish), None)
    return Found(len(worlds), None if stuck is None else f"cannot finish: {path(stuck, came_from)}")


def path(number: int, came_from: Sequence[tuple[int, str]]) -> str:
    """How it came to this."""
    names: list[str] = []
    while number:
        number, name = came_from[number]
        names.append(name)
    return ", ".join(reversed(names))


def at_once(*facts: Any, **more: Any) -> Answer:
    answer = reconcile(*facts, **more)
    return Resend() if isinstance(answer, Missed) else answer


def without_a_wait(prepared: Batch, *facts: Any, **more: Any) -> Answer:
    answer = reconcile(prepared, *facts, **more)
    return Resend() if isinstance(answer, Missed) and prepared.empty_scans else answer


def never_again(*facts: Any, **more: Any) -> Answer:
    answer = reconcile(*facts, **more)
    return Missed(counts=True) if isinstance(answer, Resend) else answer


def unproven_again(*facts: Any, **more: Any) -> Answer:
    answer = reconcile(*facts, **more)
    return Resend() if isinstance(answer, Unproven) else answer


SOUND = {
    "one batch": (Protocol(), World(crashes=2, faults=2, expiries=1), 70_000),
    "two batches": (Protocol(size=1), World(crashes=2, faults=1, expiries=0), 30_000),
    "in waves": (Protocol(cap=3), World(crashes=1, faults=1, expiries=1), 20_000),
    "beside a stranger": (Protocol(), World(crashes=1, faults=0, expiries=1, strangers=1), 15_000),
    "beside a stranger, and no answer": (Protocol(), World(crashes=1, faults=1, expiries=0, strangers=1), 6_000),
    "two beside a stranger": (Protocol(size=1), World(crashes=0, faults=2, expiries=0, strangers=1), 100_000),
    "a list that proves nothing": (Protocol(alive=False), World(crashes=1, faults=1, expiries=0), 1_000),
    "a list as it was at any time": (Protocol(alive=False, stale=True), World(crashes=1, faults=1, expiries=0), 1_700),
}
"""With how many states there are at least: a model in which nothing happens is sound too."""
UNSOUND = {
    "the id is recorded only after the answer": Protocol(durable_intent=False),
    "sent again when it is not in the list at once": Protocol(decide=at_once),
    "sent again after two looks without a wait": Protocol(decide=without_a_wait),
    "the list lags for longer than the wait": Protocol(lag=WAIT + 1),
    "the clock is read after the list": Protocol(clock_first=False),
    "sent again though nothing proves it": Protocol(decide=unproven_again, alive=False, stale=True),
    "closed before the rows are in": Protocol(rows_first=False),
}


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "first", "at_least"), SOUND.values(), ids=SOUND)
def test_every_state_keeps_the_promises(protocol: Protocol, first: World, at_least: int) -> None:
    found = search(protocol, first)
    assert found.broken is None
    assert found.states >= at_least


@pytest.mark.slow
@pytest.mark.parametrize("protocol", UNSOUND.values(), ids=UNSOUND)
def test_a_broken_protocol_is_found_out(protocol: Protocol) -> None:
    assert str(search(protocol, World()).broken).startswith("billed twice")


def test_a_run_that_cannot_finish_is_found_out() -> None:
    found = search(Protocol(decide=never_again), World(crashes=1, faults=0, expiries=0))
    assert str(found.broken).startswith("cannot finish")
