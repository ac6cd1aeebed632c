"""Message Batches never pay twice: the process is killed around every durable write and every network call.

After each kill the same command is typed again until it is settled. Then every document has exactly one outcome and its
row, the API's own books bill no request twice and come to what the ledger says, and no batch is unknown or open.
BATCHRUN_KILLS=all tries every moment of every variant; by default it is some of them.
With -n 0 it says at the end how many kills there were.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kill_cases import Case, Squad, create_somewhere_else, squad

from batchrun.proof.trial import Variant, Verdict

pytestmark = pytest.mark.slow

AT_ONCE = 4
ERRORS = ("batch_request_expired", "batch_request_errored", "batch_request_overloaded")
LOST = ("batch_create_ok", "batch_reset_after")
BUSY = ("batch_poll_error", "batch_list_error", "batch_poll_error")
CUT = ("batch_results_cut", "batch_results_error", "batch_results_cut")

CASES = (
    Case(name="plain", every=4),
    Case(name="batches take their time", variant=Variant(life_s=0.07), every=17),
    Case(name="the answer to a create call is lost", variant=Variant(script=LOST)),
    Case(name="a create call says 500 and has created", variant=Variant(script=("batch_error_after",)), every=11),
    Case(name="a create call never arrives", variant=Variant(script=("batch_reset_before",)), every=13),
    Case(name="the API is overloaded", variant=Variant(script=("batch_overloaded", "batch_rate_limited")), every=17),
    Case(name="requests expire and error", variant=Variant(script=ERRORS)),
    Case(
        name="requests fail for good",
        variant=Variant(script=ERRORS, job={"retry": "max_attempts = 1"}),
        failures={"expired": 1, "errored": 2},
        every=13,
    ),
    Case(name="downloads are cut", variant=Variant(script=CUT)),
    Case(name="the cap makes waves", variant=Variant(job={"budget": "max_cost_usd = 0.002"})),
    Case(name="polls and lists fail", variant=Variant(script=BUSY), every=13),
    Case(name="somebody else uses the key", variant=Variant(then=create_somewhere_else), every=11),
    Case(name="killed twice", variant=Variant(script=LOST), kills=2, every=11),
    Case(
        name="killed three times, nobody waits", variant=Variant(environment={"BATCHRUN_SUBMIT_NO_WAIT": "1"}), kills=3
    ),
    # What is streamed when the deadline is near may be billed and lost when it is killed in flight: only batches count.
    Case(
        name="the deadline is near",
        variant=Variant(script=("batch_never_ends", "batch_never_ends"), job={"run": 'deadline = "1s"'}),
        only="batches",
        every=11,
    ),
)


@dataclass
class Tally:
    """Over all cases."""

    deaths: int = 0
    breaches: int = 0


@pytest.fixture(scope="module")
def killers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Squad]:
    with squad(tmp_path_factory.mktemp("kills"), size=AT_ONCE) as some:
        yield some


@pytest.fixture(scope="module")
def counters(request: pytest.FixtureRequest) -> Iterator[Tally]:
    counters = Tally()
    yield counters
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{counters.deaths} deaths, {counters.breaches} broken promises")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_lost_or_billed_twice(killers: Squad, counters: Tally, case: Case) -> None:
    moments = killers.moments(case)
    assert len(moments) > 20, moments
    places = chosen(case, len(moments))
    verdicts = killers.kill(case, places)
    counters.deaths += sum(verdict.deaths.total() for verdict in verdicts)
    broken = [told(*pair, moments) for pair in zip(places, verdicts, strict=True) if pair[1].audit.breaches]
    counters.breaches += len(broken)
    assert not broken, f"{len(broken)} of {len(places)} trials:\n" + "\n".join(broken)
    assert sum(verdict.deaths.total() for verdict in verdicts) >= 0.8 * len(places), "moments that never came"


def chosen(case: Case, moments: int) -> list[list[int]]:
    """Moments to kill at: the first process at each of them in turn, later ones at any."""
    every = 1 if os.environ.get("BATCHRUN_KILLS") == "all" else case.every
    rng = random.Random(case.name)
    return [
        [moment, *(rng.randint(1, moments) for _ in range(case.kills - 1))] for moment in range(1, moments + 1, every)
    ]


def told(place: list[int], verdict: Verdict, moments: list[str]) -> str:
    """A trial in words."""
    names = ", ".join(f"{number} ({moments[number - 1]})" for number in place)
    return f"killed at {names}: " + "; ".join(f"{promise}: {words}" for promise, words in verdict.audit.breaches)
