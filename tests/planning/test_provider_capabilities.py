"""A plan offers what the provider of its model can do, and says in a line what is done in another way."""

import pytest
from trial_project import TrialProject

from batchrun.cli.interrupts import run_async
from batchrun.errors import UsageProblem
from batchrun.planning.selection import Selection
from batchrun.strategy.plan import Plan
from batchrun.strategy.routes import Route
from batchrun.workflow.open_job import SubmitOptions

BEDROCK = {"provider": 'type = "bedrock"\nregion = "us-east-1"'}
WITH_BUCKET = {"provider": BEDROCK["provider"] + '\nbucket = "s3://b/p"\nrole = "r"'}
HOME = {"providers_home": 'type = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nfree = true'}
MODEL = 'name = "{}"\nmax_tokens = 100'
SYSTEM = {"prompt": 'system = "' + "word " * 5_000 + '"\nuser = "{{ doc.text }}"\ncache = "5m"'}


def planned(project: TrialProject, documents: int = 2, **sections: str) -> Plan:
    project.documents(documents)
    project.job(**sections)
    return project.plan()


def test_the_default_provider_has_nothing_to_say(project: TrialProject) -> None:
    assert planned(project).provider_notes == ()


def test_what_bedrock_does_in_another_way(project: TrialProject) -> None:
    plan = planned(project, **BEDROCK)

    assert plan.model == "bedrock/claude-haiku-4-5"
    assert plan.provider_notes == (
        "no tokens are counted by bedrock: the estimate rests on what was measured for all jobs",
        "no rate limits are told by bedrock: [limits] says them, or answers of 429 teach the rate",
    )
    assert {one.route for one in plan.forecasts} == {Route.STREAM}


@pytest.mark.parametrize("is_held", [True, False], ids=["by schema", "by tool"])
def test_how_the_answer_is_asked_for(project: TrialProject, is_held: bool) -> None:
    section = f"{HOME['providers_home']}\nstructured_output = {str(is_held).lower()}"
    notes = planned(project, model=MODEL.format("home/m"), providers_home=section).provider_notes
    assert ("no JSON Schema is taken by home/m: the answer is asked for as a tool's input" in notes) == (not is_held)


@pytest.mark.parametrize(
    ("documents", "route", "why"),
    [
        (99, Route.STREAM, "fewer than 100 documents are not worth the wait for a batch"),
        (101, Route.BATCH, "half the price, and there is no deadline"),
    ],
    ids=["few", "many"],
)
def test_batches_where_there_is_a_bucket(project: TrialProject, documents: int, route: Route, why: str) -> None:
    plan = planned(project, documents, **WITH_BUCKET, run='route = "auto"')
    assert (plan.choice.route, plan.choice.reason) == (route, why)


@pytest.mark.parametrize(("documents", "route"), [(99, Route.STREAM), (101, Route.BATCH)])
def test_a_batch_that_would_be_too_small_is_streamed(project: TrialProject, documents: int, route: Route) -> None:
    plan = planned(project, documents, **WITH_BUCKET, run='route = "batch"')

    assert plan.choice.route is route
    assert ("takes batches of 100 requests or more" in plan.choice.reason) == (route is Route.STREAM)


def test_auto_streams_without_batches(project: TrialProject) -> None:
    plan = planned(project, 120, **BEDROCK, run='route = "auto"')
    assert plan.choice.reason == "the provider of bedrock/claude-haiku-4-5 takes no batches here"


def test_a_route_that_is_not_there_is_refused(project: TrialProject) -> None:
    with pytest.raises(UsageProblem, match=r"`run\.route`: the provider of bedrock/claude-haiku-4-5 takes no batches"):
        planned(project, **BEDROCK, run='route = "batch"')
    project.job(**BEDROCK)
    with project.opened() as opened, pytest.raises(UsageProblem, match="takes no batches here"):
        run_async(opened.planner(SubmitOptions(route="batch")).plan(Selection()))


def test_openai_takes_no_batches_of_requests_by_tool(project: TrialProject) -> None:
    section = 'type = "openai"\nstructured_output = {}'
    plans = [
        planned(project, 120, model=MODEL.format("gpt-6-luna"), run='route = "auto"', provider=section.format(one))
        for one in ("true", "false")
    ]
    assert [plan.choice.route for plan in plans] == [Route.BATCH, Route.STREAM]


def test_pdfs_as_they_are_need_a_provider_that_takes_them(project: TrialProject) -> None:
    source = 'type = "files"\ninclude = ["docs/*"]\npdf = "native"'
    with pytest.raises(UsageProblem, match="home/m takes no PDFs as they are"):
        planned(project, source=source, model=f'{MODEL.format("claude-haiku-4-5")}\nfallbacks = ["home/m"]', **HOME)


def test_nothing_is_marked_for_a_cache_that_takes_no_marks(project: TrialProject) -> None:
    own = planned(project, **SYSTEM)
    assert own.caching[Route.STREAM].marks
    home = planned(project, **SYSTEM, **HOME, model=MODEL.format("home/m"))
    assert not home.caching[Route.STREAM].marks


def test_a_server_of_ones_own_costs_nothing(project: TrialProject) -> None:
    plan = planned(project, **HOME, model=MODEL.format("home/llama3"))
    assert (plan.estimate.upper_nusd, plan.worst_nusd) == (0, 0)


def test_an_unknown_price_is_refused(project: TrialProject) -> None:
    paid = {"providers_home": 'type = "openai"\nbase_url = "http://127.0.0.1:9/v1"'}
    with pytest.raises(UsageProblem, match="unknown model"):
        planned(project, **paid, model=MODEL.format("home/llama3"))
