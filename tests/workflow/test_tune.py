"""A tune from its plan to its verdict: what is sent, what is named, and what stays untouched."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from graded_models import GradedModels, graded_job, model_name, right_values
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.errors import ExitCode, Refused, UsageProblem
from batchrun.quality.tune.frontier import Frontier
from batchrun.quality.tune.verdict import Ending, Row, State
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.tunes import Tunes
from batchrun.strategy.plan_record import from_json
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.tune import Tune, TuneReport
from batchrun.workflow.tune_plan import TunePlan, open_tune, plan_tune
from batchrun.workflow.tune_write import edit_job

pytestmark = pytest.mark.slow

DOCUMENTS = 30
GOOD = {model_name(0): 0.4, model_name(1): 1.0, model_name(2): 1.0}


def labels(documents: int = DOCUMENTS) -> dict[str, dict[str, str]]:
    return {f"docs/{number:04}.txt": right_values(f"document {number:04}") for number in range(documents)}


@dataclass
class Tuner:
    """Tunes the job of a project, and keeps what was shown."""

    project: TrialProject
    path: Path
    plans: list[TunePlan] = field(default_factory=list)
    looks: list[Row] = field(default_factory=list)

    def __call__(
        self,
        provider: Any,
        gold: Mapping[str, Mapping[str, Any]] | None = None,
        told: Any = None,
        *,
        by_agreement: bool = False,
        max_cost_nusd: int | None = None,
        **said: Any,
    ) -> TuneReport:
        with open_tune(self.path, simulated=False, **said) as opened:
            caller = caller_of(provider, self.project.events.append)
            told = told or self.looks.append
            options = SubmitOptions(route="stream", max_cost_nusd=max_cost_nusd)

            async def tuned() -> TuneReport:
                self.plans.append(await plan_tune(opened, options, gold or {}, by_agreement=by_agreement))
                return await Tune(opened, self.plans[-1], caller, options, told).run()

            return run_async(tuned())


@pytest.fixture
def tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tuner:
    project = TrialProject(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Tuner(project, graded_job(project, 3, tune="target = 0.9", documents=DOCUMENTS))


def states(report: TuneReport) -> list[State]:
    return [row.state for row in report.rows]


def test_the_cheapest_that_holds_is_named_and_nothing_is_sent_or_touched_twice(tune):
    project, models = tune.project, GradedModels(accuracies=GOOD)
    project.submit(models)  # the job's own model has answered before
    statuses, rows = project.statuses(), project.rows("select * from trial order by doc_id")
    models.asked.clear()

    report = tune(models, labels())
    assert report.exit_code is ExitCode.OK
    assert states(report) == [State.DROPPED, State.CHOSEN, State.PROBED]
    assert report.verdict.row
    assert report.verdict.row.setting.model == model_name(1)
    assert models.count == {model_name(0): 10, model_name(1): DOCUMENTS}  # what the job has answered is not sent
    assert report.rows[2].standing
    assert report.rows[2].standing.documents == 10
    assert report.spent_nusd == sum(
        cost for (cost,) in project.ask("select cost_nusd from attempts where job != 'trial'")
    )
    assert (project.statuses(), project.rows("select * from trial order by doc_id")) == (statuses, rows)
    assert sorted(path.name for path in (project.root / "results").iterdir()) == [".gitignore", "out.duckdb"]

    (project.root / "batchrun.toml").write_text("[budget]\nmax_cost_usd = 0.000001\nmax_cost_per_day_usd = 0.000001\n")
    again = GradedModels(accuracies=GOOD)
    repeated = tune(again, labels())  # what costs nothing is in every budget
    assert (again.asked, repeated.spent_nusd, states(repeated)) == ([], 0, states(report))

    with open_tune(tune.path, simulated=False) as opened:
        assert edit_job(opened, report.verdict.row.setting, writes=True).is_written
    assert f'name = "{model_name(1)}"   # the dearest' in tune.path.read_text()
    summary = project.submit(again)
    assert (again.asked, summary.exit_code) == ([], ExitCode.OK)  # the tune has paid for all of them
    assert set(project.statuses().values()) == {"succeeded"}
    assert project.ask("select ended_at is not null from tunes") == [(1,)]
    with Ledger.read(project.ledger_path) as ledger:  # the reports of the job's runs show what the tune has found
        kept = from_json(Frontier, Tunes(ledger, "trial").frontier(until=time.time()) or "")
        assert Tunes(ledger, "trial").frontier(until=0) is None
    assert (kept.target, kept.ending, kept.chosen) == (0.9, "found", report.verdict.row.setting.words)
    assert [one.state for one in kept.points] == ["dropped", "chosen", "not judged"]
    assert kept.points[1].accuracy == report.verdict.row.standing.accuracy
    assert kept.points[1].cost_nusd == report.verdict.row.price_nusd()


def test_without_labels_the_strongest_answers_all_and_again_some(tune):
    accuracies = {model_name(0): 0.3, model_name(1): 0.98, model_name(2): 1.0}
    models = GradedModels(accuracies=accuracies, seed=1)
    report = tune(models)
    assert states(report) == [State.DROPPED, State.CHOSEN, State.STRONGEST]
    assert models.count[model_name(2)] == DOCUMENTS + 30
    assert report.self_agreement
    assert report.self_agreement.mean == 1.0
    differing = {
        f"docs/{number:04}.txt"
        for number in range(DOCUMENTS)
        if models.values(model_name(1), doc := f"document {number:04}") != right_values(doc)
    }
    assert set(report.to_label) == differing
    assert 0 < len(differing) < 20
    right = {doc_id: models.values(model_name(1), f"document {doc_id[5:9]}") for doc_id in sorted(differing)}
    corrected = tune(models, right, by_agreement=True)
    assert corrected.verdict.row
    assert corrected.verdict.row.standing
    assert (corrected.verdict.row.standing.accuracy.mean, corrected.to_label) == (1.0, ())
    assert corrected.rows[2].standing
    assert corrected.rows[2].standing.differing == report.verdict.row.standing.differing
    repeated = tune(models)
    assert (models.count.total(), repeated.self_agreement) == (report_count(report, models), report.self_agreement)


def report_count(report: TuneReport, models: GradedModels) -> int:
    return sum(row.standing.documents for row in report.rows if row.standing) + 30


def test_a_kill_between_two_looks_costs_nothing(tune):
    models = GradedModels(accuracies=GOOD)

    def killed(row: Row) -> None:
        if row.setting.model == model_name(1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(models, labels(), told=killed)
    paid = len(models.asked)
    cap = f"[budget]\nmax_cost_per_day_usd = {tune.plans[0].expected_nusd / 1e9 + 1e-6}\n"
    (tune.project.root / "batchrun.toml").write_text(cap)  # what is spent already is not expected once more
    report = tune(models, labels())
    assert report.verdict.ending is Ending.FOUND
    assert len(set(models.asked)) == len(models.asked) > paid
    assert tune.project.ask("select count(*) from tunes") == [(1,)]
    (spent,) = tune.project.ask("select sum(cost_nusd) from attempts")[0]
    assert report.spent_nusd == spent


def test_the_cap_stops_it_and_a_higher_one_goes_on(tune):
    models = GradedModels(accuracies={**GOOD, model_name(0): 0.9, model_name(1): 0.9}, output_tokens=400)
    cap = 8_300_000  # enough for the plan, in which a setting that is not good enough is dropped early
    graded_job(tune.project, 3, tune=f"target = 0.9\nmax_cost_usd = {cap / 1e9}", documents=DOCUMENTS)
    stopped = tune(models, labels())
    assert stopped.exit_code is ExitCode.STOPPED
    assert "the cap of the tune is reached" in str(stopped.halted)
    assert 0 < stopped.spent_nusd <= cap
    paid = len(models.asked)
    graded_job(tune.project, 3, tune="target = 0.9", documents=DOCUMENTS)
    report = tune(models, labels())
    assert report.verdict.ending is Ending.FOUND
    assert len(set(models.asked)) == len(models.asked) > paid


@pytest.mark.parametrize(
    ("options", "gold", "said"),
    [
        (
            {"target": 0.98},
            None,
            "30 documents cannot prove a target of 0.98: without a single wrong field it takes 133",
        ),
        (
            {"documents": 10},
            None,
            "10 documents cannot prove a target of 0.9: without a single wrong field it takes 25",
        ),
        ({}, labels(12), "12 labelled documents cannot prove a target of 0.9"),
        ({"max_cost_nusd": 1_000_000}, labels(), "the tune is expected to cost"),
    ],
)
def test_what_cannot_succeed_is_refused_with_nothing_sent(tune, options, gold, said):
    models = GradedModels(accuracies=GOOD)
    with pytest.raises(Refused, match=said) as refused:
        tune(models, gold, **options)
    assert refused.value.hint
    assert models.asked == []
    assert tune.project.ask("select (select count(*) from tunes), (select count(*) from runs)") == [(0, 0)]


def test_one_setting_without_labels_is_no_tune(tune):
    graded_job(tune.project, 1, tune="", documents=3)
    with pytest.raises(UsageProblem, match="has one setting"):
        tune(GradedModels(accuracies=GOOD))


def test_a_model_that_only_fails_is_dropped_and_stops_nothing(tune):
    class Broken(GradedModels):
        def values(self, model: str, doc: str) -> Any:
            return {"other": 1} if model == model_name(0) else super().values(model, doc)

    graded_job(
        tune.project, 3, tune="target = 0.9", documents=DOCUMENTS, run="max_failure_rate = 0.1\nfail_fast = true"
    )
    report = tune(Broken(accuracies=GOOD), labels())
    assert states(report) == [State.DROPPED, State.CHOSEN, State.PROBED]
    assert report.rows[0].standing
    assert report.rows[0].standing.failures.mean == 1.0


def test_a_job_file_that_has_changed_is_not_overwritten(tune):
    with open_tune(tune.path, simulated=False) as opened:
        before = tune.path.read_text() + "# mine\n"
        tune.path.write_text(before)
        edit = edit_job(opened, opened.settings[0], writes=True)
    assert "has changed since the tune began" in str(edit.problem)
    assert tune.path.read_text() == before
    assert [path.name for path in tune.path.parent.iterdir()] == ["trial.toml"]


def test_what_a_run_of_an_earlier_tune_spends_now_counts_to_the_cap_of_this_one(tune):
    """A tune with another target is another tune, and goes on with the run that the first one left unfinished."""

    class Dying(GradedModels):
        async def send(self, request: Any) -> Any:
            if len(self.asked) == 6:
                raise KeyboardInterrupt
            return await super().send(request)

    with pytest.raises(KeyboardInterrupt):
        tune(Dying(accuracies=GOOD), labels())
    (begun,) = tune.project.ask("select max(attempt_no), max(run_no) from attempts")
    report = tune(GradedModels(accuracies=GOOD), labels(), target=0.85)
    paid = tune.project.ask("select sum(cost_nusd), min(run_no) from attempts where attempt_no > ?", begun[0])
    assert paid == [(report.spent_nusd, begun[1])]
