"""What the tests of streaming share: a signal in the middle of a request, and what a run left in the ledger."""

import asyncio
import os
import signal
from collections.abc import Callable

from scripted_provider import (
    answer,
    lost,
)
from trial_project import TrialProject

from batchrun.reply import Cause, Reply
from batchrun.request import Request

TIMEOUT, MALFORMED, UNREACHABLE = lost(Cause.TIMEOUT), lost(Cause.MALFORMED), lost(Cause.UNREACHABLE)


def signalled(number: signal.Signals = signal.SIGINT, *, then_s: float = 1.0) -> Callable[[Request], asyncio.Future]:
    """A step during which the process receives a signal, and which is answered a while later."""

    async def step(_: Request) -> Reply:
        os.kill(os.getpid(), number)
        await asyncio.sleep(then_s)
        return answer()

    return step


def attempts(project: TrialProject) -> list[tuple[str, int | None]]:
    return project.ask("select state, cost_nusd from attempts order by attempt_no")


def committed(project: TrialProject) -> int:
    return project.ask("select committed_nusd from runs")[0][0]


NARROW = {"budget": "max_cost_usd = 0.004", "model": 'name = "claude-haiku-4-5"\nmax_tokens = 400'}
"""Room for one request at its worst (about $0.0028), not for two."""
