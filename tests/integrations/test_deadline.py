"""A deadline in danger, as far as the events of a run tell."""

import pytest

from batchrun.events import BatchesOpen, DocumentSettled, Event, RunStarted, Tick
from batchrun.integrations.deadline import DeadlineWatch
from batchrun.outcome import Outcome

SETTLED = DocumentSettled("a", Outcome.SUCCEEDED, None, 1)
WAITS = BatchesOpen(1, 50, 30.0, None)


def begun(route: str = "stream", *, deadline_at: float | None = 1_000.0) -> RunStarted:
    return RunStarted("8f3c", "x", "m", 100, route, False, 0, 10, started_at=0.0, deadline_at=deadline_at)


@pytest.mark.parametrize(
    ("run", "told", "at", "late"),
    [
        pytest.param(begun(), [SETTLED] * 20, 199.0, False, id="the rate is enough"),
        pytest.param(begun(), [SETTLED] * 20, 201.0, True, id="the rate is too low"),
        pytest.param(begun(), [SETTLED] * 19, 800.0, False, id="too few for a rate"),
        pytest.param(begun(), [SETTLED] * 19, 900.0, True, id="a tenth of the time is left"),
        pytest.param(begun(), [SETTLED] * 100, 999.0, False, id="all are done"),
        pytest.param(begun("batch"), [SETTLED] * 20 + [WAITS], 899.0, False, id="a batch has no rate"),
        pytest.param(begun("batch"), [WAITS], 900.0, True, id="a batch near the deadline"),
        pytest.param(begun(deadline_at=None), [SETTLED, Tick()], 1e9, False, id="no deadline"),
    ],
)
def test_a_deadline_in_danger(run: RunStarted, told: list[Event], at: float, late: bool) -> None:
    now = 0.0
    watch = DeadlineWatch(lambda: now)
    watch.heard(run)
    now = at
    assert [watch.heard(event) for event in told][-1] is late
