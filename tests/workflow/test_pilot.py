"""A pilot: which documents come first, what the pilot shows, and when the rest follows."""

import pytest
from pilot_jobs import COST_NUSD, ONE_BY_ONE, REFUSED, Piloted, next_of
from scripted_provider import ScriptedProvider, Step, answer, status
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.events import RunStarted
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Usage
from batchrun.strategy.pilot_report import Decision

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_output")]


NO_ROW = answer("no JSON")

FIELDS = 'title = "string?"'

NULL = answer({"title": None})


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
    monkeypatch.setattr("batchrun.planning.planner.COUNTED_AT_ONCE", 0)
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
