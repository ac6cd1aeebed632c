"""A plan whose replies will be cut off says so, and a submit of the plan is refused unless the command wants it."""

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.cli.interrupts import run_async
from batchrun.errors import ExitCode, Refused
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply, Usage
from batchrun.request import Request
from batchrun.strategy.plan import MOST_CUT
from batchrun.workflow.open_job import SubmitOptions

pytestmark = pytest.mark.slow

SONNET = 'name = "claude-sonnet-5-5"\nmax_tokens = {}'
HAIKU = 'name = "claude-haiku-4-5"\nmax_tokens = {}'
ANYWAY = SubmitOptions(partial_answers=True)


def whole(thinking_tokens: int | None = None, *, output_tokens: int = 10) -> ScriptedProvider:
    """A provider whose answers are complete."""
    usage = Usage(input_tokens=100, output_tokens=output_tokens, thinking_tokens=thinking_tokens)
    return ScriptedProvider(default=answer(usage=usage))


def cutting(max_tokens: int) -> ScriptedProvider:
    """A provider whose answers are all cut off."""
    usage = Usage(input_tokens=100, output_tokens=max_tokens)
    return ScriptedProvider(default=answer("{", stop_reason="max_tokens", usage=usage))


def refused(project: TrialProject, selection: Selection | None = None, *, options: SubmitOptions | None = None) -> str:
    """Submit, expect a refusal before anything is sent, and return what it says and what to do."""
    provider = ScriptedProvider()
    with pytest.raises(Refused, match="most replies will be cut off") as raised:
        project.submit(provider, selection, options=options)
    assert (provider.sent, raised.value.exit_code) == ([], ExitCode.REFUSED)
    return f"{raised.value}\n{raised.value.hint}"


def test_a_thinking_model_with_too_little_room_is_refused(project: TrialProject) -> None:
    project.job(model=SONNET.format(400))
    project.documents(3)

    said = refused(project)

    assert "at max_tokens = 400 (a guess from the schema; thinking is about 97% of a reply). Nothing was sent." in said
    assert 'set max_tokens = 2560, or effort = "medium" in [model]; or send the requests all the same' in said
    assert said.endswith("--partial-answers")
    assert project.ask("select count(*) from runs") == [(0,)]


@pytest.mark.parametrize(
    "model",
    [
        SONNET.format(2_560),
        SONNET.format(400) + '\neffort = "medium"',
        SONNET.format(100) + '\nthinking = "between_tools"',
        HAIKU.format(100),
    ],
    ids=["longer", "less effort", "no thinking", "never thinks"],
)
def test_what_the_refusal_proposes_is_not_refused(project: TrialProject, model: str) -> None:
    project.job(model=model)
    project.documents(3)

    assert project.submit(whole()).exit_code == ExitCode.OK
    assert project.plans[-1].mostly_cut is None


def test_thinking_is_switched_off_where_less_effort_is_not_enough(project: TrialProject) -> None:
    project.job(model=SONNET.format(60))
    project.documents(1)

    assert ', or thinking = "between_tools" in [model]' in refused(project)


def test_without_thinking_only_the_length_is_proposed(project: TrialProject) -> None:
    project.job(model=HAIKU.format(10))
    project.documents(1)

    said = refused(project)

    assert "(a guess from the schema)" in said
    assert "set max_tokens = 256 in [model]; or" in said


def test_who_wants_partial_answers_gets_them(project: TrialProject) -> None:
    project.job(model=SONNET.format(400))
    project.documents(3)

    assert project.submit(provider := whole(), options=ANYWAY).exit_code == ExitCode.OK

    assert len(provider.sent) == 3
    assert project.plans[-1].partial_answers
    assert project.plans[-1].mostly_cut


def test_a_partial_budget_is_no_wish_for_partial_answers(project: TrialProject) -> None:
    project.job(model=SONNET.format(400))
    project.documents(3)

    refused(project, options=SubmitOptions(partial=True))


def test_the_upper_bound_of_the_output_is_possible(project: TrialProject) -> None:
    project.job(model=SONNET.format(400))
    project.documents(3)

    estimate = project.plan().estimate

    assert estimate.output.mean == estimate.output.high == 3 * 400
    assert estimate.cost_nusd.high <= estimate.input.high * 2_000 + 3 * 400 * 10_000


def test_the_past_of_the_job_counts_more_than_the_guess(project: TrialProject) -> None:
    project.job(model=SONNET.format(400))
    project.documents(9)
    project.submit(whole(6), Selection(limit=4), options=ANYWAY)

    assert project.submit(whole()).exit_code == ExitCode.OK
    reply = project.plans[-1].reply
    assert reply
    assert (reply.replies, reply.thinking_share) == (4, 0.6)
    assert reply.cut_share < MOST_CUT / 2


def test_answers_that_were_cut_off_refuse_the_rest(project: TrialProject) -> None:
    project.documents(9)
    project.submit(cutting(100), Selection(limit=4))

    said = refused(project)

    assert "about 80% at max_tokens = 100 (as the last 4 show)" in said
    assert "set max_tokens = 256 in [model]" in said


def test_a_retry_has_more_room_and_is_not_refused(project: TrialProject) -> None:
    project.documents(4)
    project.submit(cutting(100))

    summary = project.submit(provider := whole(), Selection(again=frozenset({Outcome.TRUNCATED})))

    assert provider.max_tokens == [200] * 4
    assert summary.exit_code == ExitCode.OK


@pytest.mark.parametrize(("again", "most"), [({Outcome.TRUNCATED}, 200), (set(), 100)], ids=["retry", "submit"])
def test_the_longest_reply_is_what_the_requests_to_send_allow(
    project: TrialProject, again: set[Outcome], most: int
) -> None:
    project.documents(4)
    project.submit(cutting(100))
    project.document("new.txt", "text")

    with project.opened() as opened:
        planner = opened.planner()
        run_async(planner.plan(Selection(again=frozenset(again))))

    assert planner.estimator.most_output == most


def test_a_run_that_was_killed_goes_on_without_being_asked(project: TrialProject) -> None:
    project.job(model=SONNET.format(400))
    project.documents(4)

    async def is_killed(_: Request) -> Reply:
        raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
        project.submit(ScriptedProvider(default=is_killed), options=ANYWAY)

    assert project.submit(provider := whole()).exit_code == ExitCode.OK
    assert len(provider.sent) == 4
    plan = project.plans[-1]
    assert (plan.already_approved, plan.partial_answers) == (True, False)
    assert plan.mostly_cut, "nothing but the run's beginning lets it go on"
