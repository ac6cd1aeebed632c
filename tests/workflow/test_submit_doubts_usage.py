"""What a submit makes of usage that cannot be, and of an error status behind which an answer may have got lost."""

import pytest
from scripted_provider import ScriptedProvider, answer, status
from trial_project import TrialProject

from batchrun.events import UsageDoubted
from batchrun.reply import Failure, Usage

MAX_TOKENS = 100
FITS = Usage(input_tokens=100, output_tokens=10)
BEYOND = {
    "output above max_tokens": Usage(input_tokens=100, output_tokens=MAX_TOKENS + 1),
    "output beyond reason": Usage(input_tokens=100, output_tokens=10**11),
    "more than a token a byte": Usage(input_tokens=5_000, output_tokens=10),
    "the same from the cache": Usage(input_tokens=1, cache_read_tokens=5_000, output_tokens=10),
    "above the window": Usage(input_tokens=2_000_000, output_tokens=10),
}


@pytest.mark.parametrize("usage", BEYOND.values(), ids=BEYOND)
def test_usage_beyond_the_request_is_not_told_costs_no_answer_and_is_said_once(
    project: TrialProject, usage: Usage
) -> None:
    project.documents(3)
    project.job()

    halted = project.execute(ScriptedProvider(default=answer(usage=usage)))

    assert halted is None
    assert set(project.statuses().values()) == {"succeeded"}
    asked = project.ask("select cost_nusd, input_tokens, output_tokens, reserved_nusd > 0 from attempts")
    assert asked == [(None, None, None, 1)] * 3
    assert [event.usage for event in project.events if isinstance(event, UsageDoubted)] == [usage]


@pytest.mark.parametrize("usage", [FITS, Usage(input_tokens=100, output_tokens=MAX_TOKENS), Usage()])
def test_usage_within_the_request_is_believed(project: TrialProject, usage: Usage) -> None:
    project.documents(1)
    project.job()

    project.execute(ScriptedProvider(default=answer(usage=usage)))

    assert project.ask("select output_tokens from attempts") == [(usage.output_tokens,)]
    assert not [event for event in project.events if isinstance(event, UsageDoubted)]


@pytest.mark.parametrize(
    ("failure", "state"),
    [(status(502, in_doubt=True), "unknown"), (status(529, in_doubt=True), "unknown"), (status(500), "failed")],
    ids=["502 of a gateway", "overloaded in the middle of a stream", "500"],
)
def test_what_may_have_been_answered_is_held_and_asked_again(
    project: TrialProject, failure: Failure, state: str
) -> None:
    project.documents(1)
    project.job()

    project.execute(ScriptedProvider({"text 0": [failure, answer()]}))

    assert project.statuses() == {"0000.txt": "succeeded"}
    first, second = project.ask("select state, cost_nusd is null from attempts order by attempt_no")
    assert (first, second) == ((state, int(state == "unknown")), ("answered", 0))
