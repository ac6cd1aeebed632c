"""The simulator as a server on 127.0.0.1: within a running loop, in a thread of its own, or until a signal comes."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Self

from aiohttp import web

from batchrun.errors import EnvironmentProblem
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.endpoints import Endpoints
from batchrun.simulator.simulator import Simulator

_HOST = "127.0.0.1"
_SHUTDOWN_S = 0.2


class SimulatorServer:
    """Serves one simulator, once: `async with server`, or `start_in_thread` and `stop`, or `serve_forever`."""

    def __init__(self, simulator: Simulator, *, port: int = 0) -> None:
        """Port 0 takes any free one."""
        self.simulator = simulator
        self._port = port
        self._stopping = asyncio.Event()
        endpoints = Endpoints(simulator, stopping=self._stopping)
        self.books = endpoints.books
        self._runner = web.AppRunner(endpoints.application(), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def base_url(self) -> str:
        """What the SDK is given; known once the server is started."""
        return f"http://{_HOST}:{self._port}"

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, _HOST, self._port, backlog=1024).start()
        except OSError as error:
            await self._runner.cleanup()
            problem = f"the simulator cannot listen on {self.base_url}: {error.strerror}"
            raise EnvironmentProblem(problem, hint="choose another port") from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await self._runner.cleanup()

    def start_in_thread(self) -> str:
        """Serve in a thread with a loop of its own; return the base URL."""
        ready: Future[str] = Future()
        self._thread = threading.Thread(target=self._run_in_thread, args=[ready], name="simulator", daemon=True)
        self._thread.start()
        return ready.result()

    def stop(self) -> None:
        """End what `start_in_thread` began; may be called twice."""
        if self._thread is None or self._loop is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    def serve_forever(self, *, when_ready: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM, then return. `when_ready` is called with the base URL."""
        asyncio.run(self._serve(when_ready, signal.SIGINT, signal.SIGTERM))

    def _run_in_thread(self, ready: "Future[str]") -> None:
        try:
            asyncio.run(self._serve(ready.set_result))
        except EnvironmentProblem as problem:
            ready.set_exception(problem)
        finally:
            ready.cancel()  # does nothing unless a bug left the caller waiting

    async def _serve(self, when_ready: Callable[[str], None], *stopped_by: signal.Signals) -> None:
        for number in stopped_by:
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)
        async with self:
            when_ready(self.base_url)
            await self._stopping.wait()


@contextmanager
def running_simulator(profile: str, *, speed: float) -> Iterator[str]:
    """Serve in a thread of this process for as long as the block lasts; yield the base URL."""
    server = SimulatorServer(Simulator(PROFILES[profile], speed=speed))
    try:
        yield server.start_in_thread()
    finally:
        server.stop()
