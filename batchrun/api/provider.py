"""Whom a run asks: the API of Anthropic, or a simulator that lives as long as the run."""

from collections.abc import Iterator
from contextlib import contextmanager

from batchrun.providers.anthropic.provider import AnthropicFactory


@contextmanager
def provider(profile: str | None, *, speed: float) -> Iterator[AnthropicFactory]:
    """Yield the real API, or without a key a simulator that behaves as the profile says, at so many times its speed."""
    if profile is None:
        yield AnthropicFactory()
        return
    from batchrun.simulator.http.server import running_simulator

    with running_simulator(profile, speed=speed) as base_url:
        yield AnthropicFactory(base_url=base_url, api_key="simulated")
