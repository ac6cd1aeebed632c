"""Whom a run asks: the API of Anthropic, or a simulator that lives as long as the run."""

from collections.abc import Iterator
from contextlib import contextmanager

from batchrun.errors import UsageProblem
from batchrun.providers.anthropic.provider import AnthropicFactory


@contextmanager
def provider(profile: str | None, *, speed: float) -> Iterator[AnthropicFactory]:
    """Yield the real API, or without a key a simulator that behaves as the profile says, at so many times its speed.

    Raises UsageProblem for a profile that there is not.
    """
    if profile is None:
        yield AnthropicFactory()
        return
    from batchrun.simulator.faults.profiles import PROFILES
    from batchrun.simulator.http.server import running_simulator

    if profile not in PROFILES:
        raise UsageProblem(f"the simulator has no profile {profile}.", hint=f"choose from {', '.join(PROFILES)}")
    with running_simulator(profile, speed=speed) as base_url:
        yield AnthropicFactory(base_url=base_url, api_key="simulated")
