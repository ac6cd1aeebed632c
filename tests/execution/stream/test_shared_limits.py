"""Models that share one limit at the API: a cascade of two keeps to that limit, and no later run doubles the limit."""

from typing import NamedTuple

import pytest
from simulated_provider import SimulatedProvider
from trial_project import TrialProject

from batchrun.catalog.rate_limits import LearnedLimits, LimitOrigin
from batchrun.cli.views.route_text import route_lines
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics
from batchrun.store.reports.performance import performance

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("virtual_time", "no_output")]

PER_MINUTE, DOCUMENTS = 60, 40
FIRST, SECOND, APART = "claude-opus-4-7", "claude-opus-4-8", "claude-opus-5"


class Ran(NamedTuple):
    """What the API saw of a run."""

    seconds: float
    statuses: list[int | None]


def ran(project: TrialProject, then: str, *, limits: str = "", per_minute: int = PER_MINUTE) -> Ran:
    """Run a cascade whose second model is asked about every document: the documents have no day."""
    project.documents(DOCUMENTS)
    cascade = f'models = ["{FIRST}", "{then}"]\nnull_in = ["day"]'
    project.job(
        model="max_tokens = 100", cascade=cascade, limits=f"headroom = 0.9\n{limits}", run="", retry="",
        output_fields="day = { type = \"date\", nullable = true }",
    )  # fmt: skip
    # No more than three seconds' worth is in the bucket, so that pacing too fast cannot go unnoticed.
    simulator = Simulator(PROFILES["calm"], limits=Limits(per_minute, 10**9, 10**9), burst_s=3.0)
    provider = SimulatedProvider(simulator)
    summary = project.submit(provider)
    assert summary.halted is None
    assert set(project.statuses().values()) == {"succeeded"}
    return Ran(provider.arrivals[-1].at_s - provider.arrivals[0].at_s, [one.status for one in provider.arrivals])


def test_a_cascade_of_two_keeps_to_the_limit_that_both_share(project: TrialProject) -> None:
    run = ran(project, SECOND, limits=f"requests_per_minute = {PER_MINUTE}")

    assert len([status for status in run.statuses if status == 200]) == 2 * DOCUMENTS
    assert run.statuses.count(429) <= 1
    assert run.seconds >= 60 * (2 * DOCUMENTS - 4) / PER_MINUTE
    pace = performance(Ledger.read(project.ledger_path), 1)
    assert {use.model for use in pace.minutes} == {f"{FIRST} + {SECOND}"}
    assert sum(use.requests for use in pace.minutes) == len(run.statuses)


def test_models_with_limits_of_their_own_are_paced_side_by_side(project: TrialProject) -> None:
    run = ran(project, APART)

    assert run.statuses.count(429) <= 1
    assert run.seconds < 60 * 1.3 * DOCUMENTS / PER_MINUTE
    assert {use.model for use in performance(Ledger.read(project.ledger_path), 1).minutes} == {FIRST, APART}


def test_what_one_run_learns_of_the_limit_is_the_limit_of_both_in_the_next(project: TrialProject) -> None:
    ran(project, SECOND)
    known = RunMetrics(Ledger.read(project.ledger_path)).all_learned()
    assert {model: found.requests_per_minute for model, found in known.items()} == dict.fromkeys((FIRST, SECOND), 60)
    with Ledger.open(project.ledger_path) as ledger, ledger.transaction():  # the second model was asked alone since
        later = LearnedLimits(90, None, None, concurrency=7, learnt_at=known[SECOND].learnt_at + 1)
        RunMetrics(ledger).learn(SECOND, later)

    with project.opened() as opened:
        first, second = (one.limits for one in opened.chain.models)

    assert (first.requests_per_minute, second.requests_per_minute) == (90, 90)
    assert first.origin("requests_per_minute") is LimitOrigin.LEARNED
    assert (first.concurrency, second.concurrency) == (known[FIRST].concurrency, 7)


def test_the_limits_of_the_job_file_are_those_of_every_model_that_shares_them(project: TrialProject) -> None:
    ran(project, SECOND, limits=f"requests_per_minute = {PER_MINUTE}")
    project.documents(2 * DOCUMENTS)

    with project.opened() as opened:
        chain = opened.chain
    plan = project.plan()

    assert [one.limits.requests_per_minute for one in chain.models] == [PER_MINUTE] * 2
    assert f"a minute: job file, shared by {FIRST} and {SECOND}" in route_lines(plan, chain)[-1]
    alone_s = 60 * DOCUMENTS / (0.9 * PER_MINUTE)
    assert plan.duration.seconds == pytest.approx(2 * alone_s, rel=0.15), "every document is asked about twice"
