"""Money in a stream: reservations, room in the budget, and what a lost answer costs."""

import pytest
from scripted_provider import (
    OVERLOADED,
    ScriptedProvider,
    answer,
    lost,
    status,
)
from stream_run import NARROW, UNREACHABLE, attempts, committed
from trial_project import TrialProject

from batchrun.errors import Stopped
from batchrun.reply import Usage


@pytest.mark.slow
def test_requests_wait_for_room_in_the_budget(project: TrialProject) -> None:
    project.job(**NARROW)
    project.documents(8)
    provider = ScriptedProvider(latency_s=0.001)  # an answer costs $0.00015, so that eight fit

    assert project.execute(provider) is None

    assert provider.most_in_flight == 1
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.slow
def test_the_budget_stops_the_run_and_what_is_open_is_finished(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.008")
    project.documents(20)
    dear = answer(usage=Usage(input_tokens=700, output_tokens=100))  # $0.0012, and at its worst a little more
    provider = ScriptedProvider(default=dear, latency_s=0.001)

    halted = project.execute(provider)

    assert isinstance(halted, Stopped)
    assert "the budget is reached" in str(halted)
    assert len(provider.sent) == 6, "a seventh at its worst would pass the cap"
    assert {state for state, _ in attempts(project)} == {"answered"}
    assert committed(project) <= 8_000_000
    assert committed(project) == len(provider.sent) * 1_200_000


@pytest.mark.slow
def test_a_lost_answer_keeps_its_worst_case_on_the_account(project: TrialProject) -> None:
    project.document("a.txt", "a")

    project.execute(ScriptedProvider(default=lost()))

    assert attempts(project) == [("unknown", None)] * 3
    (worst,) = {reserved for (reserved,) in project.ask("select reserved_nusd from attempts")}
    assert committed(project) == 3 * worst


@pytest.mark.slow
def test_an_error_status_and_an_unmade_connection_cost_nothing(project: TrialProject) -> None:
    project.document("a.txt", "a")

    project.execute(ScriptedProvider({"a": [status(500), OVERLOADED, UNREACHABLE]}))

    assert attempts(project) == [("failed", 0)] * 3
    assert committed(project) == 0


@pytest.mark.slow
def test_a_reply_without_usage_is_booked_at_its_worst_case(project: TrialProject) -> None:
    project.document("a.txt", "a")

    project.execute(ScriptedProvider(default=answer(usage=None)))

    assert attempts(project) == [("answered", None)]
    assert committed(project) == project.ask("select reserved_nusd from attempts")[0][0]
    assert project.statuses() == {"a.txt": "succeeded"}


def test_the_reservation_covers_the_whole_answer(project: TrialProject) -> None:
    project.document("a.txt", "a")

    project.execute(ScriptedProvider())

    assert project.ask("select reserved_nusd > 100 * 5000, cost_nusd from attempts") == [(1, 100 * 1000 + 10 * 5000)]
