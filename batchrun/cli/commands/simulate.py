"""`batchrun simulate serve`: the simulator on a port, for other tools and for rehearsals."""

import click

from batchrun.cli.options import PROFILES, FiniteRange


@click.group()
def simulate() -> None:
    """A local API that behaves like Anthropic's, and like OpenAI's, on this machine only."""


@simulate.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True, help="0: any free one.")
@click.option("--profile", type=click.Choice(PROFILES), default=PROFILES[0], show_default=True)
@click.option("--speed", type=FiniteRange(min=0.01), default=1.0, show_default=True, help="The speed of the clock.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of faults and latencies.")
def serve(*, port: int, profile: str, speed: float, seed: int) -> None:
    """Serve until Ctrl-C.

    \b
    batchrun simulate serve --port 8321 &
    ANTHROPIC_BASE_URL=http://127.0.0.1:8321 ANTHROPIC_API_KEY=any batchrun submit jobs/contracts.toml
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.simulator.faults.profiles import PROFILES as BY_NAME
    from batchrun.simulator.http.server import SimulatorServer
    from batchrun.simulator.simulator import Simulator

    server = SimulatorServer(Simulator(BY_NAME[profile], speed=speed, seed=seed), port=port)
    server.serve_forever(when_ready=lambda url: click.echo(f"simulator on {url}"))
