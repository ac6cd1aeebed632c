"""When a run stops although documents are left: its time, its first failure, or too many of them."""

import pytest
from scripted_provider import ScriptedProvider, Step, answer, lost
from trial_project import TrialProject

from batchrun.errors import ExitCode, Stopped
from batchrun.events import DocumentSettled
from batchrun.execution.halt import Halt
from batchrun.execution.stop_conditions import LATEST, StopConditions, Tolerance
from batchrun.outcome import Outcome

REFUSED = answer("", stop_reason="refusal")
ONE_BY_ONE = "max_concurrency = 1\n"


def settled(tolerance: Tolerance, *outcomes: Outcome) -> Halt:
    """What a run that puts up with so much makes of these outcomes."""
    halt = Halt()
    tell = StopConditions(tolerance, halt).watching(lambda _: None)
    for number, outcome in enumerate(outcomes):
        tell(DocumentSettled(f"{number}", outcome, None, 0))
    return halt


HALF = Tolerance(max_failure_rate=0.5)
GOOD, BAD = Outcome.SUCCEEDED, Outcome.INVALID


@pytest.mark.parametrize(
    ("case", "tolerance", "outcomes", "stops"),
    [
        ("everything is put up with", Tolerance(), [BAD] * 500, False),
        ("few documents say nothing", HALF, [BAD] * (LATEST - 1), False),
        ("all of the latest", HALF, [BAD] * LATEST, True),
        ("exactly as many as allowed", HALF, [BAD, GOOD] * LATEST, False),
        ("one more", HALF, [BAD, GOOD] * LATEST + [BAD, BAD], True),
        ("the old ones are forgotten", HALF, [BAD] * 25 + [GOOD] * 25 + [BAD] * 25, False),
        ("the good old ones too", HALF, [GOOD] * 1_000 + [BAD] * 26, True),
        ("skipped is no failure", HALF, [Outcome.SKIPPED] * 200, False),
        ("all may fail", Tolerance(max_failure_rate=1.0), [BAD] * 200, False),
        ("the first failure", Tolerance(fail_fast=True), [GOOD, BAD], True),
        ("no failure", Tolerance(fail_fast=True), [GOOD, Outcome.SKIPPED], False),
    ],
)
def test_which_failures_stop_a_run(case: str, tolerance: Tolerance, outcomes: list[Outcome], stops: bool) -> None:
    assert (settled(tolerance, *outcomes).reason is not None) is stops


def test_who_is_told_first_is_the_listener() -> None:
    halt, told = Halt(), []
    tell = StopConditions(Tolerance(fail_fast=True), halt).watching(lambda _: told.append(halt.reason))
    tell(DocumentSettled("a", BAD, None, 0))
    assert told == [None]
    assert isinstance(halt.reason, Stopped)


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time", "no_output")
@pytest.mark.parametrize(
    ("case", "sections", "words", "fewest", "most"),
    [
        ("time", {"budget": 'max_cost_usd = 1.0\nmax_run_time = "30s"'}, "max_run_time", 30, 31),
        ("the first failure", {"run": ONE_BY_ONE + "fail_fast = true"}, "fail_fast", 40, 41),
        ("too many failures", {"run": ONE_BY_ONE + "max_failure_rate = 0.5"}, "max_failure_rate", 66, 67),
    ],
)
def test_the_run_stops_and_the_next_submit_does_the_rest(
    project: TrialProject, case: str, sections: dict[str, str], words: str, fewest: int, most: int
) -> None:
    project.job(**({"run": ONE_BY_ONE} | sections))
    project.documents(90)
    script: dict[str, list[Step]] = {f"text {number}": [REFUSED] for number in range(40, 90)}
    provider = ScriptedProvider(script, latency_s=1.0)

    summary = project.submit(provider)

    assert isinstance(summary.halted, Stopped)
    assert words in str(summary.halted)
    assert summary.exit_code == ExitCode.STOPPED
    assert fewest <= len(provider.sent) <= most
    assert summary.outcomes[None] == 90 - len(provider.sent), "what was under way is finished"
    project.job()
    rest = ScriptedProvider()
    assert None not in project.submit(rest).outcomes
    assert sorted(provider.sent + rest.sent) == sorted(f"text {number}" for number in range(90))


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time", "no_output")
def test_the_time_is_that_of_this_part_of_the_run(project: TrialProject) -> None:
    project.job(run=ONE_BY_ONE, budget='max_cost_usd = 1.0\nmax_run_time = "10s"')
    project.documents(25)
    parts = [ScriptedProvider(latency_s=1.0) for _ in range(3)]

    codes = [project.submit(part).exit_code for part in parts]

    assert codes == [ExitCode.STOPPED, ExitCode.STOPPED, ExitCode.OK]
    assert sum(len(part.sent) for part in parts) == 25


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_who_waits_for_a_retry_is_not_waited_for_when_the_time_is_over(project: TrialProject) -> None:
    retry = 'max_attempts = 6\ninitial_delay = "600s"\nmax_delay = "600s"'
    project.job(retry=retry, budget='max_cost_usd = 1.0\nmax_run_time = "30s"')
    project.documents(3)
    provider = ScriptedProvider({"text 2": [lost()]}, latency_s=1.0)

    summary = project.submit(provider)

    assert summary.exit_code == ExitCode.STOPPED
    assert summary.outcomes == {Outcome.SUCCEEDED: 2, None: 1}
    assert len(provider.sent) == 3
