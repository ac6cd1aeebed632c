"""`batchrun providers`: whose API answers, what each can do, and what was spent there today."""

from pathlib import Path

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal


@click.command()
@click.argument("job", required=False, type=click.Path(path_type=Path, dir_okay=True))
@click.option("--simulate", is_flag=True, help="Tell the use and the costs of simulated runs only.")
@LEDGER
@speaking
def providers(job: Path | None, *, simulate: bool, ledger: Path | None, terminal: Terminal) -> None:
    """Show whose API answers: address, credential, what it can do, models, and what was spent there today (UTC).

    Without JOB: the providers of batchrun.toml, and the default. A credential is described, and its last four
    characters at most are shown. Nothing is sent; `batchrun doctor --provider NAME` asks one of them.

    \b
    batchrun providers
    batchrun providers jobs/contracts.toml
    batchrun providers jobs/contracts.toml --json
    """  # noqa: D301 - \b makes click keep the lines
    import time

    from batchrun.cli.configured import configured, table_of
    from batchrun.cli.find_run import place_of
    from batchrun.cli.views.providers_text import show_providers
    from batchrun.store.job_files import read_job
    from batchrun.store.ledger.ledger import Ledger
    from batchrun.store.reports.costs import model_uses

    read = read_job(job) if job else None
    known = table_of(read).providers
    path = place_of(str(job) if job else None, ledger).ledgers[simulate]
    with Ledger.read(path) as found:
        uses = model_uses(found, since=time.time() // 86_400 * 86_400)
    show_providers(configured(known, read), known, uses, job=job, simulated=simulate, terminal=terminal)
