"""The pass over the source: what a submit would do with every document, and what it would cost. Nothing is written."""

import pytest
from scripted_provider import BAD_KEY, ScriptedProvider, answer, status
from trial_project import TrialProject

from batchrun.errors import Refused, UsageProblem
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.strategy.plan import Kind, Plan
from batchrun.strategy.routes import Route

pytestmark = pytest.mark.usefixtures("no_output")


def counts(plan: Plan) -> dict[str, int]:
    """The kinds there are."""
    return {str(kind): count for kind, count in plan.counts.items() if count}


def test_a_first_plan_is_all_new_and_writes_nothing(project: TrialProject) -> None:
    project.documents(3)

    plan = project.plan()

    assert counts(plan) == {"new": 3}
    assert plan.to_send == plan.documents == plan.affordable_count == 3
    assert 0 < plan.estimate.cost_nusd.low < plan.estimate.cost_nusd.mean < plan.estimate.cost_nusd.high
    assert plan.continues is None
    assert not project.ledger_path.parent.exists()


@pytest.mark.slow
def test_every_kind_is_told_apart(project: TrialProject) -> None:
    project.job(source='type = "files"\ninclude = ["docs/*.txt"]\nmax_document_tokens = 100')
    for name in ("reusable", "failed", "changed"):
        project.document(f"{name}.txt", name)
    project.submit(ScriptedProvider({"failed": [status(400)]}))
    project.document("unfinished.txt", "unfinished")
    project.submit(ScriptedProvider(default=BAD_KEY))
    project.document("changed.txt", "another text")
    project.document("empty.txt", " ")
    project.document("identical.txt", "new")
    project.document("new.txt", "new")
    project.document("too_large.txt", "word " * 500)
    (project.root / "docs/unreadable.txt").symlink_to("nowhere")

    plan = project.plan()

    assert counts(plan) == dict.fromkeys(
        ["new", "changed", "unfinished", "identical", "reusable", "failed", "too_large", "empty", "unreadable"], 1
    )
    assert plan.to_send == 3
    assert {(problem.doc_id, problem.kind) for problem in plan.problems} == {
        ("docs/empty.txt", Kind.EMPTY),
        ("docs/too_large.txt", Kind.TOO_LARGE),
        ("docs/unreadable.txt", Kind.UNREADABLE),
    }


def test_planning_twice_gives_the_same(project: TrialProject) -> None:
    project.documents(3)

    assert project.plan() == project.plan()


@pytest.mark.slow
def test_the_estimate_is_of_what_is_sent_only(project: TrialProject) -> None:
    project.documents(10)
    whole = project.plan()
    project.submit(ScriptedProvider(), Selection(limit=4))

    rest = project.plan()

    assert counts(rest) == {"new": 6, "reusable": 4}
    assert rest.estimate.documents == 6
    assert whole.estimate.documents == 10
    assert rest.estimate.cost_nusd.mean < 0.7 * whole.estimate.cost_nusd.mean
    assert (rest.evidence.past, rest.evidence.replies) == (4, 4)


@pytest.mark.slow
def test_an_open_run_and_what_it_has_spent_are_told(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider({"text 1": [BAD_KEY]}))

    plan = project.plan()

    assert plan.continues == project.ask("select run_id from runs")[0][0]
    assert plan.spent_nusd == project.ask("select committed_nusd from runs")[0][0]
    assert plan.counts[Kind.UNFINISHED] >= 1


def unfinished(project: TrialProject, *, route: str, ago_s: float = 0.0) -> None:
    """A run with documents to send, that began on this route so long ago."""
    project.documents(3)
    project.submit(ScriptedProvider(default=BAD_KEY))
    project.ask("update runs set route = ?, started_at = started_at - ?", route, ago_s, commit=True)


@pytest.mark.parametrize("begun", ["stream", "batch"])
@pytest.mark.parametrize("told", [None, "stream", "batch"])
def test_a_run_goes_on_by_its_own_route_unless_the_job_file_names_one(
    project: TrialProject, begun: str, told: str | None
) -> None:
    unfinished(project, route=begun)
    if told:
        project.job(run=f'route = "{told}"')

    assert project.plan().choice.route == (told or begun)


@pytest.mark.slow
def test_a_job_file_without_a_route_streams(project: TrialProject) -> None:
    project.documents(200)

    assert project.plan().choice.route is Route.STREAM


@pytest.mark.parametrize(
    ("ago_s", "route"), [(0.0, Route.BATCH), (3_000.0, Route.BATCH), (6_600.0, Route.STREAM), (10**6, Route.STREAM)]
)
def test_a_run_whose_deadline_is_near_is_planned_as_it_will_be_sent(
    project: TrialProject, ago_s: float, route: Route
) -> None:
    unfinished(project, route="batch", ago_s=ago_s)
    project.job(run='route = "batch"\ndeadline = "2h"')

    plan = project.plan()

    assert plan.choice.route is route
    streamed, batched = plan.forecasts
    assert plan.estimate == (streamed if route is Route.STREAM else batched).estimate


def test_the_deadline_of_a_run_that_is_over_is_not_that_of_the_next(project: TrialProject) -> None:
    unfinished(project, route="batch", ago_s=10**6)
    project.job(run='route = "batch"\ndeadline = "2h"')
    project.ask("update runs set state = 'finished'", commit=True)

    assert project.plan().choice.route is Route.BATCH


def test_retry_looks_only_at_what_ended_so(project: TrialProject) -> None:
    project.documents(4)
    project.submit(ScriptedProvider({"text 1": [answer("x")], "text 2": [status(400)]}))

    plan = project.plan(Selection(again=frozenset({Outcome.INVALID})))

    assert counts(plan) == {"again": 1}


def test_ids_that_stand_for_two_documents_are_refused(project: TrialProject) -> None:
    project.job(source='type = "files"\ninclude = ["docs/**/*.txt"]\nid = "stem"')
    (project.root / "docs/more").mkdir()
    for name in ("a.txt", "b.txt", "more/a.txt"):
        project.document(name, name)

    with pytest.raises(Refused, match="1 ids stand for more than one document: a") as refused:
        project.plan()

    assert "relpath" in str(refused.value.hint)


@pytest.mark.parametrize("where", ["1) ; drop table runs --", "nosuch > 1", "id = "])
def test_a_condition_that_is_none_is_told(project: TrialProject, where: str) -> None:
    project.documents(1)

    with pytest.raises(UsageProblem, match="--where"):
        project.plan(Selection(where=where))


@pytest.mark.slow
def test_more_documents_than_a_page_are_all_seen(project: TrialProject) -> None:
    project.documents(1_100)

    plan = project.plan(Selection(limit=1_050))

    assert counts(plan) == {"new": 1_050}


def test_what_had_to_be_done_to_read_a_document_is_counted(project: TrialProject) -> None:
    project.document("a.txt", "plain")
    (project.root / "docs/b.txt").write_bytes("Müller grüßt Größe über Straße".encode("cp1252"))

    assert sum(project.plan().notes.values()) == 1
