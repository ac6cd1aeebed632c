"""Whom a run asks: the providers of its job, or a simulator that lives as long as the run."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache

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
    models. Nothing is imported or started until somebody is asked: the client of the API takes half a second to import.
    """
    if profile is None:
        yield RoutingFactory(providers, tuple(models))
        return
    with ExitStack() as running:

        @cache
        def address() -> str:
            from batchrun.simulator.http.server import running_simulator

            return running.enter_context(running_simulator(profile, speed=speed))

        yield RoutingFactory(providers, tuple(models), lambda section: factory_of(section, address()), row_name)
