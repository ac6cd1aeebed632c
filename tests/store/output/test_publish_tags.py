"""The tags of runs, in the output beside the runs and attempts that bear them."""

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

pytestmark = pytest.mark.slow


def test_tags_are_beside_runs_and_attempts(project: TrialProject) -> None:
    path = project.job()
    path.write_text(
        path.read_text().replace('name = "trial"', 'name = "trial"\ntags = { team = "le\'gal", matter = "47" }', 1)
    )
    project.documents(2)
    project.submit(ScriptedProvider())
    query = "select count(*), min(tags->>'team'), min(tags->>'matter') from _batchrun.{} where tags is not null"
    assert project.rows(query.format("runs")) == [(1, "le'gal", "47")]
    assert project.rows(query.format("attempts")) == [(2, "le'gal", "47")]


def test_a_run_without_tags_has_none(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider())
    assert project.rows("select count(*) from _batchrun.runs where tags is null") == [(1,)]
    assert project.rows("select count(*) from _batchrun.attempts where tags is null") == [(1,)]
