"""Parts of long documents travel in batches; the requests that merge their answers are streamed at the end."""

import pytest
from batch_submits import COST_NUSD, again_and_again, batched, once, submit
from scripted_batches_memory import BatchApi
from scripted_provider import answer
from test_merging_requests import FIELDS, MERGES, SOURCE, merges
from test_submit_splits import pages
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.outcome import Outcome

pytestmark = pytest.mark.slow


@pytest.fixture
def long(project: TrialProject, api: BatchApi) -> TrialProject:
    batched(project, source=SOURCE, output_fields=FIELDS)
    project.document("long.txt", pages(20, 100))
    project.document("short.txt", "entry 7: 49.")
    api.default = answer({"title": "a part", "entries": [{"name": "entry 1", "amount": 7}]})
    api.streaming.default = merges
    return project


def merged(project: TrialProject) -> list[tuple[str]]:
    return project.ask("select json_extract(output, '$.title') from wholes")


def test_a_submit_that_waits_streams_the_merging_request_when_the_batch_has_ended(
    long: TrialProject, api: BatchApi
) -> None:
    summary = submit(long, api)

    (parts,) = api.sizes
    assert summary.exit_code is ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: parts + 1}
    assert len(api.streaming.sent) == 1
    assert MERGES in api.streaming.sent[0]
    assert merged(long) == [(f"merged from {parts - 1}",)]
    assert summary.totals is not None
    assert summary.totals.cost_nusd == (parts + 2) * COST_NUSD, "streaming costs twice as much"
    assert submit(long, api).exit_code is ExitCode.OK
    assert (len(api.sizes), len(api.streaming.sent)) == (1, 1)


def test_the_submit_that_collects_the_last_part_merges(long: TrialProject, api: BatchApi) -> None:
    assert once(long, api).exit_code is ExitCode.UNFINISHED
    assert long.plans[-1].merging == 1
    assert api.streaming.sent == []
    assert merged(long) == [(None,)]

    assert again_and_again(long, api)[-1] == ExitCode.OK
    assert len(api.streaming.sent) == 1
    assert merged(long) == [(f"merged from {api.sizes[0] - 1}",)]
    assert long.ask("select state from runs") == [("finished",)]


def test_the_estimate_of_a_batch_has_the_merging_at_the_price_of_streaming(long: TrialProject) -> None:
    batched(long, "other", source=SOURCE.replace("model", "rules"), output_fields=FIELDS)
    batched(long, "streamed", source=SOURCE, output_fields=FIELDS, route="stream")
    batched(long, "rules", source=SOURCE.replace("model", "rules"), output_fields=FIELDS, route="stream")
    costs = {job: long.plan(job=job).estimate.cost_nusd.mean for job in ("trial", "other", "streamed", "rules")}

    assert costs["trial"] - costs["other"] == pytest.approx(costs["streamed"] - costs["rules"])
    assert costs["other"] == pytest.approx(costs["rules"] / 2)
