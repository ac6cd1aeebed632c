"""Batches without their documents: they are brought to their ends, or a person says what became of them."""

import os
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from batchrun.batch import BatchState, RemoteBatch
from batchrun.errors import BatchrunError, ExitCode, UsageProblem
from batchrun.execution.batch.reconcile import Adopt, Answer, Missed, Resend, Unproven, reconcile
from batchrun.execution.run import Caller, ProviderFactory, execute
from batchrun.execution.run_context import RunKey
from batchrun.job.providers import engine_name
from batchrun.providers import AttemptError, BatchProvider
from batchrun.providers.anthropic.errors import is_absence
from batchrun.reply import Failure
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.workflow.merge_parts import merge_parts
from batchrun.workflow.open_job import OpenStore

T = TypeVar("T")
FINAL_WAIT_S = 10.0
"""How long rows wait for somebody who holds the output file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """The result of canceling."""

    canceled: int
    """The number of batches that were open."""
    still_open: int
    pending: int
    """The number of the run's documents without an outcome."""
    halted: BatchrunError | None
    unpublished: BatchrunError | None
    """Why the rows are not in the output yet."""
    exit_code: ExitCode


async def drive_open_batches(
    opened: OpenStore, run_no: int, caller: Caller, *, waits: bool, cancels: bool = False
) -> BatchrunError | None:
    """Bring the job's open batches to their ends without sending anything. Returns why the run halted, or None."""
    caller.provider.check()
    context = opened.run_context(RunKey(run_no, since=0), caller.listener, waits=waits, cancels=cancels)
    return await execute(context, None, caller=caller, output=opened.output(Ledger.read(opened.paths.ledger)))


def publish_finally(opened: OpenStore) -> BatchrunError | None:
    """Bring the rows to the output. Returns why they could not be brought, or None. The ledger has them anyway."""
    try:
        merge_parts(opened.ledger, opened.job)
        opened.output().publish(wait_s=FINAL_WAIT_S)
    except BatchrunError as problem:
        return problem
    return None


async def cancel(opened: OpenStore, run_no: int, caller: Caller, *, waits: bool) -> Cancellation:
    """Cancel the job's open batches, collect the results that are there, and make all other requests pending again."""
    batches, ledger, halted, unpublished = Batches(opened.ledger), opened.ledger, None, None
    if canceled := len(batches.open(opened.name)):
        halted = await drive_open_batches(opened, run_no, caller, waits=waits, cancels=True)
        unpublished = publish_finally(opened)
    still_open, pending = len(batches.open(opened.name)), Runs(ledger).unsettled(run_no)
    exit_code = halted.exit_code if halted else ExitCode.UNFINISHED if still_open else ExitCode.OK
    if canceled:
        state = "waiting" if still_open else "stopped" if pending else "finished"
        with ledger.transaction():
            Runs(ledger).end_run(run_no, state=state, exit_code=exit_code, note="canceled")
    if unpublished and exit_code == ExitCode.OK:
        exit_code = unpublished.exit_code
    return Cancellation(
        canceled=canceled,
        still_open=still_open,
        pending=pending,
        halted=halted,
        unpublished=unpublished,
        exit_code=exit_code,
    )


async def adopt(opened: OpenStore, batch_id: str, *, provider: ProviderFactory, batch_no: int | None = None) -> Batch:
    """Attach the batch that a person names. Its results still have to prove that it is ours. Raises UsageProblem."""
    batches = Batches(opened.ledger)
    batch = chosen([one for one in batches.open(opened.name) if one.state is BatchState.PREPARED], batch_no)
    if "/" not in batch_id:  # as the provider itself shows the id
        batch_id = engine_name(opened.providers.split(batch.model)[0], batch_id)
    remote = await ask(opened, provider, lambda api: api.retrieve(batch_id))
    if isinstance(remote, Failure):
        raise UsageProblem(
            f"{batch_id} cannot be retrieved: {remote.message}", hint="check the id and the key's workspace"
        )
    if remote.requests not in {0, batch.requests}:
        raise UsageProblem(
            f"{batch_id} has {remote.requests:,} requests, and {batch.name} has {batch.requests:,}.",
            hint=f"look at the list again: batchrun batches {opened.name}",
        )
    with opened.ledger.transaction():
        if batches.owner(batch_id):
            raise UsageProblem(
                f"{batch_id} belongs to another batch of the ledger.", hint=f"see them: batchrun batches {opened.name}"
            )
        batches.attach(batch, remote, adopted=True, next_poll_at=time.time())
    return batches.one(batch.batch_no)


async def resend(
    opened: OpenStore, *, provider: ProviderFactory, batch_no: int | None = None, pay_again: bool = False
) -> Batch:
    """Make the requests of a batch pending again, because a person says that it was never created, or is gone.

    The list and the batch are asked for, and are believed no sooner than by `submit`. What is not proven never to have
    been created may have been billed: a person has to say `pay_again`, and its worst case stays on the run's account.
    Raises UsageProblem.
    """
    from batchrun.execution.batch.find_lost import read_list

    batches, now = Batches(opened.ledger), time.time()
    open_batches = batches.open(opened.name)
    batch = chosen([one for one in open_batches if one.batch_id is None or one.batch_no == batch_no], batch_no)
    listed = await ask(opened, provider, lambda api: read_list(api, batch))
    if isinstance(listed, Failure) and not is_absence(listed):
        raise UsageProblem(f"the list of batches cannot be retrieved: {listed.message}", hint="try again later")
    remotes = () if isinstance(listed, Failure) else listed.batches
    if batch.batch_id:
        await refuse_what_exists(opened, batch, remotes, provider=provider, now=now)
    wait_s = opened.job.spec.batch.reconcile_wait_s
    claims = batches.claims(batch, (remote.batch_id for remote in remotes))
    answer = Unproven() if batch.batch_id else reconcile(batch, remotes, claims=claims, now=now, wait_s=wait_s)
    refuse_what_may_exist(batch, answer, waited=is_over(batch.unclear_at, wait_s, now=now), pay_again=pay_again)
    with opened.ledger.transaction():
        if isinstance(answer, Resend):
            batches.abandon(batch, "given up by hand: it was never created")
        else:
            batches.write_off(batch, "given up by hand", now=now)
    return batches.one(batch.batch_no)


async def refuse_what_exists(
    opened: OpenStore, batch: Batch, listed: Sequence[RemoteBatch], *, provider: ProviderFactory, now: float
) -> None:
    """Raise UsageProblem for a batch that the API has, unless it is adopted and its results do not prove it ours."""
    batch_id = batch.batch_id or ""
    remote = await ask(opened, provider, lambda api: api.retrieve(batch_id))
    if isinstance(remote, Failure) and not is_absence(remote):
        raise UsageProblem(f"{batch_id} cannot be asked for: {remote.message}", hint="try again later")
    found = [one for one in (remote, *listed) if isinstance(one, RemoteBatch) and one.batch_id == batch_id]
    if any(not one.archived for one in found) and not (batch.adopted and batch.state is BatchState.ENDED):
        raise UsageProblem(
            f"{batch_id} exists, and would be paid twice.",
            hint=_collect_or_cancel(opened),
        )
    if not found and not is_over(batch.absent_at, opened.job.spec.batch.reconcile_wait_s, now=now):
        raise UsageProblem(
            f"{batch_id} may still exist: one answer that denies it proves nothing.",
            hint=f"submit {opened.name} again, which asks for it until [batch] reconcile_wait is over",
        )


def _collect_or_cancel(opened: OpenStore) -> str:
    job = shlex.quote(os.path.relpath(opened.job.path))
    return f"collect its results: batchrun submit {job}; or cancel the batch: batchrun cancel {opened.name}"


def refuse_what_may_exist(batch: Batch, answer: Answer, *, waited: bool, pay_again: bool) -> None:
    """Raise UsageProblem for a batch that may exist, unless a person wants to pay again for a batch long in doubt."""
    if isinstance(answer, Adopt):
        raise UsageProblem(
            f"{answer.remote.batch_id} seems to be the batch {batch.name}, and would be paid twice.",
            hint="submit again, which finds out whose it is",
        )
    if isinstance(answer, Missed) or not (batch.batch_id or waited):
        raise UsageProblem(
            f"the batch {batch.name} may still appear in the list of batches.",
            hint="submit again, which looks for it until [batch] reconcile_wait is over",
        )
    if not isinstance(answer, Resend) and not pay_again:
        raise UsageProblem(
            f"nothing proves that the batch {batch.name} does not exist; if it does, its {batch.requests:,} requests"
            " are paid twice.",
            hint=f"look in the Console (names of our requests begin with {batch.nonce}); to send them all the same,"
            " with the worst case of the first time reserved for good, add --pay-again",
        )


def is_over(since: float | None, wait_s: float, *, now: float) -> bool:
    """Return whether a wait that began then is over. A wait that never began is not."""
    return since is not None and now - since >= wait_s


def chosen(batches: Sequence[Batch], batch_no: int | None) -> Batch:
    """Return the batch that a person means: the one with the number, else the only one. Raises UsageProblem."""
    meant = [batch for batch in batches if batch_no in {None, batch.batch_no}]
    if len(meant) == 1:
        return meant[0]
    which = f"no batch in doubt has the number {batch_no}" if batch_no else f"{len(meant)} batches are in doubt"
    raise UsageProblem(f"{which}.", hint="see them: batchrun batches; name one with --batch NUMBER")


async def ask(
    opened: OpenStore, provider: ProviderFactory, call: Callable[[BatchProvider], Awaitable[T]]
) -> T | Failure:
    """Ask the API for something that costs nothing. Returns the failure if the API does not give it."""
    provider.check()
    client = provider.make_batches(timeout_s=opened.job.spec.retry.timeout_s)
    try:
        return await call(client)
    except AttemptError as error:
        return error.failure
    finally:
        await client.close()
