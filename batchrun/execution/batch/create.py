"""From pending requests to a batch at the API: pack, commit the intent, create once, attach the id.

The intent, with all members and their worst cases, is durable before the create call. The call is made once. The batch
is in doubt from just before the last bytes of the call's body leave: until then the API cannot have created the batch.
After any doubt the batch stays PREPARED, and `find_lost` looks for the batch.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from batchrun.batch import BatchBody, BatchState, RemoteBatch
from batchrun.events import BatchSubmitted, DocumentSettled
from batchrun.execution.batch.context import BatchContext
from batchrun.execution.batch.packing import Packer, PackLimits, Spool, SpooledBody, unreadable_spool
from batchrun.execution.batch.reconcile import Creation, after_create
from batchrun.execution.failure_messages import batch_rejected, budget_reached, fatal_problem
from batchrun.execution.halt import Halted
from batchrun.execution.retry_policy import REFUSALS, FailureKind, kind_of, stops_everyone
from batchrun.execution.settlements import failed_settlement
from batchrun.outcome import Outcome
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.errors import is_absence, is_missing
from batchrun.reply import Failure
from batchrun.store.ledger.batch_records import Batch, NewBatch, Prepared
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.request_refusal import RequestCaps
from batchrun.strategy.routes import SMALL_JOB

NONCE_BYTES = 6


class Creator:
    """Creates batches for one run, one call at a time."""

    def __init__(self, context: BatchContext, packer: Packer) -> None:
        self._context = context
        self._packer = packer
        self._most_requests = context.run.batch.max_requests
        self.leaves_few = False
        """Whether so few requests are pending that the provider takes no batch of them: they are to be streamed."""
        self._refusals = 0
        self._creates = False
        """Whether a batch was created in this run."""
        self._denied_at: float | None = None
        """Since when the API says that it has no such call, although it has created batches."""
        self.not_before = 0.0
        """The time until which no batch is created."""
        self.idle = asyncio.Event()
        """The event is clear from the commit of an intent until the result is known: money is at stake meanwhile."""
        self.idle.set()

    async def create_all(self) -> bool:
        """Create batches while requests are pending and there is room. Returns whether requests must wait for room."""
        while self._context.run.clock() >= self.not_before:
            self._context.run.halt.check()
            open_batches = await self._context.open_batches()
            if any(batch.state is BatchState.PREPARED for batch in open_batches):
                return True  # one in doubt at a time, so that the list can show which batch that is
            limits = await self._limits()
            if limits.requests < 1:
                return await self._packer.any_pending()
            try:
                spool = await self._packer.pack(secrets.token_hex(NONCE_BYTES), limits)
            except AttemptError as error:
                self._not_uploaded(error.failure)
                continue
            try:
                self.leaves_few = 0 < len(spool.candidates) < self._packer.able.min_batch_requests
                await self._lease(spool)
                if not spool.candidates or self.leaves_few or await self._passes_on(spool):
                    return False
                if not await self._create(spool):
                    return True
            finally:
                self.idle.set()
                spool.close()
        return True

    async def _limits(self) -> PackLimits:
        run, able = self._context.run, self._packer.able
        if (leases := self._packer.leases) and await self._packer.any_pending():  # else nothing will be asked for
            self._packer.caps = await leases.refreshed(self._packer.caps)
        remaining_budget, queued = await self._context.apply(
            lambda batches: (self._request_caps(batches).remaining_budget(planned=True), batches.queued())
        )
        return PackLimits(
            requests=min(self._most_requests, able.max_batch_requests, run.batch.max_queued - queued),
            bytes=min(run.batch.max_bytes, able.max_batch_bytes),
            remaining_budget=remaining_budget,
        )

    async def _lease(self, spool: Spool) -> None:
        """Ask for what the batch needs of the caps that several hosts share. What has no room is left out later."""
        if (leases := self._packer.leases) and spool.candidates:
            await leases.more(self._context.run.writer.write, self._packer.caps, self._packer.model, spool.reserved)

    async def _passes_on(self, spool: Spool) -> bool:
        """Whether a cap of the model alone leaves out requests, so that the rest is streamed when the batches are done.

        The room that the cap has again by then makes further batches, as long as they are worth the wait.
        """
        if spool.least_misfit is None or len(spool.candidates) >= SMALL_JOB:
            return False
        least, _ = spool.least_misfit
        none_fits = spool.candidates == [least]
        amount = spool.reserved if none_fits else spool.reserved + least.amount
        refused = await self._context.apply(lambda batches: self._request_caps(batches).refusal(amount))
        return (none_fits or self._creates) and bool(refused and self._packer.chain.passes_on(0, refused.cap))

    def _request_caps(self, batches: Batches) -> RequestCaps:
        run, packer = self._context.run, self._packer
        return batches.request_caps(run.key.run_no, model=packer.model, caps=packer.caps, now=run.clock())

    async def _create(self, spool: Spool) -> bool:
        """Create one batch. Returns whether another may follow now."""
        newest = await self._context.ask_for_list(None, self._context.provider.page(model=self._packer.model, limit=1))
        if isinstance(newest, Failure):
            self._wait(newest)
            return False
        run = self._context.run
        new = NewBatch(
            nonce=spool.nonce,
            run_no=run.key.run_no,
            job=run.job,
            model=self._packer.model,
            schema=self._packer.schema,
            newest_before=newest.batches[0].batch_id if newest.batches else None,
            prepared_at=run.clock(),
            others_follow=spool.full,
            caps=self._packer.caps,
        )
        self.idle.clear()
        prepared = await self._context.apply(
            lambda batches: batches.prepare(new, spool.candidates, sizes=spool.sizes), spends=True
        )
        if isinstance(prepared, Prepared):
            return await self._send(spool, prepared)
        if prepared and not prepared.in_batches and not prepared.open_attempts and not prepared.others:
            self._context.stop(budget_reached(prepared, spool.candidates[0].amount))
        # Another process is sending all of the requests, or has reserved the money. That process may have died.
        await run.writer.write(run.recover)
        return False

    async def _send(self, spool: Spool, prepared: Prepared) -> bool:
        batch = await self._context.apply(lambda batches: batches.one(prepared.batch_no))
        if self._context.run.halt.reason:
            await self._context.apply(lambda batches: batches.abandon(batch, "not sent: the run was stopped"))
            raise Halted
        body = AnnouncedBody(SpooledBody(spool, prepared.positions, batch.model), lambda: self._doubt(batch))
        try:
            remote = await self._context.provider.create(body)
        except AttemptError as error:
            return await self._not_created(batch, error.failure, whole=body.whole and not error.before_create)
        except OSError as error:  # the spool failed, not the network: the body was cut short
            why = f"not sent: {error.strerror}"
            await self._context.apply(lambda batches: batches.abandon(batch, why))
            raise unreadable_spool(error) from error
        if not await self._context.apply(lambda batches: self._attach(batches, batch, remote)):
            self._context.trouble(batch.name, f"the API gave it the id of another batch, {remote.batch_id}")
            return False
        self._refusals, self._denied_at = 0, None
        self._creates = True
        self._context.run.tell(BatchSubmitted(remote.batch_id, batch.requests, batch.bytes, adopted=False))
        return True

    def _attach(self, batches: Batches, batch: Batch, remote: RemoteBatch) -> bool:
        """Give the batch its id, unless another batch has that id: then nobody knows what was created."""
        now = self._context.run.clock()
        owner = batches.owner(remote.batch_id)
        if owner and not owner.adopted:
            batches.doubt(batch, now=now)
            return False
        due = now + self._context.run.batch.poll_interval_s
        batches.attach(batch, remote, adopted=False, next_poll_at=due)
        return True

    async def _doubt(self, batch: Batch) -> None:
        now = self._context.run.clock()
        await self._context.apply(lambda batches: batches.doubt(batch, now=now))

    def _is_denied_in_passing(self, failure: Failure) -> bool:
        """Return whether an API that has created batches denies the call for less than `reconcile_wait`."""
        if not self._creates or not is_absence(failure):
            return False
        now = self._context.run.clock()
        self._denied_at = self._denied_at or now
        return now - self._denied_at < self._context.run.batch.reconcile_wait_s

    async def _not_created(self, batch: Batch, failure: Failure, *, whole: bool) -> bool:
        known = Creation.LATER if self._is_denied_in_passing(failure) else after_create(failure, whole=whole)
        if known is Creation.UNCLEAR:
            await self._doubt(batch)
            self._context.halt_if_fatal(failure)
            self._context.trouble(batch.name, f"no answer to its creation, so it is looked for: {failure.message}")
            return False
        if known is Creation.TOO_LARGE:
            await self._too_large(batch, failure)
            return True
        await self._context.apply(lambda batches: batches.abandon(batch, f"not created: {failure.message}"))
        if known is not Creation.LATER:
            self._context.stop(fatal_problem(failure) if stops_everyone(failure) else batch_rejected(failure))
        self._wait(failure)
        self._context.trouble(batch.name, failure.message, retry_in_s=self.not_before - self._context.run.clock())
        return False

    async def _too_large(self, batch: Batch, failure: Failure) -> None:
        """Try half of the requests next. A request that is too large even alone fails its document."""
        self._most_requests = max(1, batch.requests // 2)
        alone = batch.requests == 1

        def change(ledger: Ledger) -> list[str]:
            batches = Batches(ledger)
            doc_ids = []
            for member in batches.without_result(batch.batch_no, limit=int(alone)):
                end = failed_settlement(member.attempt_no, failure, outcome=Outcome.REJECTED, reason=failure.message)
                doc_ids += ledger.settle(end)
            batches.abandon(batch, f"too large: {failure.message}")
            return doc_ids

        for doc_id in await self._context.run.writer.write(change):
            self._context.run.tell(DocumentSettled(doc_id, Outcome.REJECTED, failure.message, 0))

    def _not_uploaded(self, failure: Failure) -> None:
        """Upload the rest later; send files within their batches to an API that takes no files."""
        takes_none = is_absence(failure) or is_missing(failure)
        if takes_none or kind_of(failure) in {*REFUSALS, FailureKind.FORBIDDEN}:
            self._packer.uploads = False
            self._context.trouble("files", f"not uploaded, so batches are cut instead: {failure.message}")
            return
        self._context.halt_if_fatal(failure)
        self._wait(failure)
        retry_in_s = self.not_before - self._context.run.clock()
        self._context.trouble("files", f"not uploaded: {failure.message}", retry_in_s=retry_in_s)

    def _wait(self, failure: Failure) -> None:
        """Create no batch until the API allows another, or for longer and longer."""
        batch = self._context.run.batch
        delay_s = min(batch.max_poll_interval_s, batch.poll_interval_s * 2 ** min(self._refusals, 20))
        self._refusals += 1
        self.not_before = self._context.run.clock() + max(delay_s, failure.retry_after_s or 0.0)


class AnnouncedBody:
    """A body whose last part leaves only after it is announced. Without the last part the API creates nothing."""

    def __init__(self, body: BatchBody, announce: Callable[[], Awaitable[None]]) -> None:
        self._body = body
        self._announce = announce
        self.model, self.nonce, self.requests, self.size = body.model, body.nonce, body.requests, body.size
        self.whole = False
        """Whether the last part may have left."""

    async def members(self) -> AsyncIterator[bytes]:
        """Yield each member as JSON, in order. The end is announced before it comes."""
        async for member in self._body.members():
            yield member
        await self._announced()

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the bytes, in order."""
        held = b""
        async for part in self._body.parts():
            if held:
                yield held
            held = part
        await self._announced()
        yield held

    async def _announced(self) -> None:
        await self._announce()
        self.whole = True
