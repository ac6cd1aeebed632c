"""A lease service in a thread, and hosts that share its caps."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from command_line import CommandLine, clean_environment, serving, talking_to
from trial_project import TrialProject

from batchrun.budget.caps import Cap, Origin, Per
from batchrun.leases.books import Books
from batchrun.leases.service import application
from batchrun.simulator.http.server import SimulatorServer

TOKEN = "the-secret-that-hosts-share"
NUSD = 10**9


@contextmanager
def in_a_thread(make: Callable[[], web.Application]) -> Iterator[str]:
    """Serve an application in a thread; yields its address."""
    ready: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        runner, stopping = web.AppRunner(make(), access_log=None, shutdown_timeout=0.1), asyncio.Event()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.set_result((f"http://127.0.0.1:{runner.addresses[0][1]}", asyncio.get_running_loop(), stopping))
        await stopping.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    address, loop, stopping = ready.result(30)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(30)


class Service:
    """The service over one folder, as it stands there: it may stop and serve again."""

    def __init__(self, path: Path, limit_usd: float) -> None:
        self.path = path
        self.caps = [Cap(Per.DAY, round(limit_usd * NUSD), "budget.max_cost_per_day_usd", Origin.PROJECT)]

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve for as long as the block lasts."""
        with in_a_thread(lambda: application(Books(self.path, self.caps), token=TOKEN)) as address:
            yield address

    def granted_nusd(self) -> dict[str, tuple[int, int]]:
        """What each holder has today, and what of it is used."""
        import time

        return {one.holder: (one.granted, one.used) for one in Books(self.path, self.caps).grants(now=time.time())}


@pytest.fixture(autouse=True)
def here(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the project of a host, with an environment that says nothing but the secret."""
    clean = clean_environment(project.root)
    for name in os.environ.keys() - clean.keys():
        monkeypatch.delenv(name)
    for name, value in (clean | {"BATCHRUN_LEASES_TOKEN": TOKEN}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)


@pytest.fixture
def batchrun(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorServer]:
    with serving() as server:
        for name, value in talking_to(server).items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "service" / "leases.sqlite3", limit_usd=0.005)
