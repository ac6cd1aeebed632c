"""The simulator for a command: beside a run, or served until Ctrl-C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batchrun.simulator.faults import PROFILES
from batchrun.simulator.server import SimulatorServer
from batchrun.simulator.simulator import Simulator


@contextmanager
def running_simulator(profile: str, *, speed: float) -> Iterator[str]:
    """A simulator in a thread of this process, for as long as the block lasts; yields its base URL."""
    server = SimulatorServer(Simulator(PROFILES[profile], speed=speed))
    try:
        yield server.start_in_thread()
    finally:
        server.stop()


def serve(profile: str, *, port: int, speed: float, seed: int, announce: Callable[[str], None]) -> None:
    """Serve until a signal comes."""
    server = SimulatorServer(Simulator(PROFILES[profile], speed=speed, seed=seed), port=port)
    server.serve_forever(when_ready=announce)
