"""Whole runs through an outage, in virtual time: it loses nothing, costs little, and ends the run when it lasts."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from scripted_provider import OVERLOADED, ScriptedProvider, answer, status
from simulated_provider import Arrival, SimulatedProvider
from trial_project import TrialProject

from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.events import OutageBegan, OutageEnded, Paused
from batchrun.outcome import Outcome
from batchrun.providers import AttemptError
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.simulator.faults.outages import Kind, Outage
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.replies.latency import Latency
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("virtual_time", "no_output")]

PER_MINUTE = 600
LIMITS = f"requests_per_minute = {PER_MINUTE}"
TWICE = 'max_attempts = 2\ntimeout = "20s"'
BEGINS_S, LASTS_S = 4.0, 30.0
MODEL = "claude-haiku-4-5"


def simulated(*outages: Outage, per_minute: int = PER_MINUTE) -> SimulatedProvider:
    limits = Limits(per_minute, 10**9, 10**9)
    return SimulatedProvider(Simulator(PROFILES["calm"], limits=limits, latency=Latency(), outages=outages))


def answered(arrivals: Sequence[Arrival]) -> int:
    return sum(one.status == 200 for one in arrivals)


def paces(project: TrialProject) -> RunMetrics:
    return RunMetrics(Ledger.read(project.ledger_path))


# --- an outage in the middle


@pytest.mark.parametrize("kind", ["overloaded", "unavailable", "reset", "hang"])
@pytest.mark.parametrize(("concurrency", "retry"), [('"auto"', TWICE), ("4", 'timeout = "20s"')])
def test_it_loses_nothing_and_costs_little(project: TrialProject, kind: Kind, concurrency: str, retry: str) -> None:
    project.job(run=f"max_concurrency = {concurrency}", limits=LIMITS, retry=retry)
    project.documents(100)
    provider = simulated(Outage(BEGINS_S, BEGINS_S + LASTS_S, kind))

    summary = project.submit(provider)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 100}
    during = [one for one in provider.arrivals if BEGINS_S <= one.at_s < BEGINS_S + LASTS_S]
    assert during, "it was in the middle"
    assert answered(during) == 0
    assert len(provider.arrivals) - 100 < 50
    assert answered(provider.arrivals) == 100, "and nothing is paid twice"


def test_a_model_that_has_answered_and_is_denied_for_a_while_is_waited_for(project: TrialProject) -> None:
    project.job(run="max_concurrency = 4", limits=LIMITS, retry=TWICE)
    project.documents(100)
    provider = simulated(Outage(BEGINS_S, BEGINS_S + LASTS_S, "unknown_model"))

    assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: 100}

    assert len(provider.arrivals) - 100 < 50
    assert [event.model for event in project.events if isinstance(event, OutageBegan)] == [MODEL]


def test_a_model_that_has_answered_and_is_denied_for_good_stops_the_run_after_the_patience(
    project: TrialProject,
) -> None:
    project.job(run="max_concurrency = 4", limits=LIMITS, retry=f'{TWICE}\nmax_outage = "5m"')
    project.documents(100)
    provider = simulated(Outage(BEGINS_S, 10**6, "unknown_model"))

    summary = project.submit(provider)

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert "does not know the model" in str(summary.halted)
    assert set(summary.outcomes) == {Outcome.SUCCEEDED, None}, "no document is to blame"
    assert provider.arrivals[-1].at_s >= BEGINS_S + 300
    assert len(provider.arrivals) < 200


def test_a_model_that_never_answered_is_denied_at_once(project: TrialProject) -> None:
    project.documents(10)
    provider = simulated(Outage(0.0, 10**6, "unknown_model"))

    assert project.submit(provider).exit_code == ExitCode.ENVIRONMENT
    assert len(provider.arrivals) == 1


def test_a_fast_run_of_whom_many_wait_at_the_gate_sends_few_into_it(project: TrialProject) -> None:
    project.job(run='max_concurrency = "auto"', limits="requests_per_minute = 3_000", retry=TWICE)
    project.documents(300)
    provider = simulated(Outage(5.0, 35.0), per_minute=3_000)

    assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: 300}

    assert len(provider.arrivals) - 300 < 50


def test_it_is_told_once_and_its_waits_are_in_the_ledger(project: TrialProject) -> None:
    project.job(run="max_concurrency = 8", limits=LIMITS, retry=TWICE)
    project.documents(100)

    project.submit(simulated(Outage(BEGINS_S, BEGINS_S + LASTS_S)))

    began, ended = [event for event in project.events if isinstance(event, OutageBegan | OutageEnded)]
    assert began == OutageBegan(MODEL, "http_529")
    assert isinstance(ended, OutageEnded)
    assert LASTS_S - 2 < ended.seconds < LASTS_S + 5
    waits = {one.cause: one for one in paces(project).waits(1)}
    assert waits["outage"].seconds > LASTS_S
    assert waits["outage"].times >= 8


def test_a_document_that_always_fails_alone_is_errored_and_stops_nobody(project: TrialProject) -> None:
    project.job(run="max_concurrency = 4", retry='max_attempts = 6\ninitial_delay = "1s"')
    project.documents(100)
    provider = ScriptedProvider({f"text {number}": [OVERLOADED] for number in (20, 90, 95)}, latency_s=1.0)

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 97, Outcome.ERRORED: 3}
    assert [provider.sent.count(f"text {number}") for number in (20, 90, 95)] == [6, 6, 6]
    assert not [event for event in project.events if isinstance(event, Paused)]
    gaps = [later - earlier for earlier, later in pairwise(provider.sent_at)]
    assert max(gaps[:90]) < 2, "nobody else waits"


# --- an outage without end


@pytest.mark.parametrize("kind", ["overloaded", "unavailable", "reset"])
def test_an_outage_beyond_patience_ends_the_run_and_the_next_submit_finishes_it(
    project: TrialProject, kind: Kind
) -> None:
    project.job(run="max_concurrency = 8", limits=LIMITS, retry=TWICE + '\nmax_outage = "60s"')
    project.documents(100)
    provider = simulated(Outage(BEGINS_S, 10_000.0, kind))

    first = project.submit(provider)

    assert isinstance(first.halted, EnvironmentProblem)
    assert first.exit_code == ExitCode.ENVIRONMENT
    assert set(first.outcomes) == {Outcome.SUCCEEDED, None}, "no document is blamed"
    assert 60 <= provider.arrivals[-1].at_s - BEGINS_S < 75
    done = first.outcomes[Outcome.SUCCEEDED]
    assert len(provider.arrivals) - done < 60
    again = simulated()
    assert project.submit(again).outcomes == {Outcome.SUCCEEDED: 100}
    assert len(again.arrivals) == 100 - done


# --- 429


def test_a_burst_of_429s_pauses_everyone_once(project: TrialProject) -> None:
    project.job(run="max_concurrency = 16")
    project.documents(80)
    turned_away: list[float] = []

    async def step(_: Request) -> Reply:
        now = asyncio.get_running_loop().time()
        if 2.5 < now < 3.5:
            turned_away.append(now)
            raise AttemptError(status(429, "later", retry_after_s=20.0))
        return answer()

    provider = ScriptedProvider(default=step, latency_s=1.0)

    assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: 80}

    assert len(turned_away) > 10
    assert len(provider.sent) == 80 + len(turned_away)
    gaps = [later - earlier for earlier, later in pairwise(provider.sent_at) if later - earlier > 5]
    assert gaps == [pytest.approx(21.5, abs=1.5)], "as long as asked and a little more, and not once for each"
    assert len([event for event in project.events if isinstance(event, Paused)]) == 1


# --- what is learnt


def test_what_was_learnt_and_used_is_in_the_ledger_for_the_next_run(project: TrialProject) -> None:
    project.job(run='max_concurrency = "auto"', limits="headroom = 1.0")
    project.documents(60)

    project.submit(simulated(per_minute=PER_MINUTE))

    pace = paces(project)
    learned = pace.learned(MODEL, now=time.time())
    assert learned is not None
    assert (learned.requests_per_minute, learned.input_tokens_per_minute) == (PER_MINUTE, 10**9)
    assert learned.concurrency is not None
    minutes = pace.minutes(1)
    assert sum(one.requests for one in minutes) == 60
    assert {one.model for one in minutes} == {MODEL}
    assert minutes[-1].requests_limit == PER_MINUTE
    assert sum(one.output_tokens for one in minutes) == project.ask("select sum(output_tokens) from attempts")[0][0]
    with project.opened() as opened:
        limits = opened.chain.models[0].limits
    assert limits.requests_per_minute == PER_MINUTE
    assert limits.concurrency == learned.concurrency
