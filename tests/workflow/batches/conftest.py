"""What the tests of the batch route share: the API in memory, and a project whose job travels in batches."""

import pytest
from batch_submits import batched
from scripted_batches_memory import BatchApi, WallClock
from trial_project import TrialProject


@pytest.fixture
def api(clock: WallClock) -> BatchApi:
    return BatchApi(clock)


@pytest.fixture
def project(project: TrialProject, no_output: None) -> TrialProject:
    """A project whose job travels in batches of ten, without an output."""
    batched(project)
    return project
