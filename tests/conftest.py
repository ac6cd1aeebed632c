"""Fixtures that several folders of tests share."""

import asyncio
from pathlib import Path

import pytest

from batchrun.executors.recorder import Recorder
from trial_project import TrialProject
from virtual_time import VirtualTimeLoop, answered_by_a_thread


@pytest.fixture
def project(tmp_path: Path) -> TrialProject:
    """A project with a job file and no documents yet."""
    trial = TrialProject(tmp_path / "project")
    trial.job()
    return trial


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `asyncio.run` of the test happens in virtual time."""
    monkeypatch.setattr(asyncio.events, "new_event_loop", VirtualTimeLoop)
    monkeypatch.setattr(Recorder, "write", answered_by_a_thread(Recorder.write))
