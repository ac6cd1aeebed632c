"""Addresses and proxies that are wrong, redirects, and gateways that lack a part of the API, as a person meets them."""

import socket
from collections.abc import Iterator

import pytest
from command_line import KEY, CommandLine, Ran
from scripted_gateway import MESSAGE, Gateway, gateway
from trial_project import SECTIONS, TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

ROUTES = ["stream", "batch"]
TINY_BUDGET = "max_cost_usd = 0.002"
"""Enough for the documents once, and not for much that is held beside them."""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


@pytest.fixture
def pointed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway that answers 404 to everything, and is the API."""
    with gateway(404, {"detail": "Not Found"}) as made:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", made.url)
        yield made


def given(project: TrialProject, route: str = "stream", budget: str = "max_cost_usd = 1.0", model: str = "") -> None:
    project.job(
        run=f'route = "{route}"\nmax_concurrency = 4', budget=budget, model=f"{SECTIONS['model']}\n{model}",
        batch='poll_interval = "1s"', retry='max_attempts = 2\ninitial_delay = "0.001s"\nmax_delay = "0.002s"',
    )  # fmt: skip
    project.documents(3)


def assert_nothing_is_lost_or_held(project: TrialProject, ran: Ran) -> None:
    assert ran.code == ExitCode.ENVIRONMENT
    assert set(project.statuses().values()) == {"pending"}
    assert project.ask("select count(*) from attempts where state not in ('failed', 'abandoned') or cost_nusd > 0") == [
        (0,)
    ]
    assert "Traceback" not in ran.words
    assert "bug" not in ran.err


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- what its look shows

WRONG = {
    "localhost:8080": "has no scheme",
    "ftp://localhost": 'has the scheme "ftp"',
    "http://": "names no host",
    "http://a..b": "names no host",
    "http://localhost:99999": "has a port that is no number from 1 to 65535",
    "http://localhost:0": "has a port that is no number from 1 to 65535",
    "http://user:secret@localhost:port": "has a port that is no number from 1 to 65535",
    "http://user:secret@localhost/?api-key=secret": "has a query or a fragment",
    "http://local\x1b[2Jhost": "is no address",
}


@pytest.mark.parametrize("address", WRONG)
@pytest.mark.parametrize("command", ["submit jobs/trial.toml", "submit jobs/trial.toml --route batch",
                                     "plan jobs/trial.toml --online 3"])  # fmt: skip
def test_an_address_that_cannot_be_one_is_refused_by_its_look(
    project: TrialProject, batchrun: CommandLine, command: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", address)
    ran = batchrun(command)
    assert ran.code == ExitCode.USAGE
    assert 'error: ANTHROPIC_BASE_URL is "' in ran.err
    assert WRONG[address] in ran.err
    assert "next: set ANTHROPIC_BASE_URL to an address such as http://localhost:8080" in ran.err
    assert "secret" not in ran.words
    assert "\x1b" not in ran.words


@pytest.mark.parametrize("proxy", ["socks5://user:secret@localhost:1", "ftp://localhost:1", "localhost:99999",
                                   "http://user:secret@localhost:port"])  # fmt: skip
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "https_proxy"])
def test_a_proxy_that_cannot_be_one_is_refused_by_its_look(
    project: TrialProject, batchrun: CommandLine, variable: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project)
    monkeypatch.setenv(variable, proxy)
    ran = batchrun("submit jobs/trial.toml")
    assert ran.code == ExitCode.USAGE
    assert f'error: {variable} is "' in ran.err
    assert "secret" not in ran.words


def test_a_proxy_that_is_not_used_is_not_judged(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project)
    monkeypatch.setenv("ALL_PROXY", "socks5://localhost:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert batchrun("submit jobs/trial.toml").code == ExitCode.OK


def test_headers_that_no_request_can_have_are_refused(
    project: TrialProject, batchrun: CommandLine, pointed: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project)
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-team: a\rb")
    ran = batchrun("submit jobs/trial.toml")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "ANTHROPIC_CUSTOM_HEADERS" in ran.err
    assert pointed.asked == []


# --- what only the network shows


@pytest.mark.parametrize("route", ROUTES)
def test_a_refused_port_stops_at_once_and_holds_nothing(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project, route, TINY_BUDGET, 'fallbacks = ["claude-haiku-5-5"]' if route == "stream" else "")
    right, wrong = api.base_url, f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", wrong)
    for _ in range(3):  # three nights
        ran = batchrun("submit jobs/trial.toml")
        assert_nothing_is_lost_or_held(project, ran)
        assert f"the API cannot be reached: no connection to {wrong} (ANTHROPIC_BASE_URL)" in ran.err
        assert f"requests go to {wrong} (ANTHROPIC_BASE_URL)" in ran.err
    assert project.ask("select count(*) from attempts") == [(3 if route == "stream" else 0,)]
    monkeypatch.setenv("ANTHROPIC_BASE_URL", right)
    assert batchrun("submit jobs/trial.toml").code == ExitCode.OK


@pytest.mark.parametrize("route", ROUTES)
def test_a_proxy_that_asks_for_credentials_stops_the_job(
    project: TrialProject, batchrun: CommandLine, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project, route)
    with gateway(407) as proxy:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://api.invalid")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        ran = batchrun("submit jobs/trial.toml")
    assert_nothing_is_lost_or_held(project, ran)
    assert f"the proxy {proxy.url} (HTTP_PROXY) asks for a user and a password" in ran.err
    assert f"requests go to http://api.invalid (ANTHROPIC_BASE_URL) through the proxy {proxy.url}" in ran.err


@pytest.mark.parametrize("route", ROUTES)
def test_a_redirect_stops_the_job_and_the_other_address_sees_nothing(
    project: TrialProject, batchrun: CommandLine, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project, route)
    with gateway(200, MESSAGE) as stranger, gateway(307, location=f"http://localhost:{stranger.port}/secret") as asked:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", asked.url)
        ran = batchrun("submit jobs/trial.toml")
    assert stranger.asked == []
    assert_nothing_is_lost_or_held(project, ran)
    assert "a redirect to localhost, which is not followed (http_307)" in ran.err
    assert "next: set ANTHROPIC_BASE_URL" in ran.err
    assert "secret" not in ran.words


# --- odd statuses


@pytest.mark.parametrize(("status", "code", "words"), [
    (418, ExitCode.SOME_FAILED, "418"), (999, ExitCode.ENVIRONMENT, "the API does not answer"),
    (600, ExitCode.ENVIRONMENT, "the API does not answer"),
])  # fmt: skip
def test_odd_statuses_follow_the_failure_table(
    project: TrialProject, batchrun: CommandLine, pointed: Gateway, status: int, code: ExitCode, words: str
) -> None:
    given(project)
    pointed.answers["/v1/messages"] = (status, "", {})
    ran = batchrun("submit jobs/trial.toml")
    assert (ran.code, words in ran.words) == (code, True)


# --- a gateway without the free services of the API

MISSING = [(404, "<html>"), (404, {"detail": "Not Found"}), (404, {"error": {"code": 404, "message": "File Not Found",
           "type": "not_found_error"}}), (405, ""), (501, ""), (200, "<html>"), (200, {"object": "model"})]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), MISSING)
def test_a_gateway_without_models_and_counts_is_no_obstacle(
    project: TrialProject, batchrun: CommandLine, pointed: Gateway, status: int, body: object
) -> None:
    given(project, model='fallbacks = ["claude-haiku-5-5"]')
    pointed.otherwise = (status, body, {})
    pointed.answers["/v1/messages"] = (200, MESSAGE, {})
    planned = batchrun("plan jobs/trial.toml --online 3")
    assert planned.code == ExitCode.OK
    assert planned.out.count("tells nothing of models") == 1
    assert planned.out.count("the API did not count") == 1
    assert "has no model" not in planned.words
    ran = batchrun("submit jobs/trial.toml")
    assert ran.code == ExitCode.OK
    assert ran.err.count("tells nothing of models") == 1
    assert ran.err.count("the API did not count") == 1
    checked = batchrun("doctor")
    assert (checked.code, checked.out.count("tells nothing of models")) == (ExitCode.OK, 1)
    assert f"{pointed.url} (ANTHROPIC_BASE_URL)" in checked.out


# --- what is said of the address


def test_the_address_is_named_only_if_it_is_not_the_default(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{free_port()}")
    ran = batchrun("plan jobs/trial.toml --online 3")
    assert "requests go to https://api.anthropic.com through the proxy http://127.0.0.1:" in ran.err
    assert "(HTTPS_PROXY)" in ran.err
    assert "secret" not in ran.words
    checked = batchrun("doctor --offline")
    assert "through the proxy http://127.0.0.1:" in checked.out
    assert "secret" not in checked.words
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", " ")
    assert "https://api.anthropic.com\n" in batchrun("doctor --offline").out


def test_doctor_says_what_is_wrong_with_the_address(
    batchrun: CommandLine, project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "localhost:8080")
    ran = batchrun("doctor")
    assert ran.code == ExitCode.ENVIRONMENT
    assert 'address       ANTHROPIC_BASE_URL is "localhost:8080", which has no scheme.' in ran.out
