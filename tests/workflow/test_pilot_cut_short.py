"""A pilot that is cut short: the same command continues."""

import signal
from collections.abc import Callable

import pytest
from pilot_jobs import ONE_BY_ONE, REFUSED, Piloted, next_of
from scripted_provider import ScriptedProvider, Step, answer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.events import DocumentSettled, Event
from batchrun.execution.halt import Interrupted
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.strategy.pilot_report import PilotReport

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_output")]


class Killed(BaseException):
    """The process dies here."""


def interrupting_after(documents: int) -> Callable[[Event], None]:
    """Ctrl-C when so many have their outcomes."""
    settled = []

    def listen(event: Event) -> None:
        if isinstance(event, DocumentSettled):
            settled.append(event)
            if len(settled) == documents:
                signal.raise_signal(signal.SIGINT)

    return listen


def dying(_: PilotReport) -> None:
    raise Killed


# --- cut short


def test_an_interrupted_pilot_goes_on_with_the_same_documents(piloted: Piloted) -> None:
    provider = ScriptedProvider()
    piloted.on_event = interrupting_after(3)
    assert isinstance(piloted.submit(provider, 8).halted, Interrupted)
    chosen = piloted.members
    assert len(chosen) == 8
    assert piloted.reports == []
    assert 3 <= len(provider.sent) < 8
    assert piloted.runs == [("interrupted", 8)]

    piloted.on_event = lambda _: None
    summary = piloted.submit(provider, 8)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 8}
    assert piloted.members == chosen
    assert set(piloted.project.statuses()) == {doc_id.removeprefix("docs/") for doc_id in chosen}
    assert len(provider.sent) == 8
    assert piloted.reports[0].found.documents == 8, "all of it counts, whenever it was sent"
    assert piloted.runs == [("finished", 8)]


def test_a_failure_before_the_interruption_counts(piloted: Piloted) -> None:
    steps: list[Step] = [REFUSED, *[answer()] * 7]
    provider = ScriptedProvider(default=lambda _: next_of(steps))
    piloted.on_event = interrupting_after(3)
    piloted.submit(provider, 8)
    piloted.on_event = lambda _: None
    assert piloted.submit(provider, 8).exit_code == ExitCode.SOME_FAILED
    assert piloted.reports[0].found.failures.count == 1


def test_killed_between_pilot_and_rest(piloted: Piloted) -> None:
    provider = ScriptedProvider()
    piloted.on_report = dying
    with pytest.raises(Killed):
        piloted.submit(provider, 8, go_on=True)
    assert piloted.runs == [("running", 8)]
    piloted.on_report = lambda _: None
    summary = piloted.submit(provider, 8, go_on=True)
    assert summary.outcomes == {Outcome.SUCCEEDED: 40}
    assert len(provider.sent) == 40
    assert piloted.reports[0].found == piloted.reports[1].found, "it is judged again by the same documents"
    assert piloted.runs == [("finished", 40)]


def test_an_interrupted_rest_goes_on_without_being_judged_again(piloted: Piloted) -> None:
    piloted.project.job(run=ONE_BY_ONE, pilot="documents = 8\nmax_failure_rate = 0.1")
    steps: list[Step] = [*[answer()] * 8, *[REFUSED] * 6, *[answer()] * 26]
    provider = ScriptedProvider(default=lambda _: next_of(steps))
    piloted.on_event = interrupting_after(14)
    assert isinstance(piloted.submit(provider).halted, Interrupted)
    assert piloted.runs == [("interrupted", 40)]
    piloted.on_event = lambda _: None
    assert piloted.submit(provider).outcomes == {Outcome.SUCCEEDED: 34, Outcome.REFUSED: 6}
    assert len(piloted.reports) == 1
    assert piloted.runs == [("finished", 40)]


def test_a_rest_let_in_by_the_past_is_not_judged_again_either(piloted: Piloted) -> None:
    piloted.submit(ScriptedProvider(), selection=Selection(limit=8))
    piloted.project.job(run=ONE_BY_ONE, pilot="documents = 8\nmax_failure_rate = 0.1")
    steps: list[Step] = [*[REFUSED] * 6, *[answer()] * 26]
    provider = ScriptedProvider(default=lambda _: next_of(steps))
    piloted.on_event = interrupting_after(6)
    assert isinstance(piloted.submit(provider).halted, Interrupted)
    piloted.on_event = lambda _: None
    assert piloted.submit(provider).exit_code == ExitCode.SOME_FAILED
    assert len(piloted.reports) == 1


def test_a_document_that_changes_during_the_pilot_is_of_it_still(project: TrialProject, piloted: Piloted) -> None:
    piloted.on_event = interrupting_after(3)
    piloted.submit(ScriptedProvider(), 8)
    piloted.on_event = lambda _: None
    done = next(name for name, state in project.statuses().items() if state == "succeeded")
    gone = next(name for name, state in project.statuses().items() if state == "pending")
    project.document(done, "another text")
    (project.root / "docs" / gone).unlink()
    provider = ScriptedProvider()
    summary = piloted.submit(provider, 8)
    assert "another text" in provider.sent
    assert piloted.reports[0].found.documents == 8
    assert piloted.reports[0].found.failures.count == 1, "the one that is gone"
    assert summary.outcomes == {Outcome.SUCCEEDED: 7}


def test_another_selection_has_another_pilot(piloted: Piloted) -> None:
    low, high = (Selection(sources=(f"docs/00{digits}*",)) for digits in ("[01]", "[23]"))
    piloted.on_event = interrupting_after(3)
    piloted.submit(ScriptedProvider(), 8, selection=low)
    piloted.on_event = lambda _: None
    provider = ScriptedProvider()
    piloted.submit(provider, 8, selection=high)
    assert len(provider.sent) == 8
    assert all(doc_id > "docs/002" for doc_id in piloted.members)
    assert piloted.reports[0].found.documents == 8


def test_a_pilot_that_is_over_by_hand(piloted: Piloted) -> None:
    piloted.on_event = interrupting_after(3)
    piloted.submit(ScriptedProvider(), 8)
    piloted.on_event = lambda _: None
    assert piloted.submit(ScriptedProvider(), none=True).outcomes == {Outcome.SUCCEEDED: 40}
    assert piloted.reports == []
    assert piloted.runs == [("finished", 40)]


def test_a_retry_does_not_let_the_rest_in(piloted: Piloted) -> None:
    piloted.project.job(run=ONE_BY_ONE, pilot="documents = 8\nmax_refusal_rate = 0.05")
    piloted.submit(ScriptedProvider(default=REFUSED))
    provider = ScriptedProvider(default=REFUSED)
    piloted.project.submit(provider, Selection(again=frozenset({Outcome.REFUSED})))
    assert len(provider.sent) == 8
    assert piloted.submit(provider).exit_code == ExitCode.STOPPED
    assert len(provider.sent) == 8
    piloted.project.submit(ScriptedProvider(), Selection(again=frozenset({Outcome.REFUSED})))
    assert piloted.submit(provider).outcomes.keys() == {Outcome.SUCCEEDED, Outcome.REFUSED}, "now it was mended"
    assert len(provider.sent) == 40


def test_of_an_interrupted_run_a_pilot_takes_some_first(piloted: Piloted) -> None:
    provider = ScriptedProvider()
    piloted.on_event = interrupting_after(3)
    piloted.submit(provider)
    estimate = piloted.project.ask("select estimate_nusd from runs")
    piloted.on_event = lambda _: None
    sent = len(provider.sent)
    piloted.submit(provider, 8)
    assert len(provider.sent) == sent + 8
    assert piloted.runs == [("stopped", 40)], "the others are still its documents"
    piloted.submit(provider, none=True)
    assert len(provider.sent) == 40
    assert piloted.project.ask("select estimate_nusd from runs") == estimate, "they were in its estimate from the start"
