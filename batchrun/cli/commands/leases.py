"""`batchrun leases`: a service that grants several hosts parts of common caps, and what it has granted."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli.options import DollarsOption, speaking
from batchrun.cli.views.terminal import Terminal

if TYPE_CHECKING:
    from batchrun.leases.books import Books

BOOKS = ".batchrun/leases.sqlite3"


@click.group(invoke_without_command=True)
@click.pass_context
@speaking
def leases(ctx: click.Context, *, terminal: Terminal) -> None:
    """Show what the lease service of this folder has granted: caps of days, months, models and tags, host by host.

    \b
    batchrun leases
    batchrun leases serve
    batchrun leases settle-dead 5f0c1e2d3b4a5968 --billed 12.40
    """  # noqa: D301 - \b makes click keep the lines
    if ctx.invoked_subcommand is None:
        from batchrun.cli.views.leases_text import show_leases

        show_leases(books_here(), now=time.time(), terminal=terminal)


@leases.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8330, show_default=True, help="0: any free one.")
def serve(*, host: str, port: int) -> None:
    """Grant leases on the caps of batchrun.toml and of the environment here, until Ctrl-C.

    Hosts find the service by `leases` in [budget] of their batchrun.toml, or by BATCHRUN_LEASES. With another --host
    than this machine's own, both sides need the same secret in BATCHRUN_LEASES_TOKEN.

    \b
    batchrun leases serve
    BATCHRUN_LEASES=http://127.0.0.1:8330 batchrun submit jobs/contracts.toml
    """  # noqa: D301 - \b makes click keep the lines
    from os import environ

    from aiohttp import web

    from batchrun.leases.client import token_of
    from batchrun.leases.service import application, listening

    token, books = token_of(environ), books_here()
    listener = listening(host, port, token=token)
    where = f"[{host}]" if ":" in host else host
    if books.are_empty:
        click.echo(f"{books.path} is new: nothing counts as granted to anyone yet", err=True)
    click.echo(f"leases on http://{where}:{listener.getsockname()[1]}")
    web.run_app(application(books, token=token), sock=listener, print=None, access_log=None)


@leases.command("settle-dead")
@click.argument("holder")
@click.option(
    "--billed", type=DollarsOption(), required=True, help="What the provider bills for the host this month (UTC)."
)
@speaking
def settle_dead(holder: str, *, billed: int, terminal: Terminal) -> None:
    """Free what a host that never comes back was granted beyond its bill. What is billed stays spent.

    A host that comes back settles by itself. Use this only for a ledger that is lost, once its lease has expired.

    \b
    batchrun leases settle-dead 5f0c1e2d3b4a5968 --billed 12.40
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.views.leases_text import show_leases

    books, now = books_here(), time.time()
    books.settle_dead(holder, billed_nusd=billed, now=now)
    show_leases(books, now=now, terminal=terminal)


def books_here() -> "Books":
    """Open the books of the project here, with its caps. Raises UsageProblem if there is no cap to share."""
    from os import environ

    from batchrun.budget.policy import shared_caps
    from batchrun.cli.configured import project_here
    from batchrun.errors import UsageProblem
    from batchrun.leases.books import Books

    project = project_here()
    caps = shared_caps(project.spec.qualified({}).budget, environ)
    if not caps:
        raise UsageProblem(
            f"{project.path} has no cap of a day or a month, and the environment has none: there is nothing to share.",
            hint="write such a cap into [budget], or go to the folder of the service: batchrun docs budgets",
        )
    return Books(project.path.parent / Path(BOOKS), caps)
