"""A calibrated cascade in a whole submit: drawing, both models, the threshold, the rest, and what is told of it."""

import json
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from scripted_batches_memory import BatchApi, WallClock
from scripted_models import FIRST, SECOND, Models
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.cli.views.cascade_text import promise_lines, threshold_words
from batchrun.errors import ExitCode, Refused, Stopped
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.report.summary_json import calibration_as_json
from batchrun.request import Request
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration
from batchrun.strategy.plan import Plan
from batchrun.workflow.cascade_calibration import CalibratedSubmit
from batchrun.workflow.open_job import OpenJob, SubmitOptions
from batchrun.workflow.pilot import PilotSubmit
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.slow

DOCUMENTS, CALIBRATE, NEEDED, SEED = 50, 30, 21, 17
CALIBRATED = f'accept = "calibrated"\nmax_difference = 0.2\ncalibrate = {CALIBRATE}'
FIELDS = 'title = "string"\nday = "date?"'


def job(project: TrialProject, more: str = CALIBRATED, **sections: str) -> None:
    project.job(
        model="max_tokens = 100",
        output_fields=FIELDS,
        cascade=f'models = ["{FIRST}", "{SECOND}"]\n{more}',
        **sections,
    )


def reply(number: int, *, is_wrong: bool, shows_it: bool = True) -> Reply:
    day = None if is_wrong and shows_it else "2026-01-01"
    return answer({"title": "another" if is_wrong else f"title {number}", "day": day})


@dataclass
class Answers(Models):
    """The first model is wrong about every fifth document, and leaves the day out there; the second one is right."""

    wrong: Callable[[int], bool] = lambda number: number % 5 == 0
    shows_it: bool = True
    before: Callable[[int], None] = lambda _: None
    """Called with how many requests there were before this one."""

    async def send(self, request: Request) -> Reply:
        params = json.loads(request.body)
        model, prompt = params["model"], params["messages"][0]["content"]
        self.before(len(self.asked))
        self.asked.append((model, prompt))
        number = int(prompt.split()[-1])
        is_wrong = model == FIRST and self.wrong(number)
        return replace(reply(number, is_wrong=is_wrong, shows_it=self.shows_it), model=f"{model}-20251001")

    def of_model(self, model: str) -> set[str]:
        return {prompt for asked, prompt in self.asked if asked == model}


@dataclass
class Submits:
    """Submits of a project with what they told."""

    project: TrialProject
    shown: list[tuple[Plan, Plan | None]] = field(default_factory=list)
    reports: list[CascadeCalibration] = field(default_factory=list)
    on_report: Callable[[], None] = lambda: None

    def __call__(self, provider: ScriptedProvider | BatchApi, selection: Selection | None = None) -> Summary:
        selection = selection or Selection()

        def report(found: CascadeCalibration) -> None:
            self.reports.append(found)
            self.on_report()

        with self.project.opened() as opened:
            caller = caller_of(provider, self.project.events.append)

            async def rest(opened: OpenJob, options: SubmitOptions) -> Summary:
                piloted = PilotSubmit(opened, caller, self._show, lambda _: None, options)
                return await piloted.submit(selection, None)

            return run_async(CalibratedSubmit(opened, caller, self._show, report, rest).submit(selection))

    def _show(self, whole: Plan, first: Plan | None) -> None:
        self.shown.append((whole, first))

    @property
    def drawn(self) -> set[str]:
        rows = self.project.ask("select value from cascade_calibrations, json_each(drawn)")
        return {f"text {int(doc_id[-8:-4])}" for (doc_id,) in rows}


@pytest.fixture
def submits(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> Submits:
    monkeypatch.setattr("secrets.SystemRandom", lambda: random.Random(SEED))
    job(project)
    project.documents(DOCUMENTS)
    return Submits(project)


def reasons(project: TrialProject) -> dict[str, int]:
    return dict(project.ask("select escalated, count(*) from attempts where escalated is not null group by 1"))


def planned(project: TrialProject) -> list[str]:
    """What a plan says of the calibration."""
    plan = project.plan()
    assert plan.cascade is not None
    with project.opened() as opened:
        return threshold_words(plan.cascade, opened, to_send=plan.to_send)


def doubtful() -> set[str]:
    return {f"text {number}" for number in range(0, DOCUMENTS, 5)}


def test_the_threshold_of_what_both_models_answered_decides_on_the_rest(submits: Submits) -> None:
    project, provider = submits.project, Answers()

    summary = submits(provider)

    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: DOCUMENTS})
    drawn = submits.drawn
    assert len(drawn) == CALIBRATE
    assert provider.of_model(FIRST) == {f"text {number}" for number in range(DOCUMENTS)}
    assert provider.of_model(SECOND) == drawn | doubtful()
    assert len(provider.asked) == len(set(provider.asked)), "nothing is asked twice"
    assert reasons(project) == {"calibrating": CALIBRATE, "score": len(doubtful() - drawn)}
    (found,) = submits.reports
    assert (found.asked, found.below, found.differing) == (CALIBRATE, 0.1, 0)
    taken = CALIBRATE - len(drawn & doubtful())
    assert found.accepted == taken
    assert project.ask("select count(*), state, to_send from runs") == [(1, "finished", DOCUMENTS)]
    assert set(project.rows("select title != 'another', day is null from trial")) == {(True, False)}

    assert promise_lines(summary.calibration, summary.plan.models) == [
        f"           at most 20.0% of the documents taken from {FIRST} differ from {SECOND}, with 95% confidence",
        f"           found on 30 documents that both answered: {taken} would be taken ({taken / CALIBRATE:.0%}),"
        " where the score is below 0.1; 0 of them differ",
        f"           drawn at random from the {DOCUMENTS} documents that were to be sent; the promise is about no other"
        " documents",
    ]
    assert summary.calibration is not None
    fields = calibration_as_json(summary.calibration)
    assert (fields["documents"], fields["calibrated"], fields["threshold"]) == (DOCUMENTS, CALIBRATE, 0.1)
    again = Answers()
    assert submits(again).outcomes == {Outcome.SUCCEEDED: DOCUMENTS}
    assert again.asked == []


def test_too_few_documents_are_refused_with_the_number(submits: Submits) -> None:
    provider = Answers()
    with pytest.raises(
        Refused, match=r"max_difference = 0\.2 needs 21 documents that both models answer, and only 20 are"
    ):
        submits(provider, Selection(limit=NEEDED - 1))
    assert provider.asked == []
    with submits.project.opened() as opened:
        assert isinstance(opened.obstacle(submits.project.plan(Selection(limit=20))), Refused), "a plan says so"
    assert submits.project.ask("select count(*) from cascade_calibrations") == [(0,)]


@pytest.mark.usefixtures("no_output")
def test_without_a_threshold_the_run_stops_and_says_what_to_do(submits: Submits) -> None:
    provider = Answers(wrong=lambda number: number % 2 == 0, shows_it=False)

    summary = submits(provider)

    assert summary.exit_code == ExitCode.STOPPED
    assert str(summary.halted) == (
        "no threshold holds: by 30 documents that both models answered, nobody can promise that at most 20.0% of the"
        f" documents taken from {FIRST} differ from {SECOND}."
    )
    assert len(provider.asked) == 2 * CALIBRATE
    assert planned(submits.project) == ["the calibration on 30 documents has found no threshold"]
    again = Answers()
    with pytest.raises(Stopped, match="no threshold holds"):
        submits(again)
    assert again.asked == []
    submits.project.documents(70)
    job(submits.project, CALIBRATED.replace("30", "31"))
    assert submits(again).exit_code == ExitCode.OK, "another number calibrates again"
    assert not again.of_model(FIRST) & provider.of_model(FIRST), "what both models answered is known"


@pytest.mark.usefixtures("no_output")
def test_later_documents_are_held_against_the_threshold(submits: Submits) -> None:
    submits(Answers())
    project = submits.project
    project.document("new.txt", "text 1001")
    project.document("doubtful.txt", "text 1005")
    provider = Answers()

    summary = submits(provider)

    assert sorted(provider.asked) == [(FIRST, "text 1001"), (FIRST, "text 1005"), (SECOND, "text 1005")]
    assert len(submits.reports) == 1, "it is not calibrated again"
    assert summary.calibration is not None
    assert summary.calibration.documents == DOCUMENTS, "the promise is not about the later ones"


def test_answers_of_before_are_held_against_the_threshold(submits: Submits) -> None:
    """A job that took all answers by its rules is calibrated later: no answer is paid again."""
    job(submits.project, more="")
    submits(Answers())
    job(submits.project)
    provider = Answers()

    submits(provider)

    assert provider.of_model(FIRST) == set()
    assert provider.of_model(SECOND) == submits.drawn | doubtful()
    assert submits.project.rows("select count(*) from trial where title = 'another'") == [(0,)]


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize("at", [10, 2 * CALIBRATE - 1, 2 * CALIBRATE])
def test_a_submit_that_ends_anywhere_goes_on_where_it_was(submits: Submits, at: int) -> None:
    def end(before: int) -> None:
        if before == at:
            os.kill(os.getpid(), signal.SIGINT)

    first = Answers(before=end)
    assert submits(first).exit_code == ExitCode.INTERRUPTED
    drawn = submits.drawn

    provider = Answers()
    summary = submits(provider)

    assert (summary.exit_code, submits.drawn) == (ExitCode.OK, drawn)
    asked = first.asked + provider.asked
    assert len(asked) == len(set(asked)) == DOCUMENTS + len(drawn | doubtful())


class Died(BaseException):
    """The process is gone."""


def die(*_: Any, **__: Any) -> None:
    raise Died


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize("where", ["before the threshold", "after the threshold"])
def test_a_process_that_dies_between_the_stages_pays_nothing_again(
    submits: Submits, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    first = Answers()
    with monkeypatch.context() as dying:
        if where == "before the threshold":
            dying.setattr("batchrun.workflow.cascade_calibration.calibrated_threshold", die)
        else:
            submits.on_report = die
        with pytest.raises(Died):
            submits(first)
    submits.on_report = lambda: None
    assert len(first.asked) == 2 * CALIBRATE

    provider = Answers()
    summary = submits(provider)

    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: DOCUMENTS})
    assert provider.of_model(SECOND) == doubtful() - submits.drawn
    assert not set(first.asked) & set(provider.asked)


@pytest.mark.usefixtures("no_output")
def test_some_of_the_drawn_documents_are_not_enough(submits: Submits) -> None:
    def end(before: int) -> None:
        if before == 10:
            os.kill(os.getpid(), signal.SIGINT)

    submits(Answers(before=end))
    assert planned(submits.project) == ["the calibration on 30 documents has begun and goes on"]
    with pytest.raises(Refused, match="is being calibrated on 30 documents, and only"):
        submits(Answers(), Selection(limit=20))


@pytest.mark.usefixtures("no_output")
def test_where_all_are_drawn_the_second_model_answers_all(submits: Submits) -> None:
    provider = Answers()

    summary = submits(provider, Selection(limit=25))

    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: 25})
    assert len(provider.asked) == 50
    assert summary.totals is not None


@pytest.mark.usefixtures("no_output")
def test_the_rest_may_come_in_batches(submits: Submits, clock: WallClock) -> None:
    job(submits.project, run='route = "batch"')
    api, streamed = BatchApi(clock), Answers()
    api.streaming = streamed
    api.script = {f"text {number}": [reply(number, is_wrong=number % 5 == 0)] for number in range(DOCUMENTS)}

    summary = submits(api)

    drawn = submits.drawn
    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: DOCUMENTS})
    assert streamed.of_model(FIRST) == drawn, "the answers of the calibration are wanted now"
    assert streamed.of_model(SECOND) == drawn | doubtful()
    assert sum(api.sizes) == DOCUMENTS - CALIBRATE
    assert reasons(submits.project) == {"calibrating": CALIBRATE, "score": len(doubtful() - drawn)}


@pytest.mark.usefixtures("no_output")
def test_a_plan_prices_the_calibration_and_then_measures(submits: Submits) -> None:
    project = submits.project
    plan = project.plan()
    assert plan.cascade is not None
    assert plan.cascade.steps[0].share.expected.mean == pytest.approx(0.6 + 0.4 * 0.2)
    (words,) = planned(project)
    assert words.startswith("30 documents asked of both models first: about $")
    submits(Answers())
    project.document("new.txt", "text 1001")
    plan = project.plan()
    assert plan.cascade is not None
    assert plan.cascade.steps[0].share.expected.mean == 0.2, "as the threshold would take them"
    assert planned(project)[0].startswith("at most 20.0% of the documents taken from")
