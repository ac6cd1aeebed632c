"""`batchrun doctor`: whether everything around a job is in order, and the table of prices."""

from pathlib import Path

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode


@click.command()
@click.argument("job", required=False, type=click.Path(path_type=Path, dir_okay=True))
@click.option("--prices", is_flag=True, help="The table of prices instead: where it is from, how old, what changes.")
@click.option("--forget-limits", is_flag=True, help="Forget what earlier runs learnt of the rate limits, and say what.")
@click.option("--provider", "wanted", multiple=True, metavar="NAME",
              help="Ask this provider for one free call, and check nothing else; may be repeated.")  # fmt: skip
@click.option("--offline", is_flag=True, help="Ask nothing of the network.")
@LEDGER
@speaking
def doctor(
    job: Path | None,
    *,
    prices: bool,
    forget_limits: bool,
    wanted: tuple[str, ...],
    offline: bool,
    ledger: Path | None,
    terminal: Terminal,
) -> int:
    """Check what a job needs: packages, job file, documents, ledger, output, key, address, clock, models, limits.

    Without JOB: the project's ledger, and the models of its last runs. Whatever is not in order has a line `fix:`.
    Each provider of the job's models is asked for one free call.
    Only --forget-limits changes anything, and nothing that costs money is sent. Exit 5 if something is broken, and 2
    if the job file is.
    BATCHRUN_PRICES names a file whose rows replace those of the built-in table of prices, for all jobs that name none.

    \b
    batchrun doctor
    batchrun doctor jobs/contracts.toml
    batchrun doctor jobs/contracts.toml --offline
    batchrun doctor --provider bedrock
    batchrun doctor --prices
    batchrun doctor --forget-limits
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.doctor.check import Verdict
    from batchrun.cli.doctor.examination import examine
    from batchrun.cli.learned_limits import forget_learned, show_forgotten
    from batchrun.cli.views.doctor_text import show_checks
    from batchrun.cli.views.price_text import show_prices
    from batchrun.workflow.job_models import common_prices, utc_today

    today = utc_today()
    if prices:
        show_prices(common_prices(today=today), today=today, terminal=terminal)
        return ExitCode.OK
    if forget_limits:
        show_forgotten(forget_learned(ledger), terminal)
        return ExitCode.OK
    found = examine(job, ledger, offline=offline, today=today, wanted=wanted)
    show_checks(found, terminal)
    broken = {one.name for one in found if one.verdict is Verdict.BROKEN}
    if "job file" in broken:
        return ExitCode.USAGE
    return ExitCode.ENVIRONMENT if broken else ExitCode.OK
