"""`batchrun results`: show or export rows, or show one document in full."""

from collections.abc import Mapping
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, selecting, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.planning.selection import Selection

FORMATS = ("table", "csv", "tsv", "jsonl", "json", "parquet", "arrow", "xlsx")


@click.command()
@click.argument("run", default="last")
@click.option("--status", default="succeeded", show_default=True, metavar="A,B",
              help="The outcomes to show: `failed` for all failures, `all` for everything.")  # fmt: skip
@click.option("--format", type=click.Choice(FORMATS, case_sensitive=False),
              help="The default follows the ending of --output; without --output it is a table.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Write to a file instead of stdout; the ending says the format, such as .xlsx.")  # fmt: skip
@click.option("--columns", metavar="A,B", help="Show only these columns.")
@click.option("--all-columns", is_flag=True, help="In a table, show also model, attempts, evidence and the like.")
@click.option("--doc", metavar="ID", help="Show one document in full: its answer, its attempts, its evidence.")
@click.option("--raw", is_flag=True, help="With --doc: show the reply as it came.")
@click.option("--prompt", is_flag=True, help="With --doc: show the request as it was sent.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="With --raw or --prompt: which attempt is meant.")
@click.option("--raw-cells", is_flag=True, help="In csv, put no apostrophe before text that a spreadsheet would run.")
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@selecting
@speaking
def results(
    run: str,
    *,
    status: str,
    format: str | None,  # noqa: A002 - click names the variable after it
    output: Path | None,
    columns: str | None,
    all_columns: bool,
    doc: str | None,
    raw: bool,
    prompt: bool,
    attempt: int | None,
    raw_cells: bool,
    simulate: bool,
    ledger: Path | None,
    selection: Selection,
    terminal: Terminal,
) -> None:
    """Show the rows of a job's documents, or export them.

    \b
    batchrun results contracts
    batchrun results last --status failed
    batchrun results contracts -o contracts.xlsx
    batchrun results contracts --doc sample_data/contracts/nda-helios-meridian.txt
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.export import export
    from batchrun.cli.export_formats import chosen_format
    from batchrun.cli.export_rows import Export
    from batchrun.cli.find_run import found_run
    from batchrun.cli.views.document_text import DocumentView, show_document

    for_rows = {"--format": format, "--output": output, "--columns": columns, "--all-columns": all_columns}
    if problem := misplaced(doc, for_rows, raw=raw, prompt=prompt, attempt=attempt):
        raise problem
    wanted_format = chosen_format(output, format) or ("json" if terminal.json else "table")
    with found_run(run, ledger, simulated=simulate, with_rows=True) as found:
        if doc is not None:
            show_document(found, doc, DocumentView(raw, prompt, attempt), terminal)
            return
        wanted = Export(
            # A run's id means the documents of the run. The job's name, or `last`, means all documents of the job.
            run_id=None if run in {"last", found.story.job} or run.endswith(".toml") else found.story.run_id,
            statuses=tuple(word.strip() for word in status.split(",")),
            selection=selection,
            columns=tuple(name.strip() for name in columns.split(",")) if columns else (),
            format=wanted_format,
            output=output,
            raw_cells=raw_cells,
            all_columns=all_columns,
        )
        export(found, wanted, terminal)


def misplaced(
    doc: str | None, for_rows: Mapping[str, object], *, raw: bool, prompt: bool, attempt: int | None
) -> UsageProblem | None:
    """Return what is wrong with options that need each other, or exclude each other; None if nothing is.

    `for_rows` has the options that say how rows are shown, with their values.
    """
    if doc is not None and (given := next((name for name, value in for_rows.items() if value), None)):
        return UsageProblem(f"{given} is for rows, and --doc shows one document.", hint="leave one of them out")
    if raw and prompt:
        return UsageProblem("--raw and --prompt exclude each other.", hint="ask for one of them at a time")
    if attempt is not None and not (raw or prompt):
        return UsageProblem("--attempt says of which attempt --raw or --prompt is meant.", hint="add one of them")
    if doc is None and (raw or prompt):
        shows = "--raw shows the reply" if raw else "--prompt shows the request"
        return UsageProblem(f"{shows} for one document.", hint="name the document with --doc ID")
    return None
