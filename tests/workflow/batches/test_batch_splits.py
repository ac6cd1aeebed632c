"""Parts of long documents in batches: one row in the end, paid once, whenever the command comes back."""

import json

import pytest
from batch_submits import batched, once, submit
from scripted_batches_memory import BatchApi
from scripted_provider import answer
from test_submit_splits import FIELDS, pages, source
from trial_project import TrialProject

from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow


@pytest.fixture
def long(project: TrialProject, api: BatchApi) -> TrialProject:
    batched(
        project,
        source=source(tokens="split_tokens = 2_000", overlap="split_overlap_tokens = 100"),
        output_fields=FIELDS,
    )
    project.document("long.txt", pages(40, 100))
    project.document("short.txt", "short")
    api.default = answer({"title": "a title", "entries": [{"name": "entry 1", "amount": 7}]})
    return project


def merged(project: TrialProject) -> list[str]:
    """The titles and entries of documents whose parts are all answered."""
    return [json.loads(output) for (output,) in project.ask("select output from wholes where output is not null")]


ONE = {"title": "a title", "entries": [{"name": "entry 1", "amount": 7}]}


def test_all_parts_make_one_answer(long: TrialProject, api: BatchApi) -> None:
    summary = submit(long, api)

    assert summary.exit_code is ExitCode.OK
    assert len(api.batches) > 1, "the parts travel in more than one batch"
    assert merged(long) == [ONE]
    assert set(api.paid.values()) == {1}
    paid = dict(api.paid)
    assert submit(long, api).exit_code is ExitCode.OK
    assert dict(api.paid) == paid


def test_a_command_that_does_not_wait_merges_when_the_last_part_is_there(long: TrialProject, api: BatchApi) -> None:
    api.takes_s = 1_000.0
    assert once(long, api).exit_code is ExitCode.UNFINISHED
    assert merged(long) == []
    assert once(long, api, after_s=10.0).exit_code is ExitCode.UNFINISHED
    assert merged(long) == []

    assert once(long, api, after_s=2_000.0).exit_code is ExitCode.OK

    assert merged(long) == [ONE]
    assert set(api.paid.values()) == {1}


def test_a_text_that_changes_while_its_parts_are_in_batches(long: TrialProject, api: BatchApi) -> None:
    api.takes_s = 1_000.0
    once(long, api)
    long.document("long.txt", "now it is short")

    once(long, api, after_s=2_000.0)
    once(long, api, after_s=2_000.0)

    assert long.statuses() == {"long.txt": "succeeded", "short.txt": "succeeded"}
    assert merged(long) == []
    assert set(api.paid.values()) == {1}
    long.document("long.txt", pages(40, 100))
    assert submit(long, api).exit_code is ExitCode.OK
    assert merged(long) == [ONE], "the parts were paid for and collected"
    assert set(api.paid.values()) == {1}
