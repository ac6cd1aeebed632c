"""The pools that all have to do the same."""

import sys
from pathlib import Path

import pytest

from batchrun.job.spec import WorkersSetting

sys.path.insert(0, str(Path(__file__).parent))  # what workers run in tests is here, and they get this path

KINDS = [pytest.param("inline", id="inline"), pytest.param(2, id="processes")]
"""What `[run] workers` may be, each with the mark that skips it where it is not installed."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> WorkersSetting:
    """Who reads documents."""
    setting: WorkersSetting = request.param
    return setting
