"""Message Batches never pay twice: the process is killed around every durable write and every network call.

After each kill the same command is typed again until it is settled. Then every document has exactly one outcome and its
row, the API's own books bill no request twice and come to what the ledger says, and no batch is unknown or open.
BATCHRUN_KILLS=all tries every moment of every variant; by default it is every moment of the plain run.
With -n 0 it says at the end how many kills there were.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kill_cases import Squad, Variant, Verdict, squad

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="to wait for a grandchild is up to Linux"),
]

AT_ONCE = 8
CALLS = "(before|amid|after) (create|retrieve|page|cancel|results)"
ERRORS = ("batch_request_expired", "batch_request_errored", "batch_request_overloaded")

VARIANTS = (
    Variant(name="plain", every=1),
    Variant(name="batches take their time", life_s=0.07, every=7),
    Variant(name="the answer to a create call is lost", script=("batch_create_ok", "batch_reset_after")),
    Variant(name="a create call says 500 and has created", script=("batch_error_after",), every=5),
    Variant(name="a create call never arrives", script=("batch_reset_before",), every=6),
    Variant(name="the API is overloaded", script=("batch_overloaded", "batch_rate_limited"), every=7),
    Variant(name="requests expire and error", script=ERRORS),
    Variant(
        name="requests fail for good",
        script=ERRORS,
        job={"batch": "max_requests = 3", "retry": "max_attempts = 1"},
        failures={"expired": 1, "errored": 2},
        every=6,
    ),
    Variant(name="downloads are cut", script=("batch_results_cut", "batch_results_error", "batch_results_cut")),
    Variant(name="the cap makes waves", job={"batch": "max_requests = 3", "budget": "max_cost_usd = 0.002"}),
    Variant(name="polls and lists fail", script=("batch_poll_error", "batch_list_error", "batch_poll_error"), every=6),
    Variant(name="somebody else uses the key", strangers=True, every=5),
    Variant(name="killed twice", kills=2, every=5, script=("batch_create_ok", "batch_reset_after")),
    Variant(name="killed three times, nobody waits", kills=3, environment={"BATCHRUN_SUBMIT_NO_WAIT": "1"}),
    # What is streamed when the deadline is near may be billed and lost when it is killed in flight: only batches count.
    Variant(
        name="the deadline is near",
        script=("batch_never_ends", "batch_never_ends"),
        job={"batch": "max_requests = 3", "run": 'route = "batch"\ndeadline = "1s"'},
        environment={"ONLY": CALLS},
        every=5,
    ),
)


@dataclass
class Tally:
    """Over all variants."""

    kills: int = 0
    double_bills: int = 0


@pytest.fixture(scope="module")
def killers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Squad]:
    with squad(tmp_path_factory.mktemp("kills"), size=AT_ONCE) as some:
        yield some


@pytest.fixture(scope="module")
def counters(request: pytest.FixtureRequest) -> Iterator[Tally]:
    counters = Tally()
    yield counters
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{counters.kills} kills, {counters.double_bills} double bills")


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_nothing_is_lost_or_billed_twice(killers: Squad, counters: Tally, variant: Variant) -> None:
    moments = killers.moments(variant)
    assert len(moments) > 30, moments
    cases = chosen(variant, len(moments))
    verdicts = killers.kill(variant, cases)
    counters.kills += sum(verdict.kills for verdict in verdicts)
    counters.double_bills += sum(verdict.double_bills for verdict in verdicts)
    broken = [told(case, moments, verdict) for case, verdict in zip(cases, verdicts, strict=True) if verdict.broken]
    assert not broken, f"{len(broken)} of {len(cases)} cases:\n" + "\n".join(broken)
    assert sum(verdict.kills for verdict in verdicts) >= 0.8 * len(cases), "moments that never came prove nothing"


def chosen(variant: Variant, moments: int) -> list[tuple[int, ...]]:
    """Moments to kill at: the first process at each of them in turn, later ones at any."""
    every = 1 if os.environ.get("BATCHRUN_KILLS") == "all" else variant.every
    rng = random.Random(variant.name)
    return [
        (moment, *(rng.randint(1, moments) for _ in range(variant.kills - 1)))
        for moment in range(1, moments + 1, every)
    ]


def told(case: tuple[int, ...], moments: list[str], verdict: Verdict) -> str:
    """A case in words."""
    names = ", ".join(f"{number} ({moments[number - 1]})" for number in case)
    return f"killed at {names}: " + "; ".join(verdict.broken)
