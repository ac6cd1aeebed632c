"""Whole submits that the account's settings refuse, and creations of which the API does not know the outcome."""

import json

import anthropic
import httpx2
import pytest
from scripted_batches_memory import BatchApi, Lost, WallClock
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.events import BatchSubmitted
from batchrun.providers.anthropic.batch_parsing import result_from
from batchrun.providers.anthropic.client import status_failure
from batchrun.reply import Failure
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.slow

RECONCILE_WAIT_S = 60.0
BATCH = 'max_requests = 10\npoll_interval = "10s"\nmax_poll_interval = "20s"\nreconcile_wait = "60s"'
WORDS, ESCAPED = "This Workspace may not\x1b[2J", r"This Workspace may not\x1b[2J"
REFUSED = {
    "workspace_human_review_disabled": (400, "invalid_request_error"),
    "workspace_policy_violation": (400, "invalid_request_error"),
    "organization_type_not_supported": (400, "invalid_request_error"),
    "cmek_key_disabled": (400, "invalid_request_error"),
    "workspace_feature_forbidden": (403, "permission_error"),
}


@pytest.fixture
def api(clock: WallClock, project: TrialProject, no_output: None) -> BatchApi:
    project.job(run='route = "batch"\nmax_concurrency = 4', batch=BATCH)
    project.documents(6)
    return BatchApi(clock)


def once(project: TrialProject, api: BatchApi, *, after_s: float = 0.0) -> Summary:
    """`submit --no-wait`, some time later."""
    api.clock.skip(after_s)
    return project.submit(api, options=SubmitOptions(waits=False))


def error_body(code: str) -> dict[str, object]:
    error = {"type": REFUSED.get(code, (0, "api_error"))[1], "message": WORDS, "details": {"error_code": code}}
    return {"type": "error", "error": error, "request_id": "req_1"}


def answered(code: str, *, status: int) -> Failure:
    """What the client makes of an answer with this code."""
    response = httpx2.Response(status, json=error_body(code), request=httpx2.Request("POST", "http://127.0.0.1/"))
    return status_failure(anthropic.APIStatusError("words", response=response, body=error_body(code)))


def in_results(code: str) -> Failure:
    """What the client makes of a line of results with this code."""
    line = {"custom_id": "c", "result": {"type": "errored", "error": error_body(code)}}
    failure = result_from(json.dumps(line).encode()).failure
    assert failure
    return failure


def assert_the_accounts(halted: Exception | None) -> None:
    """The job stopped for the account, in the API's words, and not for the job file."""
    assert isinstance(halted, EnvironmentProblem)
    assert halted.exit_code == ExitCode.ENVIRONMENT
    assert ESCAPED in str(halted)
    assert "\x1b" not in str(halted)
    assert "job file" not in f"{halted} {halted.hint}"


@pytest.mark.parametrize("code", REFUSED)
def test_a_batch_that_the_account_may_not_create_stops_the_job(project: TrialProject, api: BatchApi, code: str) -> None:
    api.creating = [answered(code, status=REFUSED[code][0])]

    assert_the_accounts(once(project, api).halted)

    assert api.calls["create"] == 1
    assert set(project.statuses().values()) == {"pending"}
    once(project, api, after_s=70)
    once(project, api, after_s=70)
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.parametrize("code", REFUSED)
def test_results_that_the_account_refused_stop_the_job_and_cost_no_attempt(
    project: TrialProject, api: BatchApi, code: str
) -> None:
    api.default = in_results(code)
    for _ in range(4):  # more than the attempts that are allowed
        once(project, api)
        assert_the_accounts(once(project, api, after_s=70).halted)
        assert set(project.statuses().values()) == {"pending"}

    api.default = answer()
    once(project, api)
    once(project, api, after_s=70)
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.parametrize("code", REFUSED)
def test_a_stream_that_the_account_refuses_stops_after_one_request(project: TrialProject, code: str) -> None:
    project.documents(6)
    provider = ScriptedProvider(default=answered(code, status=REFUSED[code][0]))

    assert_the_accounts(project.execute(provider))

    assert len(provider.sent) == 1
    assert set(project.statuses().values()) == {"pending"}


@pytest.mark.parametrize("status", [400, 409, 503])
def test_a_batch_of_which_the_api_does_not_know_whether_it_exists_is_looked_for(
    project: TrialProject, api: BatchApi, status: int
) -> None:
    api.creating = [Lost(created=True, failure=answered("change_outcome_unknown", status=status))]
    once(project, api)
    once(project, api, after_s=15)
    once(project, api, after_s=70)

    assert [event.adopted for event in project.events if isinstance(event, BatchSubmitted)] == [True]
    assert api.calls["create"] == 1
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.parametrize("status", [400, 409, 503])
def test_a_batch_of_which_the_api_does_not_know_is_not_created_again_blindly(
    project: TrialProject, api: BatchApi, status: int
) -> None:
    api.creating = [Lost(created=False, failure=answered("change_outcome_unknown", status=status))]
    began = api.clock()
    while (halted := once(project, api).halted) is None:
        api.clock.skip(5)

    assert api.clock() - began >= RECONCILE_WAIT_S
    assert halted.exit_code == ExitCode.AMBIGUOUS
    assert api.calls["create"] == 1
    assert set(project.statuses().values()) == {"pending"}
