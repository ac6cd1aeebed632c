"""Signals in the middle of a stream: what is in flight is finished or booked as lost."""

import asyncio
import os
import signal
import threading
from typing import Any

import pytest
from scripted_provider import (
    BAD_KEY,
    OVERLOADED,
    ScriptedProvider,
    answer,
)
from stream_run import NARROW, attempts, committed, signalled
from trial_project import TrialProject

from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.events import Draining
from batchrun.execution.halt import Halt, Interrupted
from batchrun.providers import AttemptError, NeverSent
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded, Taken


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_a_signal_finishes_what_is_in_flight_and_sends_no_more(
    project: TrialProject, number: signal.Signals, exit_code: ExitCode
) -> None:
    project.documents(20)
    provider = ScriptedProvider({"text 5": [signalled(number)]}, latency_s=1.0)

    halted = project.execute(provider)

    assert isinstance(halted, Interrupted)
    assert halted.exit_code == exit_code
    assert {state for state, _ in attempts(project)} == {"answered"}
    assert len(attempts(project)) == len(provider.sent) < 20
    assert sorted(project.statuses().values()).count("succeeded") == len(provider.sent)
    (draining,) = [event for event in project.events if isinstance(event, Draining)]
    assert draining.in_flight >= 1


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_what_is_not_answered_within_the_grace_is_booked_as_lost(project: TrialProject) -> None:
    project.documents(20)
    provider = ScriptedProvider({"text 5": [signalled(then_s=1_000)]}, latency_s=0.1)

    assert isinstance(project.execute(provider), Interrupted)

    assert [state for state, _ in attempts(project)].count("unknown") == 1
    assert project.statuses()["0005.txt"] == "pending"


@pytest.mark.usefixtures("virtual_time")
def test_what_was_never_sent_within_the_grace_holds_nothing(project: TrialProject) -> None:
    project.documents(20)
    lasting = signalled(then_s=1_000)

    async def connecting(request: Request) -> Reply:
        try:
            return await lasting(request)
        except asyncio.CancelledError as canceled:
            raise NeverSent from canceled

    assert isinstance(project.execute(ScriptedProvider({"text 5": [connecting]}, latency_s=0.1)), Interrupted)

    assert [state for state, _ in attempts(project)].count("unknown") == 0
    assert attempts(project).count(("failed", 0)) == 1
    assert project.statuses()["0005.txt"] == "pending"


@pytest.mark.usefixtures("virtual_time")
def test_a_second_signal_waits_no_longer(project: TrialProject) -> None:
    project.documents(3)
    ended_at = []

    async def twice(_: Request) -> Reply:
        loop = asyncio.get_running_loop()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(1_000)
        finally:
            ended_at.append(loop.time())
        return answer()

    assert isinstance(project.execute(ScriptedProvider({"text 0": [twice]})), Interrupted)

    assert ended_at[0] < 5
    assert attempts(project) == [("unknown", None)]
    assert committed(project) == project.ask("select reserved_nusd from attempts")[0][0]


def test_a_second_signal_during_a_reservation_leaves_nothing_open(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(3)
    heard, reserve, reserved = threading.Semaphore(0), Ledger.reserve, []
    interrupt = Halt.interrupt
    monkeypatch.setattr(
        Halt, "interrupt", lambda self, *args, **more: (interrupt(self, *args, **more), heard.release())
    )

    def slow(self: Ledger, *args: Any, **more: Any) -> int | Taken | CapExceeded:
        reserved.append(args)
        if len(reserved) == 2:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                assert heard.acquire(timeout=60)
        return reserve(self, *args, **more)

    monkeypatch.setattr(Ledger, "reserve", slow)
    provider = ScriptedProvider()

    assert isinstance(project.execute(provider), Interrupted)

    assert provider.sent == ["text 0"]
    assert [cost for state, cost in attempts(project) if state != "answered"] == [0] * (len(attempts(project)) - 1)
    assert committed(project) == 150_000, "what was not sent costs nothing"


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_ctrl_c_while_a_stopped_run_drains_waits_no_longer(project: TrialProject) -> None:
    project.documents(4)
    ended_at = []

    async def hanging(_: Request) -> Reply:
        await asyncio.sleep(5)  # the run stops at the wrong key meanwhile, and waits
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(1_000)
        finally:
            ended_at.append(asyncio.get_running_loop().time())
        return answer()

    async def revoked(_: Request) -> Reply:
        await asyncio.sleep(1)
        raise AttemptError(BAD_KEY)

    provider = ScriptedProvider({"text 1": [revoked], "text 2": [hanging]})
    halted = project.execute(provider)

    assert isinstance(halted, EnvironmentProblem)
    assert "refused the key" in str(halted), "the first reason counts"
    assert ("unknown", None) in attempts(project)
    assert ended_at[0] < 10, "long before the grace is over"


@pytest.mark.usefixtures("virtual_time")
def test_a_signal_ends_the_wait_for_a_retry(project: TrialProject) -> None:
    project.job(retry='max_attempts = 3\ninitial_delay = "1000s"\nmax_delay = "2000s"')
    project.documents(2)
    provider = ScriptedProvider({"text 0": [OVERLOADED], "text 1": [signalled(then_s=0.1)]})

    assert isinstance(project.execute(provider), Interrupted)

    assert provider.sent == ["text 0", "text 1"]
    assert max(provider.sent_at) < 5


@pytest.mark.usefixtures("virtual_time")
def test_a_signal_lets_go_of_whoever_waits_for_room_in_the_budget(project: TrialProject) -> None:
    project.job(**NARROW)
    project.documents(6)
    provider = ScriptedProvider({"text 1": [signalled()]}, latency_s=1.0)

    assert isinstance(project.execute(provider), Interrupted)

    last = provider.sent_at[provider.sent.index("text 1")]
    assert max(provider.sent_at) == last, "nothing is sent after the signal, although there is room now"
