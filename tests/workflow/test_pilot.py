"""A submit that begins with a pilot: which documents, what it tells, and what follows; and after a kill the same."""

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from scripted_batches_memory import BatchApi, WallClock
from scripted_provider import ScriptedProvider, Step, answer, status
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.errors import ExitCode, Refused
from batchrun.events import DocumentSettled, Event, RunStarted
from batchrun.execution.halt import Interrupted
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.providers import AttemptError, BatchProvider, Provider
from batchrun.reply import Failure, Reply, Usage
from batchrun.strategy.pilot_report import Decision, PilotOptions, PilotReport, pilot_terms
from batchrun.strategy.plan import Plan
from batchrun.strategy.routes import Route
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.pilot import PilotSubmit
from batchrun.workflow.summary import Summary

COST_NUSD = 150_000
"""Of one answer: 100 tokens in and 10 out."""
DEAR_NUSD = 5_500_000
"""Of one with 5,000 tokens in and 100 out."""
SMALL_ONLY = 'type = "files"\ninclude = ["docs/*.txt"]\nmax_document_tokens = 500'
REFUSED = answer("", stop_reason="refusal")
NO_ROW = answer("no JSON")
FIELDS = 'title = "string?"'
NULL = answer({"title": None})
ONE_BY_ONE = "max_concurrency = 1"
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_output")]


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Piloted:
    """Submits of a project with what they told."""

    project: TrialProject
    reports: list[PilotReport] = field(default_factory=list)
    shown: list[tuple[Plan, Plan | None]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda _: None
    on_report: Callable[[PilotReport], None] = lambda _: None

    def submit(
        self, provider: Any, documents: int | None = None, *, selection: Selection | None = None, **more: Any
    ) -> Summary:
        options = more.pop("options", SubmitOptions())
        with self.project.opened() as opened:
            terms = pilot_terms(opened.job.spec.pilot, PilotOptions(documents=documents, **more))
            piloted = PilotSubmit(
                opened,
                caller_of(provider, self._listen),
                show=lambda whole, pilot: self.shown.append((whole, pilot)),
                report=self._report,
                options=options,
            )
            return run_async(piloted.submit(selection or Selection(), terms))

    def _listen(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def _report(self, report: PilotReport) -> None:
        self.reports.append(report)
        self.on_report(report)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Their states, and how many documents each was to send."""
        return self.project.ask("select state, to_send from runs order by run_no")

    @property
    def members(self) -> set[str]:
        return {doc_id for (doc_id,) in self.project.ask("select doc_id from pilot_documents")}


@pytest.fixture
def piloted(project: TrialProject) -> Piloted:
    """Forty documents of four sizes."""
    project.job(run=ONE_BY_ONE)
    for number in range(40):
        project.document(f"{number:04}.txt", f"text {number} " + "word " * (10 ** (number % 4)))
    return Piloted(project)


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


async def next_of(steps: list[Step]) -> Reply:
    """The next step, whatever the document."""
    step = steps.pop(0)
    if isinstance(step, Failure):
        raise AttemptError(step)
    assert isinstance(step, Reply)
    return step


# --- the pilot itself


def test_a_sample_of_all_sizes_is_sent_and_nothing_else(piloted: Piloted) -> None:
    provider = ScriptedProvider()

    summary = piloted.submit(provider, 8)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 8}
    assert sorted(len(prompt.split()) - 2 for prompt in provider.sent) == [1, 1, 10, 10, 100, 100, 1_000, 1_000]
    [(whole, pilot)] = piloted.shown
    assert pilot is not None
    assert (whole.to_send, pilot.to_send) == (40, 8)
    assert pilot.estimate.cost_nusd.mean == pytest.approx(whole.estimate.cost_nusd.mean / 5, rel=0.1)
    assert piloted.runs == [("finished", 8)]
    [report] = piloted.reports
    assert report.decision is Decision.STOPS
    assert (report.found.documents, report.found.cost_nusd.mean) == (8, COST_NUSD)
    assert report.rest.to_send == 32
    assert report.rest.evidence.past == 8, "the estimate of the rest has learnt from it"
    assert report.before.documents == 32


def test_a_cap_that_is_reached_in_the_pilot_leaves_the_rest_too(project: TrialProject) -> None:
    project.job(run=ONE_BY_ONE, budget="max_cost_usd = 0.004\npartial = true")
    project.documents(40)
    dear = answer(usage=Usage(input_tokens=100, output_tokens=100))

    summary = Piloted(project).submit(ScriptedProvider(default=dear), 20)

    assert (summary.exit_code, summary.outcomes) == (ExitCode.STOPPED, {Outcome.SUCCEEDED: 5, None: 15})
    assert summary.remaining is not None
    assert summary.remaining.documents == 35
    assert summary.remaining.cost_nusd.mean == pytest.approx(project.plan().estimate.cost_nusd.mean, rel=0.01)


def test_little_is_under_way_at_once_where_the_cap_will_bind_after_the_pilot(project: TrialProject) -> None:
    """A kill makes worst cases of what is under way, and they are held against the cap."""
    project.job(run="max_concurrency = 16", budget="max_cost_usd = 0.1\npartial = true")
    project.documents(1_000)

    Piloted(project).submit(provider := ScriptedProvider(latency_s=0.001), 40)

    assert len(provider.sent) == 40
    assert provider.most_in_flight == 1, "8% of the cap, and a quarter of that, are one worst case and a half"


def test_what_it_found_is_never_paid_twice(piloted: Piloted) -> None:
    first, second = ScriptedProvider(), ScriptedProvider()
    piloted.submit(first, 8)
    summary = piloted.submit(second)
    assert summary.outcomes == {Outcome.SUCCEEDED: 40}
    assert len(first.sent) == 8
    assert len(second.sent) == 32
    assert not set(first.sent) & set(second.sent)
    assert piloted.runs == [("finished", 8), ("finished", 32)]


def test_the_same_plan_chooses_the_same_documents(project: TrialProject, piloted: Piloted) -> None:
    piloted.submit(ScriptedProvider(), 8)
    first = piloted.members
    assert len(first) == 8
    project.ledger_path.unlink()
    piloted.submit(ScriptedProvider(), 8)
    assert piloted.members == first


def test_some_fail(piloted: Piloted) -> None:
    piloted.project.job(run=ONE_BY_ONE, output_fields=FIELDS)
    steps: list[Step] = [NULL, REFUSED, NO_ROW, status(400, "no"), answer(), NULL, answer(), answer()]
    provider = ScriptedProvider(default=lambda _: next_of(steps))

    summary = piloted.submit(provider, 8)

    assert summary.exit_code == ExitCode.SOME_FAILED
    [report] = piloted.reports
    found = report.found
    assert {outcome: rate.count for outcome, rate in found.outcomes.items() if rate.count} == {
        Outcome.SUCCEEDED: 5, Outcome.REFUSED: 1, Outcome.INVALID: 1, Outcome.REJECTED: 1,
    }  # fmt: skip
    assert (found.failures.count, found.failures.of) == (3, 8)
    assert (found.nulls["title"].count, found.nulls["title"].of) == (2, 5)
    assert found.cost_nusd.mean == COST_NUSD * 7 / 8, "the rejected one was not billed"


def test_it_is_within_the_selection(piloted: Piloted) -> None:
    provider = ScriptedProvider()
    selection = Selection(sources=("docs/000*",), limit=9)

    summary = piloted.submit(provider, 3, selection=selection, go_on=True)

    assert len(provider.sent) == 9, "the limit is of both together"
    assert {f"docs/{int(prompt.split()[1]):04}.txt" for prompt in provider.sent} == {
        f"docs/000{number}.txt" for number in range(9)
    }
    assert summary.outcomes == {Outcome.SUCCEEDED: 9}


def test_a_pilot_of_all_has_no_rest(piloted: Piloted) -> None:
    summary = piloted.submit(ScriptedProvider(), 100)
    [report] = piloted.reports
    assert report.decision is Decision.COMPLETE
    assert summary.exit_code == ExitCode.OK
    assert piloted.runs == [("finished", 40)]


def test_one_answer_is_for_all_identical_documents(project: TrialProject, piloted: Piloted) -> None:
    for number in range(40):
        project.document(f"{number:04}.txt", f"text {number % 2}")
    provider = ScriptedProvider()
    summary = piloted.submit(provider, 1, go_on=True)
    assert sorted(provider.sent) == ["text 0", "text 1"]
    assert summary.outcomes == {Outcome.SUCCEEDED: 40}
    assert piloted.reports[0].found.documents == 1


def test_with_nothing_to_send_there_is_none(piloted: Piloted) -> None:
    piloted.submit(ScriptedProvider())
    provider = ScriptedProvider()
    summary = piloted.submit(provider, 100)
    assert summary.exit_code == ExitCode.OK
    assert provider.sent == []
    assert piloted.reports == []


def test_of_many_documents_those_of_the_pilot_are_counted(
    project: TrialProject, piloted: Piloted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.planning.classification.COUNTED_AT_ONCE", 0)
    monkeypatch.setattr("batchrun.estimation.sampling.LEAST_SAMPLED", 5)
    monkeypatch.setattr("batchrun.estimation.sampling.SAMPLED_BYTES", 0)
    provider = ScriptedProvider()
    summary = piloted.submit(provider, 8, go_on=True)
    [(whole, pilot)] = piloted.shown
    assert pilot is not None
    assert whole.evidence.guessed >= 30
    assert pilot.evidence.guessed == 0
    assert summary.outcomes == {Outcome.SUCCEEDED: 40}
    guessed = "select sum(guessed) from requests r join documents using (request_no) where doc_id in (select doc_id"
    assert project.ask(f"{guessed} from pilot_documents)") == [(0,)]


# --- going on


def test_the_rest_follows_in_the_same_run(piloted: Piloted) -> None:
    provider = ScriptedProvider()

    summary = piloted.submit(provider, 8, go_on=True)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 40}
    assert len(provider.sent) == len(set(provider.sent)) == 40
    assert piloted.runs == [("finished", 40)]
    assert summary.totals is not None
    assert summary.totals.cost_nusd == 40 * COST_NUSD
    report, (_, pilot) = piloted.reports[0], piloted.shown[0]
    assert report.decision is Decision.GOES_ON
    assert pilot is not None
    estimate = pilot.estimate.cost_nusd.mean + report.rest.estimate.cost_nusd.mean
    assert summary.totals.estimate_nusd == pytest.approx(estimate, abs=2), "of both parts, each before it was sent"
    starts = [event for event in piloted.events if isinstance(event, RunStarted)]
    assert [(one.to_send, one.resumed, one.spent_nusd) for one in starts] == [(8, False, 0), (32, True, 8 * COST_NUSD)]
    assert len({one.run_id for one in starts}) == 1


def test_a_threshold_that_holds_lets_it_follow(piloted: Piloted) -> None:
    piloted.project.job(
        run=ONE_BY_ONE, pilot="documents = 8\nmax_failure_rate = 0.05\nmax_cost_per_document_usd = 0.01"
    )
    summary = piloted.submit(ScriptedProvider())
    assert summary.outcomes == {Outcome.SUCCEEDED: 40}
    assert piloted.reports[0].decision is Decision.GOES_ON


def test_a_threshold_that_does_not_hold_stops_it(piloted: Piloted) -> None:
    piloted.project.job(run=ONE_BY_ONE, pilot="documents = 8\nmax_refusal_rate = 0.05")
    provider = ScriptedProvider(default=REFUSED)

    summary = piloted.submit(provider)

    assert summary.exit_code == ExitCode.STOPPED
    assert len(provider.sent) == 8
    assert "pilot.max_refusal_rate: 100.0%" in str(summary.halted)
    assert "allowed 5.0%" in str(summary.halted)
    assert summary.halted is not None
    assert "--no-pilot" in str(summary.halted.hint)
    assert piloted.runs == [("stopped", 8)]

    again = ScriptedProvider()
    assert piloted.submit(again).exit_code == ExitCode.STOPPED, "the same command says the same"
    assert again.sent == []
    anyway = piloted.submit(again, none=True)
    assert len(again.sent) == 32
    assert anyway.outcomes == {Outcome.REFUSED: 8, Outcome.SUCCEEDED: 32}
    assert piloted.runs == [("finished", 40)], "it is the same run, on the same budget"
    assert anyway.totals is not None
    assert anyway.totals.estimate_nusd == pytest.approx(
        sum(one.estimate.cost_nusd.mean for one in (piloted.shown[0][1], piloted.shown[-1][0]) if one), abs=2
    )


def test_go_on_false_waits_for_another_submit(piloted: Piloted) -> None:
    piloted.project.job(run=ONE_BY_ONE, pilot="documents = 8\nmax_failure_rate = 0.5\ngo_on = false")
    provider = ScriptedProvider()
    assert piloted.submit(provider).exit_code == ExitCode.OK
    assert len(provider.sent) == 8
    assert piloted.submit(provider).outcomes == {Outcome.SUCCEEDED: 40}
    assert [one.decision for one in piloted.reports] == [Decision.STOPS, Decision.GOES_ON]
    assert piloted.reports[1].run_id is None, "judged by what was answered before"


def test_enough_past_makes_a_pilot_needless(piloted: Piloted) -> None:
    piloted.submit(ScriptedProvider(), selection=Selection(limit=10))
    provider = ScriptedProvider()
    summary = piloted.submit(provider, 8)
    assert provider.sent == []
    assert summary.exit_code == ExitCode.OK
    [report] = piloted.reports
    assert (report.run_id, report.found.documents, report.decision) == (None, 10, Decision.STOPS)
    assert report.rest.to_send == 30
    assert piloted.submit(provider, 11).outcomes == {Outcome.SUCCEEDED: 11}, "ten are too few for eleven"


def test_another_prompt_has_no_past(piloted: Piloted) -> None:
    piloted.submit(ScriptedProvider(), selection=Selection(limit=10))
    piloted.project.job(run=ONE_BY_ONE, prompt='user = "Read this: {{ doc.text }}"')
    provider = ScriptedProvider()
    piloted.submit(provider, 8)
    assert len(provider.sent) == 8


# --- money


def test_a_pilot_may_show_that_the_budget_is_enough(piloted: Piloted) -> None:
    cap_nusd = piloted.project.plan().estimate.upper_nusd * 3 // 4
    options = SubmitOptions(max_cost_nusd=cap_nusd)
    with pytest.raises(Refused):
        piloted.submit(ScriptedProvider(), none=True, options=options)

    summary = piloted.submit(ScriptedProvider(), 8, go_on=True, options=options)

    assert summary.outcomes == {Outcome.SUCCEEDED: 40}


def test_a_pilot_may_show_that_it_is_not(piloted: Piloted) -> None:
    dear = ScriptedProvider(default=answer(usage=Usage(input_tokens=5_000, output_tokens=100)))
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
    answers = [answer()] * 8 + [answer(usage=Usage(input_tokens=5_000, output_tokens=100))] * 32
    steps: list[Step] = list(answers)
    options = SubmitOptions(max_cost_nusd=8 * COST_NUSD + 5 * DEAR_NUSD)
    summary = piloted.submit(ScriptedProvider(default=lambda _: next_of(steps)), 8, go_on=True, options=options)
    assert summary.exit_code == ExitCode.STOPPED
    assert summary.totals is not None
    assert 8 * COST_NUSD < summary.totals.cost_nusd <= 8 * COST_NUSD + 5 * DEAR_NUSD


def test_the_time_of_a_command_is_that_of_both(project: TrialProject, piloted: Piloted, clock: WallClock) -> None:
    provider = ScriptedProvider(latency_s=10)
    summary = piloted.submit(provider, 8, go_on=True, options=SubmitOptions(max_run_time_s=100))
    assert summary.exit_code == ExitCode.STOPPED
    assert "the run has taken 100 s" in str(summary.halted)
    assert 9 <= len(provider.sent) <= 11


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
