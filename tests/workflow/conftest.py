"""Fixtures of the tests of submits."""

import pytest
from pilot_jobs import ONE_BY_ONE, Piloted
from trial_project import TrialProject


@pytest.fixture
def piloted(project: TrialProject) -> Piloted:
    """Forty documents of four sizes."""
    project.job(run=ONE_BY_ONE)
    for number in range(40):
        project.document(f"{number:04}.txt", f"text {number} " + "word " * (10 ** (number % 4)))
    return Piloted(project)
