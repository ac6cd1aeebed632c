"""Fields that are asked in groups go by batch in waves: a group is asked when the group before it is answered."""

from typing import Any

import pytest
from batch_submits import batched, submit
from grouped_jobs import contract
from scripted_batches_memory import BatchApi
from scripted_provider import answer
from trial_project import TrialProject

from batchrun.outcome import Outcome
from batchrun.strategy.routes import Route

FIELDS = 'a = "string"\nb = "string"\nc = "string"'
LONG = contract("Long Street", clauses=200)
"""Longer than what the model of these jobs caches."""
EVERYTHING = answer("<answer><a>A</a><b>B</b><c>C</c></answer>")
MARK = {"type": "ephemeral", "ttl": "1h"}


def marks(params: dict[str, Any]) -> list[dict[str, str]]:
    """The breakpoints in the message of a request."""
    content = params["messages"][0]["content"]
    return [block["cache_control"] for block in content if isinstance(block, dict) and "cache_control" in block]


def test_each_group_is_a_wave_and_the_plan_says_so(project: TrialProject, api: BatchApi) -> None:
    batched(project, output="groups = 3", output_fields=FIELDS)
    project.documents(2)
    for text in ("text 0", "text 1"):
        api.script[text] = [answer({name: name.upper()}) for name in "abc"]

    summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert api.sizes == [2, 2, 2]
    schemas = [one["output_config"]["format"]["schema"] for batch in api.batches for one in batch.params.values()]
    assert [list(schema["properties"]) for schema in schemas] == [["a"], ["a"], ["b"], ["b"], ["c"], ["c"]]
    plan = summary.plan
    assert (plan.turns, plan.estimate.requests, plan.to_send) == (3, 6, 2)
    assert plan.chosen.route is Route.BATCH
    assert plan.chosen.seconds == 3 * 3600.0


def test_a_group_that_failed_goes_alone_into_the_next_batch(project: TrialProject, api: BatchApi) -> None:
    batched(project, output="groups = 3\nmax_repairs = 1", output_fields=FIELDS)
    project.documents(1)
    api.script["text 0"] = [answer({"a": "A"}), answer({}), answer({"b": "B"}), answer({"c": "C"})]

    summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    asked = [list(one["output_config"]["format"]["schema"]["properties"]) for (one,) in map(bodies_of, api.batches)]
    assert asked == [["a"], ["b"], ["b"], ["c"]]


def bodies_of(batch: Any) -> list[dict[str, Any]]:
    """The requests of a batch."""
    return list(batch.params.values())


@pytest.mark.parametrize(("cache", "marked"), [("auto", []), ("5m", []), ("off", []), ("1h", [MARK])])
def test_documents_in_batches_are_marked_only_if_the_job_says_an_hour(
    project: TrialProject, api: BatchApi, cache: str, marked: list[dict[str, str]]
) -> None:
    batched(
        project,
        output='mode = "xml"\ngroups = 3\non_invalid = "null_fields"',
        output_fields=FIELDS,
        prompt=f'cache = "{cache}"\nuser = "{{{{ doc.text }}}}"',
    )
    project.document("long.txt", LONG)
    project.document("short.txt", "A short text.")
    api.default = EVERYTHING

    summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert [sorted(map(marks, bodies_of(batch)), key=len) for batch in api.batches] == [[[], marked]] * 3
    names = {name.partition("-")[2] for batch in api.batches for name in batch.params}
    assert len(names) == 2, "a breakpoint changes no request's name"
