"""What a run used and waited for, brought to the ledger while it goes on; what it learnt of limits, at its end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Sequence

from batchrun.errors import BatchrunError
from batchrun.executors.halting import Bug, Halt
from batchrun.executors.lane import Lane
from batchrun.executors.recorder import Recorder
from batchrun.executors.tally import Tally
from batchrun.store.ledger import Ledger
from batchrun.store.pace import Pace

NOTE_EVERY_S = 5.0


@contextlib.asynccontextmanager
async def noting(
    run_no: int, tally: Tally, lanes: Sequence[Lane], *, recorder: Recorder, halt: Halt
) -> AsyncIterator[None]:
    """Note what was counted every few seconds, so that `status` can show it and a killed run has it."""
    over = asyncio.Event()

    async def note() -> None:
        for lane in lanes:
            if lane.slots.busiest:  # a minute in which nothing was sent is one in which nothing was used
                tally.passing(lane.model, lane.gate.limits)
        counted = tally.take()
        if not counted:
            return

        def write(ledger: Ledger) -> None:
            Pace(ledger).note_minutes(run_no, counted.minutes)
            Pace(ledger).note_waits(run_no, counted.waits)

        await recorder.write(write)

    async def note_until_over() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), NOTE_EVERY_S)
            await note()

    async def guarded(noted: Awaitable[None]) -> None:
        try:
            await noted
        except BatchrunError as problem:
            halt.stop(problem)
        except Exception as bug:  # noqa: BLE001 - shown at the end, when what is in flight has landed
            halt.stop(Bug(bug))

    notes = asyncio.create_task(guarded(note_until_over()))
    try:
        yield
    finally:
        over.set()
        await notes
        await guarded(note())
        await guarded(recorder.write(lambda ledger: learn(ledger, lanes)))


def learn(ledger: Ledger, lanes: Sequence[Lane]) -> None:
    """Remember for the next run what the API told of its limits."""
    for lane in lanes:
        if learnt := lane.learnt(time.time()):
            Pace(ledger).learn(lane.model, learnt)
