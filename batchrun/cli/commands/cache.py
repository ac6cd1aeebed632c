"""`batchrun cache`: where the texts are kept that readers found, and how large they are together."""

from pathlib import Path

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal


@click.command()
@click.argument("job", required=False, type=click.Path(path_type=Path, dir_okay=True))
@click.option("--clear", is_flag=True, help="Delete the texts. The next plan or submit reads the files again.")
@LEDGER
@speaking
def cache(job: Path | None, *, clear: bool, ledger: Path | None, terminal: Terminal) -> None:
    """Show the cache of texts: what was found in PDFs, Word files and the like is not looked for again.

    The cache is beside the ledger, for all jobs of the project. It holds no answers.

    \b
    batchrun cache
    batchrun cache --clear
    batchrun cache jobs/contracts.toml
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import place_of
    from batchrun.cli.views.format import below_here, count
    from batchrun.documents.text_cache import FOLDER, TextCache
    from batchrun.errors import EnvironmentProblem
    from batchrun.store.job_files import read_job
    from batchrun.store.paths import store_paths
    from batchrun.wording import size

    of_job = store_paths(read_job(job), simulated=False).ledger if job and not ledger else ledger
    texts = TextCache((of_job or place_of(None, None).ledgers[0]).absolute().parent / FOLDER)
    stored, number = texts.size(), texts.count()
    if clear:
        try:
            texts.trim(0)
        except OSError as error:
            raise EnvironmentProblem(
                f"the texts in {texts.folder} cannot be deleted: {error.strerror}.", hint="check its permissions"
            ) from error
    if terminal.json:
        terminal.event("cache", folder=str(texts.folder), bytes=stored, texts=number, cleared=clear)
    elif not terminal.quiet:
        said = f"{count(number, 'text')}, {size(stored)}, {'deleted from' if clear else 'in'}"
        terminal.result(f"{said} {below_here(texts.folder)}")
