"""Batches without their documents: brought to their ends, or told by a person what became of them."""

import asyncio
import time
from dataclasses import dataclass

from batchrun.batch import BatchState, RemoteBatch
from batchrun.errors import BatchrunError, ExitCode, UsageProblem
from batchrun.events import Listener
from batchrun.executors.reading import RunKey
from batchrun.executors.running import ProviderFactory, execute
from batchrun.executors.setting import RunSetting
from batchrun.opening import OpenStore, recover_others
from batchrun.providers import AttemptError
from batchrun.store.batch_entries import Batch
from batchrun.store.batches import Batches
from batchrun.store.ledger import Ledger

FINAL_WAIT_S = 10.0
"""How long rows wait for somebody who holds the output file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """How a cancel went."""

    canceled: int
    """Batches that were open."""
    still_open: int
    pending: int
    """Documents of the run without an outcome."""
    halted: BatchrunError | None
    exit_code: ExitCode


def tend(
    opened: OpenStore, run_no: int, *, provider: ProviderFactory, listener: Listener, waits: bool, cancels: bool = False
) -> BatchrunError | None:
    """Bring the job's open batches to their ends without sending anything. Returns why it halted, or None."""
    provider.check()
    setting = RunSetting(
        run=RunKey(run_no, since=0),
        job=opened.name,
        ledger=opened.ledger,
        output=opened.output(Ledger.read(opened.places.ledger)),
        price_of=opened.prices.model,
        batch=opened.job.spec.batch,
        retry=opened.job.spec.retry,
        recover=lambda ledger: recover_others(ledger, opened.places, opened.name),
        sending=None,
        waits=waits,
        cancels=cancels,
    )
    halted = asyncio.run(execute(setting, provider=provider, listener=listener))
    opened.output(opened.ledger).publish(wait_s=FINAL_WAIT_S)
    return halted


def cancel(
    opened: OpenStore, run_no: int, *, provider: ProviderFactory, listener: Listener, waits: bool
) -> Cancellation:
    """Cancel the job's open batches, collect what had finished, and put the rest back."""
    batches, ledger, halted = Batches(opened.ledger), opened.ledger, None
    if canceled := len(batches.open(opened.name)):
        halted = tend(opened, run_no, provider=provider, listener=listener, waits=waits, cancels=True)
    still_open, pending = len(batches.open(opened.name)), ledger.unsettled(run_no)
    exit_code = halted.exit_code if halted else ExitCode.UNFINISHED if still_open else ExitCode.OK
    if canceled:
        state = "waiting" if still_open else "stopped" if pending else "finished"
        with ledger.transaction():
            ledger.end_run(run_no, state=state, exit_code=exit_code, note="canceled")
    return Cancellation(canceled=canceled, still_open=still_open, pending=pending, halted=halted, exit_code=exit_code)


def adopt(opened: OpenStore, batch_id: str, *, provider: ProviderFactory, batch_no: int | None = None) -> Batch:
    """A person says which of the API's batches it is; its custom_ids still have to prove it. Raises UsageProblem."""
    batch = in_doubt(opened, batch_no)
    provider.check()
    remote = asyncio.run(_retrieved(batch_id, provider, timeout_s=opened.job.spec.retry.timeout_s))
    if remote.requests not in {0, batch.requests}:
        raise UsageProblem(
            f"{batch_id} has {remote.requests:,} requests, and {batch.name} has {batch.requests:,}.",
            hint="look at the list again: batchrun batches",
        )
    with opened.ledger.transaction():
        if Batches(opened.ledger).claimed(batch, [batch_id]):
            raise UsageProblem(f"{batch_id} belongs to another batch of the ledger.", hint="see them: batchrun batches")
        Batches(opened.ledger).attach(batch, remote, adopted=True, next_poll_at=time.time())
    return Batches(opened.ledger).one(batch.batch_no)


def resend(opened: OpenStore, *, batch_no: int | None = None) -> Batch:
    """A person says that it was never created, or is gone: its requests are pending again."""
    batch = in_doubt(opened, batch_no)
    with opened.ledger.transaction():
        Batches(opened.ledger).abandon(batch, "given up by hand")
    return Batches(opened.ledger).one(batch.batch_no)


def in_doubt(opened: OpenStore, batch_no: int | None) -> Batch:
    """The batch a person means: the one with the number, else the only one in doubt. Raises UsageProblem."""
    batches = Batches(opened.ledger).open(opened.name)
    if batch_no is not None:
        meant = [batch for batch in batches if batch.batch_no == batch_no]
    else:
        meant = [batch for batch in batches if batch.state is BatchState.PREPARED]
    if len(meant) == 1:
        return meant[0]
    what = f"no open batch has the number {batch_no}" if batch_no is not None else f"{len(meant)} batches are in doubt"
    raise UsageProblem(f"{what}.", hint="see them: batchrun batches; name one with --batch NUMBER")


async def _retrieved(batch_id: str, provider: ProviderFactory, *, timeout_s: float) -> RemoteBatch:
    client = provider.make_batches(timeout_s=timeout_s)
    try:
        return await client.retrieve(batch_id)
    except AttemptError as error:
        raise UsageProblem(
            f"{batch_id} cannot be had: {error.failure.message}", hint="check the id and the key's workspace"
        ) from error
    finally:
        await client.close()
