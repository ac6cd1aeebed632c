"""How much of the requests is in memory at once, and that the bound keeps nobody waiting for ever."""

import pytest
from scripted_provider import BAD_KEY, ScriptedProvider
from trial_project import TrialProject

from batchrun.execution.stream import executor

BODY = 300
"""About the bytes of a request of these tests."""


@pytest.mark.parametrize(("most_bytes", "at_once"), [(3 * BODY, 3), (1, 1), (10**6, 4)])
def test_requests_wait_until_others_leave_memory(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch, most_bytes: int, at_once: int
) -> None:
    monkeypatch.setattr(executor, "MOST_HELD_BYTES", most_bytes)
    project.documents(12)
    project.job()
    provider = ScriptedProvider(latency_s=0.01)

    assert project.execute(provider) is None

    assert len(provider.sent) == 12
    assert 1 <= provider.most_in_flight <= at_once
    assert provider.most_in_flight > 1 or at_once == 1


def test_a_halt_ends_the_waiting(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "MOST_HELD_BYTES", 1)
    project.documents(12)
    project.job()
    provider = ScriptedProvider(default=BAD_KEY)

    assert project.execute(provider) is not None

    assert len(provider.sent) == 1
    assert set(project.statuses().values()) == {"pending"}
