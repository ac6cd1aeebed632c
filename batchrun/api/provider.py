"""Whom a run asks: the providers of its job, or a simulator that lives as long as the run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from batchrun.catalog.provider_prices import row_name
from batchrun.job.providers import Providers
from batchrun.providers.factories import factory_of
from batchrun.providers.routing import RoutingFactory


@contextmanager
def provider(
    profile: str | None, providers: Providers, models: Sequence[str], *, speed: float
) -> Iterator[RoutingFactory]:
    """Yield the providers of a job, or without any key a simulator in the place of all of them.

    The simulator behaves as the profile says, at so many times its speed. `models` are the engine names of the job's
    models.
    """
    if profile is None:
        yield RoutingFactory(providers, tuple(models))
        return
    from batchrun.simulator.http.server import running_simulator

    with running_simulator(profile, speed=speed) as base_url:
        yield RoutingFactory(providers, tuple(models), partial(factory_of, simulator=base_url), row_name)
