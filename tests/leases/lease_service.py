"""A lease service in a thread, and its books."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from batchrun.budget.caps import Cap, Origin, Per
from batchrun.leases.books import Books
from batchrun.leases.service import application

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
        return {one.holder: (one.granted, one.used) for one in Books(self.path, self.caps).grants(now=time.time())}
