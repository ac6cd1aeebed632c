"""Exporting rows of the output table: as a table for people, or in the formats of `export_formats` for programs."""

import itertools
from collections.abc import Iterable
from pathlib import Path

from batchrun.cli.export_formats import FILES, TEXTS
from batchrun.cli.export_rows import Export, ExportRows, not_understood, rows_wanted
from batchrun.cli.find_run import FoundRun
from batchrun.cli.permissions import ordinary_permissions
from batchrun.cli.views.format import count
from batchrun.cli.views.plan_text import gone_said
from batchrun.cli.views.results_table import table_lines
from batchrun.cli.views.terminal import Terminal
from batchrun.duckdb_file import LockedByAnother, opened
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.planning.gone_documents import gone_rows
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.side_tables import side_schema
from batchrun.workflow.open_job import open_output


def export(found: FoundRun, wanted: Export, terminal: Terminal) -> None:
    """Write the wanted rows to a file or to stdout. Raises UsageProblem, Busy, EnvironmentProblem."""
    with open_output(found.job_path, simulated=found.story.simulated) as job:
        try:
            job.output().publish(wait_s=0)
        except LockedByAnother as locked:
            terminal.say(f"rows may be missing: {locked}")
        if not job.paths.database.exists():
            raise no_rows_yet(job.paths.database)
        with opened(job.paths.database, read_only=True, wait_s=5) as connection:
            if side_schema(connection) is None:
                raise no_rows_yet(job.paths.database)
            connection.execute("set TimeZone = 'UTC'")
            table, simulated = job.job.spec.store.table, found.story.simulated
            write(rows_wanted(connection, table, found.story.job, wanted, simulated=simulated), wanted, terminal)
        count_failed(job.ledger, found.story.job, wanted, terminal)
        if (gone := gone_rows(job.ledger, found.story.job)) and not terminal.quiet:
            terminal.say(gone_said(gone, drops=job.job.spec.source.on_removed == "drop"))


def write(rows: ExportRows, wanted: Export, terminal: Terminal) -> None:
    """Write the rows in the wanted format, to a file or to stdout."""
    import duckdb

    try:
        written = write_rows(rows, wanted, terminal)
    except (duckdb.IOException, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise EnvironmentProblem(f"{wanted.output} cannot be written: {why}") from error
    except duckdb.OutOfMemoryException as error:
        raise EnvironmentProblem(
            "the rows need more memory than there is.",
            hint="ask for fewer at a time: --limit, --where, --source or --columns",
        ) from error
    except duckdb.Error as error:
        raise not_understood(error) from error
    if wanted.output:
        terminal.say(f"{count(written, 'row')} written to {wanted.output}")


def write_rows(rows: ExportRows, wanted: Export, terminal: Terminal) -> int:
    """Write the rows in the wanted format. Returns their number."""
    if wanted.output and wanted.format in FILES:
        with ordinary_permissions():
            return FILES[wanted.format](rows, wanted.output)
    if wanted.format == "table":
        width = None if wanted.output else terminal.width()
        lines = table_lines(rows.names, rows.each, width, stamped=rows.simulated, left_out=rows.left_out)
        write_text((f"{line}\n" for line in lines), wanted.output, terminal)
        return rows.number(f"select count(*) from ({rows.query()})")
    numbers = itertools.count()
    counted = (row for row, _ in zip(rows.each(), numbers))  # noqa: B905 - numbers do not end
    write_text(TEXTS[wanted.format](rows.names, counted, wanted.raw_cells), wanted.output, terminal)
    return next(numbers)


def write_text(parts: Iterable[str], output: Path | None, terminal: Terminal) -> None:
    """Write text part by part, to a file or to stdout."""
    if output is not None:
        to_file(parts, output)
        return
    for part in parts:
        terminal.exact(part)


def to_file(parts: Iterable[str], output: Path) -> None:
    """Write text part by part to a file that a person has named. Raises EnvironmentProblem."""
    try:
        with ordinary_permissions(), output.open("w", encoding="utf-8") as file:
            file.writelines(parts)
    except OSError as error:
        raise EnvironmentProblem(f"{output} cannot be written: {error.strerror}.") from error


def no_rows_yet(database: Path) -> UsageProblem:
    """The problem of an output that has not been published into."""
    return UsageProblem(f"there are no rows yet in {database}.")


def count_failed(ledger: Ledger, job: str, wanted: Export, terminal: Terminal) -> None:
    """Say how many documents are not shown because they failed."""
    if wanted.statuses != ("succeeded",) or terminal.quiet:
        return
    (failed,) = ledger.connection.execute(
        "select count(*) from document_status where job = ? and status not in ('succeeded', 'skipped', 'pending')",
        (job,),
    ).fetchone()
    if failed:
        terminal.say(f"{count(failed, 'document')} without a row: add --status failed to see them")
