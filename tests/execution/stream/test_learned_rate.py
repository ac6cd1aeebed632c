"""The rate that answers of 429 teach: whole runs in virtual time against servers that say nothing of their limits."""

import pytest
from scripted_provider import TURNED_AWAY, ScriptedProvider, answer
from silent_provider import Gate, SilentProvider
from simulated_provider import Arrival
from trial_project import TrialProject

from batchrun.execution.stream.learned_rate import FEWEST, MARGIN, PAUSE_S, LearnedRate
from batchrun.outcome import Outcome
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.replies.latency import Latency
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits

MINUTE_S = 60.0
WIDE = 10**9


def silent(gate: Gate | None = None, *, per_minute: int = WIDE, burst_s: float = 60.0, **more: float) -> SilentProvider:
    limits = Limits(per_minute, WIDE, WIDE)
    simulator = Simulator(PROFILES["calm"], limits=limits, burst_s=burst_s, latency=Latency())
    return SilentProvider(simulator, gate=gate, **more)


def turned_away(arrivals: list[Arrival]) -> int:
    return sum(one.status == 429 for one in arrivals)


def submitted(project: TrialProject, provider: SilentProvider, documents: int) -> None:
    project.job(run='max_concurrency = "auto"', limits="headroom = 1.0")
    project.documents(documents)
    assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: documents}


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time", "no_output")
class TestWholeRuns:
    @pytest.mark.parametrize(
        ("case", "provider", "most", "within_s"),
        [
            ("a fixed window", lambda: silent(Gate(window_s=60, most=30)), 0.08, 500),
            ("a window that rolls", lambda: silent(Gate(window_s=60, most=30, rolls=True)), 0.08, 500),
            ("a bucket of a minute", lambda: silent(per_minute=30), 0.08, 420),
            ("a fast bucket of a second", lambda: silent(per_minute=600, burst_s=1.0), 0.06, 60),
            ("four in parallel", lambda: silent(Gate(parallel=4)), 0.05, 150),
            ("no limit", silent, 0.0, 30),
        ],
    )
    def test_few_are_turned_away_and_the_limit_is_used(
        self, project: TrialProject, case: str, provider, most: float, within_s: float
    ) -> None:
        server = provider()

        submitted(project, server, 200)

        assert turned_away(server.arrivals) <= most * len(server.arrivals)
        assert max(one.done_s or 0.0 for one in server.arrivals) < within_s

    def test_sixty_answers_of_thirty_a_minute(self, project: TrialProject) -> None:
        server = silent(Gate(window_s=60, most=30))
        submitted(project, server, 60)
        assert turned_away(server.arrivals) <= 5, "241 once"

    def test_after_a_pause_that_is_asked_for_requests_return_one_by_one(self, project: TrialProject) -> None:
        server = silent(per_minute=60, burst_s=5.0, retry_after_s=20.0)
        submitted(project, server, 28)
        assert turned_away(server.arrivals) <= 12, "96 once"
        times = sorted(one.at_s for one in server.arrivals)
        first = next(one.at_s for one in server.arrivals if one.status == 429)
        assert sum(first + 1 < moment < first + 21.5 for moment in times) <= 2

    def test_a_server_that_is_busy_at_first_and_took_nothing_is_not_slow_for_ever(self, project: TrialProject) -> None:
        project.job(run="max_concurrency = 8", limits="headroom = 1.0")
        project.documents(300)
        busy = {f"text {number}": [TURNED_AWAY, answer()] for number in range(3)}
        provider = ScriptedProvider(busy, latency_s=1.0)

        assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: 300}

        assert provider.sent_at[-1] - provider.sent_at[0] < 240, "66 minutes once"

    def test_what_was_learnt_is_there_for_the_next_run(self, project: TrialProject) -> None:
        submitted(project, silent(Gate(window_s=60, most=30)), 60)
        with project.opened() as opened:
            assert opened.limits.learned == {"requests_per_minute"}
            assert 20 <= opened.limits.requests_per_minute <= 40


# --- the rate itself


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def sent(rate: LearnedRate, clock: Clock, count: int, *, every_s: float) -> None:
    for _ in range(count):
        rate.passes()
        clock.now += every_s


def test_without_a_429_nothing_waits() -> None:
    clock = Clock()
    rate = LearnedRate(clock)
    sent(rate, clock, 100, every_s=0.0)
    assert (rate.per_minute, rate.wait_s() > 0) == (None, False)


def test_the_server_s_rate_is_what_it_took_between_two_episodes() -> None:
    clock = Clock()
    rate = LearnedRate(clock)
    sent(rate, clock, 11, every_s=0.1)
    rate.turned_away(sent_at=clock.now - 0.01, asked_s=None)
    began = clock.now
    clock.now += PAUSE_S
    sent(rate, clock, 21, every_s=1.0)
    rate.turned_away(sent_at=clock.now - 0.01, asked_s=None)
    assert rate.per_minute == pytest.approx(60 * 20 / (clock.now - began) * (1 - MARGIN), abs=1)


def test_it_grows_back_and_beyond_with_the_requests() -> None:
    clock = Clock()
    rate = LearnedRate(clock)
    rate.resume(600)
    told = [rate.per_minute]
    for _ in range(3):
        sent(rate, clock, FEWEST, every_s=0.1)
        told.append(rate.per_minute)
    assert told == [540, 600, 660, 1080]


def test_a_rate_that_was_learnt_too_low_is_soon_found_out() -> None:
    clock = Clock()
    rate = LearnedRate(clock)
    rate.resume(60)
    sent(rate, clock, 10 * FEWEST, every_s=1.0)
    assert (rate.per_minute or 0) > 60 * 60


def test_a_first_request_that_is_turned_away_again_makes_the_pause_longer() -> None:
    clock = Clock()
    rate = LearnedRate(clock)
    sent(rate, clock, 10, every_s=0.1)
    pauses = []
    for _ in range(3):
        pauses.append(rate.turned_away(sent_at=clock.now, asked_s=None))
        clock.now += pauses[-1]
        rate.passes()
    assert pauses[:2] == [PAUSE_S, 5 * PAUSE_S]
    assert sum(pauses) + 1 == pytest.approx(MINUTE_S, abs=2), "a full window has room again"


def test_what_comes_late_never_raises() -> None:
    clock = Clock()
    rate = LearnedRate(clock)
    rate.turned_away(sent_at=0.0, asked_s=None)
    rate.cancel()
    clock.now = 500.0
    rate.turned_away(sent_at=400.0, asked_s=None)
    rate.passes()
    assert rate.per_minute
