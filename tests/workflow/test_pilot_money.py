"""A pilot and money: caps, refusals, and open batches of before."""

import contextlib
from dataclasses import dataclass

import pytest
from pilot_jobs import COST_NUSD, ONE_BY_ONE, Piloted, next_of
from scripted_batches_memory import BatchApi, WallClock
from scripted_provider import ScriptedProvider, Step, answer
from trial_project import TrialProject

from batchrun.errors import ExitCode, Refused
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.providers import BatchProvider, Provider
from batchrun.reply import Usage
from batchrun.strategy.pilot_report import Decision
from batchrun.strategy.routes import Route
from batchrun.workflow.open_job import SubmitOptions

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_output")]


DEAR_NUSD = 900_000
"""The cost of an answer with 400 tokens in and 100 out."""

SMALL_ONLY = 'type = "files"\ninclude = ["docs/*.txt"]\nmax_document_tokens = 500'


@dataclass
class Both:
    """An API that streams and takes batches."""

    batches: BatchApi
    stream: ScriptedProvider

    def check(self) -> None:
        """There is a key."""

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        return self.stream

    def make_batches(self, *, timeout_s: float) -> BatchProvider:
        return self.batches.make_batches(timeout_s=timeout_s)


# --- money


def test_a_pilot_may_show_that_the_budget_is_enough(piloted: Piloted) -> None:
    cap_nusd = piloted.project.plan().estimate.upper_nusd * 3 // 4
    options = SubmitOptions(max_cost_nusd=cap_nusd)
    with pytest.raises(Refused):
        piloted.submit(ScriptedProvider(), none=True, options=options)

    summary = piloted.submit(ScriptedProvider(), 8, go_on=True, options=options)

    assert summary.outcomes == {Outcome.SUCCEEDED: 40}


def test_a_pilot_may_show_that_it_is_not(piloted: Piloted) -> None:
    dear = ScriptedProvider(default=answer(usage=Usage(input_tokens=400, output_tokens=100)))
    options = SubmitOptions(max_cost_nusd=2 * 8 * DEAR_NUSD)

    summary = piloted.submit(dear, 8, go_on=True, options=options)

    assert summary.exit_code == ExitCode.STOPPED
    assert len(dear.sent) == 8
    assert piloted.reports[0].decision is Decision.REFUSED
    assert "the rest is not sent: the estimate is above the budget.\n" in str(summary.halted)
    assert "spent by run" in str(summary.halted)
    assert piloted.runs == [("stopped", 8)]
    for more in ({"documents": 8, "go_on": True}, {"none": True}):
        again = ScriptedProvider()
        with contextlib.suppress(Refused):  # the pilot's cost is on the account of the run that would go on
            assert piloted.submit(again, options=options, **more).exit_code == ExitCode.STOPPED
        assert again.sent == []


def test_a_pilot_too_dear_is_refused(piloted: Piloted) -> None:
    provider = ScriptedProvider()
    with pytest.raises(Refused, match="Nothing was sent"):
        piloted.submit(provider, 8, options=SubmitOptions(max_cost_nusd=1_000))
    assert provider.sent == []


@pytest.mark.parametrize(
    "sections",
    [{"budget": "max_cost_usd = 1.0\nmax_documents = 20"}, {"source": SMALL_ONLY}],
    ids=["too many documents", "too large ones"],
)
def test_what_would_be_refused_of_the_rest_is_refused_at_once(piloted: Piloted, sections: dict[str, str]) -> None:
    piloted.project.job(run=ONE_BY_ONE, **sections)
    provider = ScriptedProvider()
    with pytest.raises(Refused):
        piloted.submit(provider, 8, go_on=True)
    assert provider.sent == []


def test_the_cap_holds_over_both(piloted: Piloted) -> None:
    """Answers get dearer after the pilot: the cap that is left stops the rest."""
    answers = [answer()] * 8 + [answer(usage=Usage(input_tokens=400, output_tokens=100))] * 32
    steps: list[Step] = list(answers)
    options = SubmitOptions(max_cost_nusd=8 * COST_NUSD + 20 * DEAR_NUSD)
    summary = piloted.submit(ScriptedProvider(default=lambda _: next_of(steps)), 8, go_on=True, options=options)
    assert summary.exit_code == ExitCode.STOPPED
    assert summary.totals is not None
    assert 8 * COST_NUSD < summary.totals.cost_nusd <= 8 * COST_NUSD + 20 * DEAR_NUSD


def test_the_time_of_a_command_is_that_of_both(project: TrialProject, piloted: Piloted, clock: WallClock) -> None:
    provider = ScriptedProvider(latency_s=10)
    summary = piloted.submit(provider, 8, go_on=True, options=SubmitOptions(max_run_time_s=100))
    assert summary.exit_code == ExitCode.STOPPED
    assert "the run has taken 100 s" in str(summary.halted)
    assert 9 <= len(provider.sent) <= 11


# --- batches


def test_a_pilot_is_streamed_and_the_rest_goes_by_batch(piloted: Piloted, clock: WallClock) -> None:
    piloted.project.job(run='route = "batch"', batch='poll_interval = "10s"\nmax_poll_interval = "20s"')
    api, stream = BatchApi(clock), ScriptedProvider()
    summary = piloted.submit(Both(api, stream), 8, go_on=True)
    assert summary.outcomes == {Outcome.SUCCEEDED: 40}
    assert len(stream.sent) == 8
    assert piloted.reports[0].rest.choice.route is Route.BATCH
    assert piloted.project.ask("select count(*), count(batch_no) from attempts") == [(40, 32)]
    assert piloted.project.ask("select state, route, to_send from runs") == [("finished", "batch", 40)]
    assert summary.totals is not None
    assert summary.totals.cost_nusd == 8 * COST_NUSD + 32 * COST_NUSD // 2


def test_nobody_waits_for_the_rest(piloted: Piloted, clock: WallClock) -> None:
    piloted.project.job(run='route = "batch"', batch='poll_interval = "10s"\nmax_poll_interval = "20s"')
    both = Both(BatchApi(clock), ScriptedProvider())
    options = SubmitOptions(waits=False)
    assert piloted.submit(both, 8, go_on=True, options=options).exit_code == ExitCode.UNFINISHED
    clock.skip(3600)
    assert piloted.submit(both, 8, go_on=True, options=options).exit_code == ExitCode.OK
    assert len(piloted.reports) == 1


def test_what_was_paid_half_in_a_batch_is_told_at_the_full_price(piloted: Piloted, clock: WallClock) -> None:
    piloted.project.job(run='route = "batch"', batch='poll_interval = "10s"\nmax_poll_interval = "20s"')
    both = Both(BatchApi(clock), ScriptedProvider())
    piloted.submit(both, selection=Selection(limit=10))
    piloted.submit(both, 8)
    assert piloted.reports[0].found.cost_nusd.mean == COST_NUSD
