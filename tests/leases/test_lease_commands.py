"""Whole commands of hosts against a lease service: they stop at the cap that all of them share, and say whose it is."""

import json
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from command_line import CommandLine
from lease_service import TOKEN, Service, in_a_thread
from trial_project import TrialProject

from batchrun.cli.commands.leases import books_here
from batchrun.errors import ExitCode
from batchrun.leases.books import Books
from batchrun.leases.service import application
from batchrun.simulator.http.server import SimulatorServer


def named(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("BATCHRUN_LEASES", address)


def spent_nusd(project: TrialProject) -> int:
    """What the ledger of the host has spent and reserved."""
    with sqlite3.connect(project.ledger_path) as ledger:
        return int(ledger.execute("select coalesce(sum(committed_nusd), 0) from spending").fetchone()[0])


def billed(api: SimulatorServer) -> int:
    return sum(entry.billed for entry in api.books.entries)


@pytest.mark.slow
@pytest.mark.parametrize(("route", "limit_nusd"), [("stream", 2_500_000), ("batch", 900_000)], ids=["stream", "batch"])
def test_a_second_host_gets_what_the_first_has_left(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, service: Service, route: str, limit_nusd: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    service.caps = [replace(service.caps[0], limit=limit_nusd)]
    project.documents(12)
    project.job(batch='poll_interval = "1s"')
    with service.serving() as address:
        named(monkeypatch, address)
        first = batchrun(f"submit jobs/trial.toml --limit 4 --route {route}")
        assert first.code == ExitCode.OK, first.words
        (grant,) = service.granted_nusd().values()
        assert grant == (spent_nusd(project),) * 2  # what is not used is given back at the end
        project.ledger_path.rename(project.root / "the-ledger-of-another-host.sqlite3")
        second = batchrun(f"submit jobs/trial.toml --partial --pay-again --route {route}")
    assert second.code == ExitCode.STOPPED, second.words
    assert "the day's budget is reached" in second.words
    assert "budget.max_cost_per_day_usd of the lease service) is spent by all hosts, or leased to them" in second.words
    assert len(service.granted_nusd()) == 2
    assert sum(granted for granted, _ in service.granted_nusd().values()) <= service.caps[0].limit


def test_a_plan_says_what_all_hosts_have_left_and_is_refused(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.documents(40)
    project.job()
    with service.serving() as address:
        named(monkeypatch, address)
        plan = batchrun("plan jobs/trial.toml")
        refused = batchrun("submit jobs/trial.toml")
    left = "$0.0050 left of $0.0050, the day's budget (budget.max_cost_per_day_usd of the lease service)"
    assert left in plan.words
    assert refused.code == ExitCode.REFUSED
    assert "ask whoever runs the lease service to raise budget.max_cost_per_day_usd there to" in refused.words
    assert billed(api) == 0
    assert not service.granted_nusd()  # planning takes nothing


def test_a_service_that_is_away_lets_nothing_be_sent_and_the_same_command_goes_on(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.documents(3)
    project.job()
    with service.serving() as address:
        named(monkeypatch, address)
    away = batchrun("-q submit jobs/trial.toml")
    assert (away.code, billed(api)) == (ExitCode.BUSY, 0)
    assert f"busy: the lease service at {address} does not answer" in away.words
    with service.serving() as address:
        named(monkeypatch, address)
        assert batchrun("submit jobs/trial.toml").code == ExitCode.OK
    assert billed(api) == 3


def test_a_service_that_leaves_in_the_middle_stops_the_run(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.documents(3)
    project.job()
    caps = json.dumps([{"per": "day", "limit": 10**9, "key": "k", "origin": "batchrun.toml", "left": 10**9}])

    def only_caps() -> web.Application:
        async def told(_: web.Request) -> web.Response:
            return web.Response(text=caps, content_type="application/json")

        async def out(_: web.Request) -> web.Response:
            return web.Response(status=503, text="the disk is full")

        app = web.Application()
        app.add_routes([web.get("/caps", told), web.post("/lease", out)])
        return app

    with in_a_thread(only_caps) as address:
        named(monkeypatch, address)
        ran = batchrun("submit jobs/trial.toml")
    assert (ran.code, billed(api)) == (ExitCode.BUSY, 0)
    assert "answers with status 503: the disk is full" in ran.words


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"{}", b"[{}]", b'[{"per":"run","limit":1,"key":"k","origin":"batchrun.toml"}]',
        b'[{"per":"day","limit":1,"key":"k","origin":"batchrun.toml","model":"m","tag":"a=b"}]', b"[" * 100_000,
     b'[{"per":"day","limit":"much","key":"k","origin":"batchrun.toml"}]', b"\xff", b" " * 1_100_000],
    ids=["empty", "cut", "object", "no cap", "of a run", "of a model and a tag", "deep", "words", "not UTF-8", "long"],
)  # fmt: skip
def test_an_answer_that_is_none_is_said_in_words(
    project: TrialProject, batchrun: CommandLine, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    project.job()

    def strange() -> web.Application:
        async def told(_: web.Request) -> web.Response:
            return web.Response(body=body)

        app = web.Application()
        app.add_routes([web.get("/caps", told)])
        return app

    with in_a_thread(strange) as address:
        named(monkeypatch, address)
        ran = batchrun("plan jobs/trial.toml")
    assert ran.code == ExitCode.ENVIRONMENT, ran.words
    assert "error: the lease service at" in ran.words
    assert "Traceback" not in ran.words


def test_a_wrong_secret_is_refused_and_never_shown(
    project: TrialProject, batchrun: CommandLine, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    project.job()
    monkeypatch.setenv("BATCHRUN_LEASES_TOKEN", "another-secret-of-mine")
    with service.serving() as address:
        named(monkeypatch, address)
        ran = batchrun("plan jobs/trial.toml")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "status 401" in ran.words
    assert "check BATCHRUN_LEASES_TOKEN" in ran.words
    assert "another-secret-of-mine" not in ran.words
    assert TOKEN not in ran.words


@pytest.mark.parametrize(
    "shown", [b"Bearer \xff\xfe", b"Bearer", b"", TOKEN.encode()], ids=["bytes", "none", "", "bare"]
)
def test_a_header_that_is_no_token_is_refused(service: Service, shown: bytes) -> None:
    with service.serving() as address:
        connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
        connection.request("GET", "/caps", headers={"authorization": shown})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (401, b"the token is missing or wrong")
        connection.close()


@pytest.mark.slow
def test_a_run_that_only_waits_for_its_batches_needs_no_service(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.documents(2)
    project.job(batch='poll_interval = "1s"')
    leased = list[str]()

    @web.middleware
    async def until_leased(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if leased:
            return web.Response(status=503, text="gone since")
        answer = await handler(request)
        if request.path == "/lease" and any(one["needs"] > one["used"] for one in (await request.json())["leases"]):
            leased.append(request.path)
        return answer

    def leaves_once_it_has_granted() -> web.Application:
        app = application(Books(service.path, service.caps), token=TOKEN)
        app.middlewares.append(until_leased)
        return app

    with in_a_thread(leaves_once_it_has_granted) as address:
        named(monkeypatch, address)
        ran = batchrun("submit jobs/trial.toml --route batch")
    assert leased
    assert ran.code == ExitCode.OK, ran.words
    assert "2  100.0%" in ran.words


def test_the_project_may_name_the_service_and_a_simulated_run_needs_none(
    project: TrialProject, batchrun: CommandLine
) -> None:
    project.documents(1)
    project.job()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        (project.root / "batchrun.toml").write_text(
            f'[budget]\nleases = "http://127.0.0.1:{nobody.getsockname()[1]}"\n'
        )
    assert batchrun("plan jobs/trial.toml").code == ExitCode.BUSY
    assert batchrun("plan jobs/trial.toml --simulate").code == ExitCode.OK


def test_a_name_that_no_host_can_have_is_said_in_words(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    project.job()
    named(monkeypatch, "http://a..b:8330")
    ran = batchrun("plan jobs/trial.toml")
    assert ran.code == ExitCode.BUSY
    assert "the lease service at http://a..b:8330 does not answer" in ran.words


@pytest.mark.parametrize("address", ["", "10.0.0.5:8330", "ftp://x", "http://user:pass@host", "http://host:0"])
def test_an_address_that_is_none_is_an_error(
    project: TrialProject, batchrun: CommandLine, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    project.job()
    named(monkeypatch, address)
    ran = batchrun("plan jobs/trial.toml")
    assert ran.code == ExitCode.USAGE
    assert "BATCHRUN_LEASES is not usable" in ran.words


def test_leases_are_listed_and_a_dead_holder_is_settled(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    project.job()
    (project.root / "batchrun.toml").write_text(
        "[budget]\nmax_cost_per_month_usd = 1\nmax_tokens_per_day = 1_000_000\n"
    )
    service = Service(project.root / ".batchrun" / "leases.sqlite3", 1)
    service.caps = list(books_here().caps.values())
    with service.serving() as address:
        named(monkeypatch, address)
        assert batchrun("submit jobs/trial.toml").code == ExitCode.OK
    words, told = batchrun("leases").words, batchrun("leases --json").json
    assert "the month's budget" in words
    assert "the day's budget of tokens" in words
    assert [(one["counts"], one["left"] < one["limit"]) for one in told["caps"]] == [("cost", True), ("tokens", True)]
    assert [one["granted"] == one["used"] > 0 for one in told["leases"]] == [True, True]
    holder = told["leases"][0]["holder"]
    early = batchrun(f"leases settle-dead {holder} --billed 0.0001")
    assert early.code == ExitCode.USAGE
    assert "has not expired" in early.words
    with sqlite3.connect(service.path) as books:
        books.execute("update holders set expires_at = 0")
    settled = batchrun(f"leases settle-dead {holder} --billed 0.0001 --json").json["leases"]
    assert [one["granted"] for one in settled if one["counts"] == "cost"] == [0.0001]


def test_nothing_to_share_and_an_open_door_are_refused(project: TrialProject, batchrun: CommandLine,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    assert "there is nothing to share" in batchrun("leases serve").words
    (project.root / "batchrun.toml").write_text("[budget]\nmax_cost_per_month_usd = 1\n")
    monkeypatch.delenv("BATCHRUN_LEASES_TOKEN")
    ran = batchrun("leases serve --host 0.0.0.0 --port 0")
    assert ran.code == ExitCode.USAGE
    assert "no token is set" in ran.words


def test_a_service_says_that_its_books_are_new(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / "batchrun.toml").write_text("[budget]\nmax_cost_per_month_usd = 1\n")
    monkeypatch.setattr(web, "run_app", lambda _, sock, **__: sock.close())
    ran = batchrun("leases serve --port 0")
    assert (ran.code, ran.out[:27]) == (ExitCode.OK, "leases on http://127.0.0.1:")
    assert "is new: nothing counts as granted" in ran.err
