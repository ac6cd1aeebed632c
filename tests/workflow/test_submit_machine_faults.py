"""A machine that cannot read a document stops the run, by either route: the documents stay pending, exit 5."""

import errno
import os
from typing import Any

import pytest
from scripted_batches_memory import BatchApi
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun import file_system
from batchrun.errors import ExitCode


@pytest.mark.slow
@pytest.mark.parametrize("route", ["stream", "batch"])
def test_documents_stay_pending(project: TrialProject, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    monkeypatch.setattr(file_system, "PAUSES_S", (0.0,))
    project.job(run=f'max_concurrency = 4\nroute = "{route}"')
    project.documents(6)
    opens, reads = os.open, [0]

    def fails(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith(".txt"):
            reads[0] += 1
            if reads[0] > 6 + 2:  # the plan reads all, and the run reads two
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opens(path, *args, **options)

    monkeypatch.setattr(os, "open", fails)
    summary = project.submit(ScriptedProvider() if route == "stream" else BatchApi())
    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert "cannot be used now" in str(summary.halted)
    assert "unreadable" not in project.statuses().values()

    monkeypatch.setattr(os, "open", opens)
    if route == "stream":
        assert project.submit(ScriptedProvider()).exit_code == ExitCode.OK
