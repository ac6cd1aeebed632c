"""The executors of a run, made of the run's context and of what is needed to send."""

from collections.abc import Callable

from batchrun.execution.batch.collect import Collector
from batchrun.execution.batch.context import BatchContext
from batchrun.execution.batch.executor import BatchExecutor
from batchrun.execution.batch.packing import Packer
from batchrun.execution.batch.uploads import Uploader
from batchrun.execution.failure_history import FailureHistory
from batchrun.execution.run_context import RunContext
from batchrun.execution.send_setup import SendSetup
from batchrun.execution.stream.attempt import Attempts
from batchrun.execution.stream.circuit_breaker import CircuitBreaker
from batchrun.execution.stream.concurrency import AFTER_KILL, FIRST, Slots
from batchrun.execution.stream.executor import StreamExecutor
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.stream.rate_limiter import RateLimiter
from batchrun.execution.usage_counters import UsageCounters
from batchrun.execution.usage_flush import UsageFlush
from batchrun.providers import BatchProvider, Provider
from batchrun.strategy.model_chain import OUTAGE
from batchrun.strategy.routes import Route


def stream_executor(
    context: RunContext, setup: SendSetup, client: Provider, *, clock: Callable[[], float]
) -> StreamExecutor:
    """Make the executor that streams what is pending. The `clock` is the loop's."""
    counters = UsageCounters()
    channels = [
        model_channel(number, context, setup, counters, clock=clock) for number in range(len(setup.chain.models))
    ]
    rate_limiters = {one.chain_model.price.bucket: one.rate_limiter for one in reversed(channels)}
    for channel in channels:  # models that share their limits share the rate limiter of the first of them
        channel.rate_limiter = rate_limiters[channel.chain_model.price.bucket]
    attempts = Attempts(context, setup, channels, client)
    return StreamExecutor(context, setup, attempts, UsageFlush(context, counters, channels))


def model_channel(
    number: int, context: RunContext, setup: SendSetup, counters: UsageCounters, *, clock: Callable[[], float]
) -> ModelChannel:
    """Make the channel of one model of the chain. The `clock` is the loop's."""
    chain_model = setup.chain.models[number]
    return ModelChannel(
        model_no=number,
        chain_model=chain_model,
        estimator=setup.estimator_on(Route.STREAM, chain_model.price),
        rate_limiter=RateLimiter(chain_model.limits, clock=clock, counters=counters),
        counted_as=" + ".join(setup.chain.sharing(chain_model)),
        slots=Slots(
            setup.concurrency,
            first=max(FIRST, (chain_model.limits.concurrency or 0) // 2),
            share=AFTER_KILL if setup.killed_before else 1.0,
        ),
        circuit_breaker=CircuitBreaker(
            max_outage_s=context.retry.max_outage_s,
            concurrency=setup.concurrency,
            has_fallback=setup.chain.falls_back(number, OUTAGE),
        ),
        counters=counters,
        clock=clock,
        cache_breakpoint=setup.cache_breakpoints.get(Route.STREAM),
        document_marking=setup.document_marking(Route.STREAM, chain_model.price),
    )


def batch_executor(
    context: RunContext, setup: SendSetup | None, client: BatchProvider, uploader: Uploader
) -> BatchExecutor:
    """Make the executor that takes care of batches, and creates new ones if that is the route."""
    chain, reader = (setup.chain, setup.reader) if setup else (None, None)
    collector = Collector(context, client, FailureHistory(brakes=context.brakes), chain=chain, reader=reader)
    packer = Packer(context, setup, uploader) if setup and setup.route is Route.BATCH else None
    switch_at = setup.switch_at if setup else None
    return BatchExecutor(BatchContext(context, client, uploader), packer, collector, switch_at=switch_at)
