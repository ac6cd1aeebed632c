"""What the ledger tells of any run, long after the run."""

from dataclasses import replace

import pytest

from batchrun.report.collect import collect
from batchrun.report.words import verdict
from batchrun.store.ledger.ledger import Ledger


def test_a_run_keeps_its_outcomes_whatever_became_of_its_documents(first):
    assert first.outcomes == {"succeeded": 5, "invalid": 1, "refused": 1, "rejected": 1}
    assert (first.documents, first.failed, first.answers) == (8, 3, 5)


def test_each_reason_has_the_command_that_mends_it_or_shows_it(first):
    run_id = first.story.run_id
    assert [(one.outcome, one.documents, one.command) for one in first.attention] == [
        ("invalid", 1, f"batchrun retry {run_id} --status invalid"),
        ("refused", 1, f"batchrun results {run_id} --status refused"),
        ("rejected", 1, f"batchrun results {run_id} --status rejected"),
    ]


def test_fields_count_what_is_filled_and_what_is_null(first):
    assert [(one.field, one.filled, one.null, one.invalid) for one in first.fields] == [
        ("title", 5, 0, 0),
        ("note", 3, 2, 0),
    ]


def test_spending_ends_with_the_cost_and_the_classes_add_up(first):
    last = first.moments[-1]
    assert (last.spent_nusd, last.settled) == (first.totals.cost_nusd, 8)
    classes = first.spending.classes
    assert classes.input + classes.output == first.totals.cost_nusd
    assert dict(first.totals.retried) == {"http_500": 1, "dropped": 1}
    assert sum(one.count for one in first.latency_bins) == 7  # the rejected request has no answer


def test_a_run_is_compared_with_the_finished_run_before(report_of):
    assert report_of(1).previous is None
    before = report_of(3).previous
    assert (before.story.run_no, before.documents, before.failed) == (2, 1, 0)
    assert [key.key for key in before.changed] == ["prompt.user"]


def test_prompts_are_compared_with_what_the_run_was_estimated_with(report_of):
    fit = report_of(3).fit
    assert (fit.prompts, len(fit.dots)) == (8, 8)
    assert fit.bias == pytest.approx(sum(share for *_, share in fit.dots) / 8 - 1)


@pytest.fixture
def copy(ran, tmp_path):
    """The ledger of the project, to be changed."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(ran.ledger_path.read_bytes())
    with Ledger.open(path) as ledger:
        yield ledger


def test_a_run_of_an_earlier_version_says_what_is_not_known(copy, tmp_path, first):
    copy.connection.execute("delete from run_plans")
    report = collect(copy, 1, root=tmp_path)
    assert "An earlier version" in report.gaps[0]
    assert (report.outcomes, report.fit, report.checks, report.gold) == (first.outcomes, None, (), None)


def test_a_plan_that_cannot_be_read_is_said(copy, tmp_path):
    copy.connection.execute("update run_plans set plan = '{'")
    report = collect(copy, 3, root=tmp_path)
    assert "cannot be read" in report.gaps[0]
    assert report.previous.changed is None


def test_a_run_whose_process_died_is_interrupted_and_its_rest_is_submitted(copy, tmp_path):
    run = copy.connection.execute
    run("update runs set state = 'running', ended_at = null, exit_code = null where run_no = 3")
    run("update run_plans set ending = null where run_no = 3")
    run("update requests set outcome = null, output = null where request_no = (select max(request_no) from requests)")
    run("update attempts set outcome = null where request_no = (select max(request_no) from requests)")
    report = collect(copy, 3, root=tmp_path)
    assert (report.story.state, report.outcomes) == ("interrupted", {"succeeded": 7, "pending": 1})
    assert [one.command for one in report.attention] == ["batchrun submit jobs/trial.toml"]
    assert verdict(report).level == "bad"
    assert report.ended_at == report.moments[-1].at


@pytest.mark.parametrize(
    ("state", "level"), [("running", "open"), ("waiting", "open"), ("stopped", "bad"), ("finished", "warning")]
)
def test_the_verdict(first, state, level):
    found = verdict(replace(first, story=replace(first.story, state=state)))
    assert found.level == level
    assert "5 of 8 documents have a valid row, 3 to be looked at." in found.sentence
