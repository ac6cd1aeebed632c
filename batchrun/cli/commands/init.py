"""`batchrun init`: a commented job file to begin with."""

from pathlib import Path

import click

from batchrun.cli.next_command import command
from batchrun.errors import EnvironmentProblem, UsageProblem


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--source", type=click.Choice(["files", "table", "duckdb"]), default="files", show_default=True)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(file: Path, *, source: str, force: bool) -> None:
    """Write a commented job file, and mark the project with a folder .batchrun/ if it is not marked yet.

    \b
    batchrun init jobs/invoices.toml
    batchrun init jobs/orders.toml --source table
    batchrun init jobs/tickets.toml --source duckdb
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.permissions import ordinary_permissions
    from batchrun.file_system import make_folder
    from batchrun.job.project_root import STATE_FOLDER, new_root
    from batchrun.job.scaffold import scaffold

    if file.exists() and not force:
        raise UsageProblem(f"{file} exists.", hint="choose another name, or add --force to replace it")
    name = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in file.stem.lower())[:40]
    root = new_root(file.resolve(), here=Path.cwd())
    try:
        make_folder(root / STATE_FOLDER)
        with ordinary_permissions():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(scaffold(name.strip("-") or "job", source), encoding="utf-8")  # type: ignore[arg-type]  # checked by click
    except OSError as error:
        raise EnvironmentProblem(f"{file} cannot be written: {error.strerror}.") from error
    if not click.get_current_context().find_root().params.get("quiet"):
        click.echo(f"wrote {file}\nproject: {root}\nnext: name your documents in it, then  {command('plan', file)}")
